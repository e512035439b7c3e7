"""What `smartattend prove` counts as proven, and that leaving it early ends what it started."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from pytest_smartattend import cli, prove
from pytest_smartattend.prove import Attempt, Check
from pytest_smartattend.readiness import folder
from pytest_smartattend.sabotage import catalogue

ONE, TWO = "scenarios/one", "scenarios/two"
FIELD = prove.Field({"x": "it", "y": "another"}, ["--pyargs", prove.SUITES], [])


@pytest.mark.parametrize(
    ("attempt", "caught"),
    [
        (Attempt("x", frozenset({ONE}), frozenset({ONE})), True),
        (Attempt("x", frozenset({ONE}), frozenset({ONE, TWO})), True),
        (Attempt("x", frozenset({ONE, TWO}), frozenset({ONE})), False),
        (Attempt("x", frozenset({ONE})), False),
        (Attempt("x", frozenset(), frozenset()), False),
        (Attempt("x", frozenset({ONE}), frozenset({ONE}), problem="pytest crashed"), False),
    ],
)
def test_a_defect_counts_as_caught_only_by_everybody_who_promised_it(attempt: Attempt, caught: bool) -> None:
    assert attempt.caught is caught


def test_a_defect_that_nobody_promised_to_catch_is_missed_without_a_run() -> None:
    attempt = prove._attempt(
        "x", checks=[Check(ONE, "a::b", frozenset({"y"}))], field=FIELD, everybody=False, run=_must_not_run
    )
    assert not attempt.caught
    assert "add it to a check's `detects`" in attempt.problem


def _must_not_run(_command: list[str]) -> tuple[int, str]:
    raise AssertionError("nothing was to run")


def test_only_the_checks_that_promised_are_asked() -> None:
    asked: list[list[str]] = []

    def run(command: list[str]) -> tuple[int, str]:
        asked.append(command)
        return 3, "no"

    checks = [Check(ONE, "one.py::test_one", frozenset({"x"})), Check(TWO, "two.py::test_two", frozenset({"y"}))]
    attempt = prove._attempt("x", checks=checks, field=FIELD, everybody=False, run=run)
    assert attempt.problem == "pytest ended with exit status 3:\nno"
    assert [word for word in asked[0] if "::" in word] == ["one.py::test_one"]


def ended(**statuses: str) -> dict[str, Any]:
    """A document in which each check, or cell, ended so: ``one_a="failed"`` is the cell ``a`` of ``scenarios/one``."""
    checks = []
    for name, status in statuses.items():
        check, _, cell = name.partition("_")
        checks.append({"id": f"scenarios/{check}" + (f"[{cell}]" if cell else ""), "status": status, "reason": "why"})
    return {"groups": [{"checks": checks}]}


def test_what_failed_is_read_from_the_document_by_check_not_by_cell() -> None:
    attempt = prove._judged("x", frozenset({ONE}), ended(one_a="passed", one_b="failed", two="failed", three="missing"))
    assert (set(attempt.caught_by), attempt.caught, attempt.problem) == ({ONE, TWO}, True, "")


def test_a_check_that_could_not_be_set_up_has_caught_nothing_and_says_why() -> None:
    attempt = prove._judged("x", frozenset({ONE}), ended(one="error", two="failed", three="error"))
    assert (set(attempt.caught_by), attempt.caught) == ({TWO}, False)
    assert attempt.problem == f"{ONE} did not come to its assertions, or could not be cleaned up: why"


def test_one_cell_that_failed_is_enough_whatever_became_of_the_others() -> None:
    attempt = prove._judged("x", frozenset({ONE}), ended(one_a="error", one_b="failed"))
    assert (attempt.caught, attempt.problem) == (True, "")


def test_a_check_that_caught_nothing_is_unproven() -> None:
    checks = [Check(ONE, "", frozenset({"x"})), Check(TWO, "", frozenset({"x"}))]
    assert prove._unproven(checks, [Attempt("x", frozenset({ONE, TWO}), frozenset({ONE}))]) == {TWO}


def test_every_shipped_check_promises_something_and_every_defect_is_promised() -> None:
    listed = subprocess.run(
        [
            *(sys.executable, "-c"),
            "import json, pytest_smartattend.prove as p; print(json.dumps([[c.id, *c.promises] for c in p.shipped_checks()]))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    promises: dict[str, set[str]] = {}
    for check, *names in json.loads(listed.stdout.splitlines()[-1]):
        promises.setdefault(check, set()).update(names)
    assert promises
    assert [check for check, names in promises.items() if not names] == []
    assert set(catalogue.by_name()) - set().union(*promises.values()) == set()


def test_stopping_interrupts_what_runs_and_starts_nothing_more(tmp_path: Path) -> None:
    running, begun = prove._Running(), tmp_path / "begun"
    os_wait = f"import pathlib, signal; pathlib.Path({str(begun)!r}).touch(); signal.pause()"
    outcomes: list[tuple[int, str]] = []
    thread = threading.Thread(target=lambda: outcomes.append(running.run([sys.executable, "-c", os_wait])))
    thread.start()
    while not begun.exists():
        thread.join(0.01)
    running.stop()
    thread.join(20)
    assert outcomes
    assert outcomes[0][0] == -signal.SIGINT
    assert "KeyboardInterrupt" in outcomes[0][1]
    assert running.run(["no-such-program"]) == (int(pytest.ExitCode.INTERRUPTED), "")


STUBBORN = """
import pathlib, signal, subprocess, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session={away})
pathlib.Path({told!r}).write_text(str(child.pid))
print("here", flush=True)
signal.pause()
"""


@pytest.mark.parametrize(("away", "says"), [(False, "here"), (True, "what it left behind holds its output")])
def test_what_is_out_of_time_and_does_not_stop_is_killed_with_its_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, away: bool, says: str
) -> None:
    monkeypatch.setattr(prove, "DEADLINE", 5.0)  # by then it has started, also on a busy machine
    monkeypatch.setattr(prove, "GRACE", 1.0)
    running, told = prove._Running(), tmp_path / "told"
    outcomes: list[tuple[int, str]] = []
    command = [sys.executable, "-c", STUBBORN.format(told=str(told), away=away)]
    thread = threading.Thread(target=lambda: outcomes.append(running.run(command)), daemon=True)
    thread.start()
    thread.join(60)
    left = int(told.read_text())
    try:
        assert [status for status, _ in outcomes] == [int(pytest.ExitCode.INTERRUPTED)]
        assert outcomes[0][1].startswith(says)
        assert outcomes[0][1].endswith("\nstopped after 5.0 s")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(left, signal.SIGKILL)
        for child in running._children:
            child.kill()


@pytest.mark.parametrize("place", ["folder", "file/proof.json", "file/below/proof.json", "/proc/proof.json"])
def test_a_proof_that_could_not_be_written_is_not_begun(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    monkeypatch.setattr(prove, "shipped_checks", lambda: pytest.fail("it was begun"))
    assert cli.main(["prove", f"--out={tmp_path / place}", "level-may-fall"]) == 2
    assert "no proof can be written there" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "file", tmp_path / "folder"]


def test_a_place_that_is_held_to_be_fit_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "proof.json").write_text("the one before")
    folder.check_proof_place(tmp_path / "proof.json")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("proof.json", "the one before")]
    folder.write_proof(tmp_path / "proof.json", {"version": 1})
    assert [(path.name, json.loads(path.read_text())) for path in tmp_path.iterdir()] == [
        ("proof.json", {"version": 1})
    ]
