"""The steps of a drill: ended by what is seen, failed by what is not, and healed in every case."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pytest_smartattend.engine.history import History, Operation
from pytest_smartattend.engine.recovery import Recovery, recovery_of
from pytest_smartattend.engine.units import MILLISECOND, SECOND
from pytest_smartattend.errors import FaultNotHealed, StepFailed, UsageError
from pytest_smartattend.trials.drill import Drill
from pytest_smartattend.trials.operator_command import run_command

LONG = 30 * SECOND
SHORT = 50 * MILLISECOND


def seen(drill: Drill, name: str = "a step") -> None:
    drill.step(name, actor="harness", until=lambda: True, within=LONG)


def recovery(*stored: str) -> Recovery:
    told = [Operation(0, "write", key, None, "ok", None, 0, 1) for key in ("a", "b")]
    return recovery_of(History(told), stored, 2)


def test_a_step_ends_when_its_observation_comes_and_keeps_what_was_seen() -> None:
    looks: list[dict[str, Any] | None] = [None, None, {"lsn": "0/3000060"}]
    with Drill("d") as drill:
        facts = drill.step("detect", actor="platform", until=lambda: looks.pop(0), within=LONG)
    assert facts == {"lsn": "0/3000060"}
    assert [(step.name, step.actor, step.problem) for step in drill.steps] == [("detect", "platform", "")]
    assert 0 <= drill.steps[0].seconds < 30


def test_an_action_that_returns_is_no_observation() -> None:
    with pytest.raises(StepFailed, match="what must be seen did not come"), Drill("d") as drill:
        drill.step("promote", actor="operator", action=lambda: True, until=lambda: False, within=SHORT)
    assert drill.steps[0].problem
    assert drill.steps[0].seconds >= 0.05


def test_a_look_that_fails_is_asked_again_and_the_last_problem_is_told() -> None:
    def refused() -> bool:
        raise ConnectionError("refused")

    with pytest.raises(StepFailed, match="the last look: ConnectionError: refused"), Drill("d") as drill:
        drill.step("detect", actor="platform", until=refused, within=SHORT)


def test_an_action_that_fails_fails_its_step_at_once() -> None:
    def fails() -> None:
        raise OSError("no such command")

    with pytest.raises(StepFailed, match="OSError: no such command") as caught, Drill("d") as drill:
        drill.step("promote", actor="operator", action=fails, until=lambda: True, within=LONG)
    assert isinstance(caught.value.__cause__, OSError)


def test_an_action_that_hangs_is_left_and_healing_frees_it() -> None:
    frozen = threading.Event()

    def run() -> None:
        with Drill("d") as drill:
            drill.heal("the freeze", frozen.set)
            drill.step("write", actor="harness", action=frozen.wait, until=lambda: True, within=SHORT)

    with pytest.raises(StepFailed, match="the action did not end"):
        run()
    assert frozen.is_set()


@pytest.mark.parametrize("fails", [False, True])
def test_healing_happens_always_the_last_first(fails: bool) -> None:
    healed: list[str] = []

    def run() -> None:
        with Drill("d") as drill:
            drill.heal("first", lambda: healed.append("first"))
            drill.heal("second", lambda: healed.append("second"))
            seen(drill)
            if fails:
                raise KeyboardInterrupt

    if fails:
        with pytest.raises(KeyboardInterrupt):
            run()
    else:
        run()
    assert healed == ["second", "first"]


def test_what_could_not_be_healed_is_told_and_the_others_are_healed_all_the_same() -> None:
    healed: list[str] = []

    def fails() -> None:
        raise OSError("still frozen")

    def run() -> None:
        with Drill("d") as drill:
            drill.heal("the other", lambda: healed.append("other"))
            drill.heal("the primary", fails)
            seen(drill)

    with pytest.raises(FaultNotHealed, match="the primary: OSError: still frozen"):
        run()
    assert healed == ["other"]


def test_a_drill_without_steps_has_shown_nothing() -> None:
    with pytest.raises(UsageError, match="has shown nothing"), Drill("d"):
        pass


@pytest.mark.parametrize(("foreign", "credited"), [(False, [True, True]), (True, [True, False])])
def test_what_the_harness_does_for_a_foreign_platform_earns_it_nothing(foreign: bool, credited: list[bool]) -> None:
    with Drill("d", foreign=foreign) as drill:
        drill.step("promote", actor="operator", until=lambda: True, within=LONG)
        drill.step("restore", actor="harness", until=lambda: True, within=LONG)
    assert [step.credited for step in drill.steps] == credited


def test_every_step_control_and_healing_is_recorded() -> None:
    lines: list[tuple[str, dict[str, object]]] = []

    def record(kind: str, /, **data: object) -> None:
        lines.append((kind, data))

    with Drill("d", record=record) as drill:
        drill.heal("x", lambda: None)
        seen(drill)
        drill.control("lag", recovery("a"))
    assert [kind for kind, _ in lines] == ["step", "control", "healed"]
    assert all(data["drill"] == "d" for _, data in lines)
    assert drill.controls["lag"].rpo_rows == 1


def test_a_control_that_loses_nothing_fails_the_drill() -> None:
    with pytest.raises(StepFailed, match="lost 0: a probe that sees no loss here proves none"), Drill("d") as drill:
        drill.control("lag", recovery("a", "b"))


def test_a_command_gets_its_environment_and_tells_what_it_wrote() -> None:
    assert run_command('echo "to $DSN"', LONG, {"DSN": "there"}) == "to there\n"


@pytest.mark.parametrize(
    ("command", "within", "said"),
    [("echo no quorum; exit 3", LONG, "ended with 3: no quorum"), ("sleep 600 & wait", SHORT, "did not end within")],
)
def test_a_command_that_fails_or_hangs_fails_its_step(command: str, within: Any, said: str) -> None:
    with pytest.raises(StepFailed, match=said):
        run_command(command, within)
