"""What became of one attempt at a test, and what several attempts make of a check. Tables, and nothing alive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

#: Outcomes of an attempt, from worst to best. The worst attempt decides, with one exception: `rerun` is a failure that
#: pytest was told to repeat, and counts as a failure only where no later attempt passed.
ORDER = (
    "failed",  # the test's own code failed
    "error",  # its set-up or its clean-up failed
    "xfailed",  # it failed, and somebody had marked it as expected to
    "crashed",  # the process died under it
    "vanished",  # it was started, and no report of it ever came
    "interrupted",  # the run was stopped while it ran
    "not_called",  # set up and cleaned up, never called: --setup-plan, --setup-only
    "impostor",  # it passed under the id of a shipped check, and is none
    "evidence_lost",  # it passed, and what it recorded is not in the journal
    "no_evidence",  # it passed, and recorded nothing
    "skipped",
    "rerun",
    "xpassed",  # it passed, and somebody had marked it as expected to fail
    "passed",
)
#: fates of a check that has no attempt at all
ABSENT = ("missing", "deselected", "not_run")
#: outcomes of a test whose report is complete: pytest itself knows about these
REPORTED = frozenset({"failed", "error", "xfailed", "crashed", "skipped", "rerun", "xpassed", "passed", "not_called"})


@dataclass(frozen=True)
class Phases:
    """The reports of one attempt.

    Attributes:
        setup, call, teardown: the outcome of that phase; empty where no report came.
        crashed: whether xdist reported that the worker died.
        expected_to_fail: whether the test carries an xfail mark.
        rerun: whether a plugin said that the attempt is repeated.
    """

    setup: str = ""
    call: str = ""
    teardown: str = ""
    crashed: bool = False
    expected_to_fail: bool = False
    rerun: bool = False

    def outcome(self) -> str:
        """One of `ORDER`; ``vanished`` where the reports end before the clean-up's."""
        if self.crashed:
            return "crashed"
        if self.rerun:
            return "rerun"
        if self.call == "failed":
            return "failed"
        if "failed" in {self.setup, self.teardown}:
            return "error"
        if not (self.setup and self.teardown):
            return "vanished"
        if "skipped" in {self.setup, self.call, self.teardown}:
            return "xfailed" if self.expected_to_fail else "skipped"
        if self.call == "passed":
            return "xpassed" if self.expected_to_fail else "passed"
        return "not_called"


@dataclass(frozen=True)
class Attempt:
    """One attempt at a test.

    Attributes:
        test: pytest's name of the test.
        worker: the process that made it; empty where nobody knows.
        outcome: one of `ORDER`.
        seconds: the time that its reports tell, real.
        reason: why it did not pass, shortly.
        events: how much evidence is in the journal.
        head: the hash with which the journal must end this attempt; empty where no report brought one.
        began: seconds of the run at which it began; None where no journal tells.
    """

    test: str
    worker: str
    outcome: str
    seconds: float = 0.0
    reason: str = ""
    events: int = 0
    head: str = ""
    began: float | None = None

    def but(self, outcome: str, reason: str) -> Attempt:
        """The same attempt, with another outcome."""
        return replace(self, outcome=outcome, reason=reason)


def status_of(check: Mapping[str, Any]) -> str:
    """The status of a check in a document, from its attempts alone; its fate where it has none."""
    attempts = check["attempts"]
    if not attempts:
        return str(check["status"]) if check["status"] in ABSENT else "missing"
    outcomes = {_weighed(attempt) for attempt in attempts}
    worst = min(outcomes, key=ORDER.index)
    return "failed" if worst == "rerun" and not outcomes & {"passed", "xpassed"} else worst


def _weighed(attempt: Mapping[str, Any]) -> str:
    outcome = str(attempt["outcome"])
    return "no_evidence" if outcome == "passed" and not attempt["events"] else outcome
