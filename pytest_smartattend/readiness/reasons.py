"""Every reason that a verdict can have, and the status that it brings. One table; docs/reference/exit-codes.md shows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

#: statuses from worst to best, with the gate's exit code: the first that has a reason holds
STATUSES = {"not_ready": 20, "incomplete": 30, "at_risk": 10, "ready": 0}

#: what is not a verdict at all
UNTRUSTWORTHY = 40
USAGE = 2


@dataclass(frozen=True)
class Code:
    """One row: the status that the reason brings, what it says, what to do."""

    status: str
    says: str
    advice: str


CODES: dict[str, Code] = {
    "check_failed": Code("not_ready", "a required check failed", "read what it saw beside what it expected; mend that"),
    "check_error": Code("not_ready", "a required check could not be set up or cleaned up", "read its error; mend that"),
    "check_xfailed": Code(
        "not_ready", "a required check failed and is marked xfail", "mend it, or waive it with an owner and a day"
    ),
    "invariant_broken": Code(
        "not_ready", "an invariant broke", "mend this first; it can be neither waived nor allowed"
    ),
    "objective_missed": Code("not_ready", "an objective was missed", "bring the figure under its limit"),
    "sabotaged_target": Code("not_ready", "a defect was planted in the target", "run without --smartattend-sabotage"),
    "unfinished": Code("incomplete", "the run was started and did not finish", "run it again, to its end"),
    "run_interrupted": Code("incomplete", "the run was stopped", "run it again, to its end"),
    "shard_absent": Code(
        "incomplete", "a part of a divided run is absent", "put all parts together with `smartattend merge`"
    ),
    "nothing_required": Code("incomplete", "nothing is required, so nothing was shown", "require something"),
    "check_missing": Code(
        "incomplete", "a required check was never collected", "was its file deleted, renamed or left out? run it"
    ),
    "check_deselected": Code("incomplete", "a required check was deselected", "run without -k, -m, --deselect, --lf"),
    "check_not_run": Code(
        "incomplete",
        "a required check was collected and not run",
        "mend what stopped the run before it; run without -x, and with time enough",
    ),
    "check_not_called": Code("incomplete", "a required check was set up and never called", "run without --setup-plan"),
    "check_vanished": Code(
        "incomplete", "a required check was started and never reported", "read the worker's error in pytest's output"
    ),
    "check_crashed": Code("incomplete", "the process died under a required check", "find what killed it; run again"),
    "check_interrupted": Code("incomplete", "a required check was interrupted", "run it again, to its end"),
    "check_skipped": Code(
        "incomplete", "a required check was skipped, and no waiver says that it may be", "let it run, or declare it"
    ),
    "no_evidence": Code("incomplete", "a required check passed and left no evidence", "record what it saw"),
    "evidence_lost": Code(
        "incomplete",
        "a required check passed and its evidence is not in the journal",
        "keep the temporary folder whole",
    ),
    "impostor": Code(
        "incomplete", "another test carries the id of a shipped check", "give it an id of its own; run the shipped one"
    ),
    "internal_error": Code("incomplete", "pytest had an internal error", "read it in pytest's output; mend its cause"),
    "worker_lost": Code("incomplete", "a worker process was lost", "find what killed it; run again"),
    "journal_broken": Code("incomplete", "a journal was changed or damaged", "run again; let nobody write into it"),
    "requirements_differ": Code(
        "incomplete", "it was measured against other requirements than the gate's", "run with the gate's version"
    ),
    "too_old": Code("incomplete", "it is older than is accepted", "run again"),
    "from_the_future": Code("incomplete", "it is dated in the future", "set the clocks right; run again"),
    "other_target": Code("incomplete", "it is about another target", "gate the document of this target"),
    "other_subject": Code(
        "incomplete", "it is about another subject", "run on what is to be released, with every change in a commit"
    ),
    "other_scope": Code("incomplete", "it is about another scope", "run with the gate's readiness.toml"),
    "waived": Code("at_risk", "a required check failed and is waived", "mend it before the waiver ends"),
    "declared_skip": Code("at_risk", "a required check was skipped, as a waiver declares", "let it run again"),
    "objective_near_limit": Code("at_risk", "an objective is over 80 % of its limit", "win back the margin"),
    "passed_on_rerun": Code("at_risk", "a required check passed only on a rerun", "find why it failed at first"),
    "unexpected_pass": Code("at_risk", "a required check passed and is marked xfail", "take the mark off"),
    "postgres_major": Code(
        "at_risk", "it ran on another PostgreSQL major than the scope declares", "run it on production's version"
    ),
}

#: status of a required check → code; what is not here is fine
OF_CHECK: dict[str, str] = {
    "failed": "check_failed",
    "error": "check_error",
    "xfailed": "check_xfailed",
    "missing": "check_missing",
    "deselected": "check_deselected",
    "not_run": "check_not_run",
    "not_called": "check_not_called",
    "vanished": "check_vanished",
    "crashed": "check_crashed",
    "interrupted": "check_interrupted",
    "skipped": "check_skipped",
    "no_evidence": "no_evidence",
    "evidence_lost": "evidence_lost",
    "impostor": "impostor",
    "rerun": "passed_on_rerun",
    "xpassed": "unexpected_pass",
}
#: what a waiver makes of a check's code; it changes no other
WAIVED: dict[str, str] = {
    "check_failed": "waived",
    "check_error": "waived",
    "check_xfailed": "waived",
    "check_skipped": "declared_skip",
}

assert set(OF_CHECK.values()) | set(WAIVED.values()) <= set(CODES)


@dataclass(frozen=True)
class Reason:
    """Why a verdict is not better than it is.

    Attributes:
        code: a row of `CODES`.
        evidence: the checks, objectives or lines that show it.
    """

    code: str
    evidence: tuple[str, ...] = ()

    @property
    def status(self) -> str:
        """The status that it brings."""
        return CODES[self.code].status

    def text(self) -> str:
        """One sentence with the first few of what shows it."""
        shown = ", ".join(self.evidence[:3]) + (f" and {len(self.evidence) - 3} more" if len(self.evidence) > 3 else "")
        return CODES[self.code].says + (f": {shown}" if shown else "")

    def entry(self) -> dict[str, object]:
        """As it stands in a document."""
        return {"code": self.code, "status": self.status, "text": self.text(), "evidence": list(self.evidence)}


def status_from(reasons: Iterable[Reason]) -> str:
    """The first of `STATUSES` that has a reason; ``ready`` where none has."""
    found = {reason.status for reason in reasons}
    return next((status for status in STATUSES if status in found), "ready")
