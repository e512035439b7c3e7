"""The steps of a drill: ended by what is seen, failed by what is not, and healed in every case."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest

from pytest_smartattend.engine.history import Operation
from pytest_smartattend.engine.units import MILLISECOND, SECOND
from pytest_smartattend.errors import FaultNotHealed, StepFailed, UsageError
from pytest_smartattend.trials.drill import Drill
from pytest_smartattend.trials.operator_command import run_command
from pytest_smartattend.trials.probe import Probe

LONG = 30 * SECOND
SHORT = 50 * MILLISECOND
#: so long that even a busy machine has acted and looked by then
LOOKED = 1 * SECOND


def seen(drill: Drill, name: str = "a step") -> None:
    drill.step(name, actor="harness", until=lambda: True, within=LONG)


def wrote(*keys: str) -> Probe:
    """A probe that has written these, each acknowledged at the instant 1."""
    probe = Probe(lambda _: None, writers=0)  # type: ignore[arg-type,return-value]
    with probe:
        for key in keys:
            probe.history.append(Operation(0, "write", key, None, "ok", None, 0, 1))
    return probe


def wrote_again(*keys: str) -> Probe:
    """The same, and "again" after the instant 2."""
    probe = wrote(*keys)
    probe.history.append(Operation(0, "write", "again", None, "ok", None, 3, 4))
    return probe


def test_a_step_ends_when_its_observation_comes_and_keeps_what_was_seen() -> None:
    looks: list[dict[str, Any] | None] = [None, None, {"lsn": "0/3000060"}]
    with Drill("d") as drill:
        facts = drill.step("detect", actor="platform", until=lambda: looks.pop(0), within=LONG)
    assert facts == {"lsn": "0/3000060"}
    assert [(step.name, step.actor, step.problem) for step in drill.steps] == [("detect", "platform", "")]
    assert 0 <= drill.steps[0].seconds < 30


def test_an_action_that_returns_is_no_observation() -> None:
    with pytest.raises(StepFailed, match="what must be seen did not come"), Drill("d") as drill:
        drill.step("promote", actor="operator", action=lambda: True, until=lambda: False, within=LOOKED)
    assert drill.steps[0].problem
    assert drill.steps[0].seconds >= LOOKED / SECOND


def test_a_look_that_fails_is_asked_again_and_the_last_problem_is_told() -> None:
    def refused() -> bool:
        raise ConnectionError("refused")

    with pytest.raises(StepFailed, match="the last look: ConnectionError: refused"), Drill("d") as drill:
        drill.step("detect", actor="platform", until=refused, within=LOOKED)


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


@pytest.mark.parametrize(
    ("foreign", "stand_in", "credited"),
    [(False, False, [True, True]), (True, False, [True, False]), (True, True, [False, False])],
)
def test_what_the_harness_does_for_a_foreign_platform_earns_it_nothing(
    foreign: bool, stand_in: bool, credited: list[bool]
) -> None:
    with Drill("d", foreign=foreign, stand_in=stand_in) as drill:
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
        assert drill.must_lose(wrote("a", "b"), ["a"], 2).rpo_rows == 1
    assert [kind for kind, _ in lines] == ["step", "drill", "control", "healed"]
    assert all("d" in (data.get("drill"), data.get("title")) for _, data in lines)
    assert lines[1][1]["control"] is True
    assert [phase["name"] for phase in lines[1][1]["phases"]] == ["a step"]  # type: ignore[attr-defined]


def test_what_a_fault_cost_is_measured_against_its_limits_and_told_beside_its_floor() -> None:
    told: list[tuple[str, float, str, float | None, bool]] = []

    def measure(name: str, value: float, unit: str, limit: float | None = None, *, objective: bool = False) -> None:
        told.append((name, value, unit, limit, objective))

    with Drill("d", measure=measure) as drill:
        seen(drill)
        drill.cost(wrote_again("a"), ["a", "again"], 2, rto=LONG, rpo=SECOND, floor=0.5)
    assert [(name, unit, limit, objective) for name, _, unit, limit, objective in told] == [
        ("RTO of d", "s", 30, True),
        ("RPO of d", "s", 1, True),
        ("writes lost by d", "writes", None, False),
        ("floor of d", "s", None, False),
        ("RTO of d, in floors", "times", None, False),
    ]


def test_where_nothing_may_be_lost_the_writes_themselves_are_counted() -> None:
    told: dict[str, tuple[float, str, float | None, bool]] = {}

    def measure(name: str, value: float, unit: str, limit: float | None = None, *, objective: bool = False) -> None:
        told[name] = (value, unit, limit, objective)

    with Drill("d", measure=measure) as drill:
        seen(drill)
        drill.cost(wrote_again("a"), ["a"], 2, rpo=0 * SECOND)  # a loss of no length
    assert told["RPO of d"] == (0.0, "s", 0.0, True)
    assert told["writes lost by d"] == (1, "writes", 0.0, True)


def test_an_outage_that_nobody_saw_end_is_within_no_limit() -> None:
    probe = wrote("a", "b")
    with Drill("d") as drill:
        seen(drill)
        with pytest.raises(StepFailed, match="no write acknowledged that began after its fault"):
            drill.cost(probe, ["a", "b"], 2, rto=LONG)


def test_a_control_that_loses_nothing_fails_the_drill() -> None:
    probe = wrote("a", "b")
    with Drill("d") as drill:
        seen(drill)
        with pytest.raises(StepFailed, match="showed 0: eyes that see none here prove none"):
            drill.must_lose(probe, ["a", "b"], 2)


def test_a_command_gets_its_environment_and_tells_what_it_wrote() -> None:
    assert run_command('echo "to $DSN"', LONG, {"DSN": "there"}) == "to there\n"


@pytest.mark.parametrize(
    ("command", "within", "said"),
    [("echo no quorum; exit 3", LONG, "ended with 3: no quorum"), ("sleep 600 & wait", SHORT, "did not end within")],
)
def test_a_command_that_fails_or_hangs_fails_its_step(command: str, within: Any, said: str) -> None:
    with pytest.raises(StepFailed, match=said):
        run_command(command, within)


def test_a_command_has_ended_though_the_server_that_it_started_holds_its_output() -> None:
    pid = int(run_command("setsid sleep 600 & echo $!", LONG))
    os.kill(pid, signal.SIGKILL)
