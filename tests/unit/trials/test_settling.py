"""What a platform took for later is waited for before it is called lost, and one that never stores it fails the drill."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_smartattend.engine.history import History, Operation
from pytest_smartattend.engine.units import SECOND
from pytest_smartattend.errors import StepFailed
from pytest_smartattend.trials import drills as module
from pytest_smartattend.trials.drill import Drill
from pytest_smartattend.trials.drills import Drills


def settled(monkeypatch: pytest.MonkeyPatch, looks: list[list[str]], patience: timedelta = 30 * SECOND) -> Drill:
    """A drill that looked at the stored titles of `looks`, one after the other, the last until its patience ends."""
    answers = [("at once", "ok", 201), ("later", "ok", 202), ("refused", "failed", 503)]
    history = History(
        Operation(0, "write", key, None, outcome, {"status": status}, 1, 2)  # type: ignore[arg-type]
        for key, outcome, status in answers
    )
    monkeypatch.setattr(module, "SETTLED", patience)
    monkeypatch.setattr(Drills, "reported", lambda *_: looks.pop(0) if len(looks) > 1 else looks[0])
    given: Any = SimpleNamespace(history=history)
    nobody: Any = None
    drill = Drill("a drill")
    Drills(nobody, nobody, nobody, record=nobody, measure=nobody).settle(drill, nobody, nobody, given)
    return drill


def test_it_waits_until_what_was_taken_for_later_is_stored_and_for_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drill = settled(monkeypatch, [[], [], ["later"]])
    assert [step.facts for step in drill.steps] == [{"taken for later": 1}]


def test_what_is_never_stored_fails_the_step_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StepFailed, match="1 of 1 are not stored: later"):
        settled(monkeypatch, [["at once"]], 1 * SECOND)
