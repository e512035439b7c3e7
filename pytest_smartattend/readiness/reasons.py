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
    "check_failed": Code(
        "not_ready",
        "a required check failed",
        "read in readiness.html what it saw beside what it expected; mend the platform there, and run the command shown beside it",
    ),
    "check_error": Code(
        "not_ready",
        "a required check could not be set up or cleaned up",
        "read its error in readiness.html; mend what it needs: platform, adapter or database; `smartattend doctor` looks at all",
    ),
    "check_xfailed": Code(
        "not_ready",
        "a required check failed and is marked xfail",
        "mend what it names; or take the mark off and waive it under [[waivers]] in readiness.toml, with an owner and a day",
    ),
    "invariant_broken": Code(
        "not_ready",
        "an invariant broke",
        "read in readiness.html which rows broke it; mend this first; it can be neither waived nor allowed",
    ),
    "objective_missed": Code(
        "not_ready",
        "an objective was missed",
        "read under Objectives in readiness.html where the time went; bring the figure under its limit",
    ),
    "sabotaged_target": Code("not_ready", "a defect was planted in the target", "run without --smartattend-sabotage"),
    "unfinished": Code("incomplete", "the run was started and did not finish", "run it again, to its end"),
    "run_interrupted": Code("incomplete", "the run was stopped", "run it again, to its end"),
    "shard_absent": Code(
        "incomplete", "a part of a divided run is absent", "put all parts together with `smartattend merge`"
    ),
    "nothing_required": Code(
        "incomplete",
        "nothing is required, so nothing was shown",
        "take entries out of not_applicable in readiness.toml, or leave --requirements out",
    ),
    "check_missing": Code(
        "incomplete",
        "a required check was never collected",
        "was its file deleted, renamed or left out of the run? `smartattend plan` lists what would run; run without paths and --suites",
    ),
    "check_deselected": Code(
        "incomplete",
        "a required check was deselected",
        "run without what left it out: --smartattend-checks (SMARTATTEND_CHECKS), -k, -m, --deselect or --lf",
    ),
    "check_not_run": Code(
        "incomplete",
        "a required check was collected and not run",
        "read at the end of pytest's output what stopped the run; run without -x, and with a longer --smartattend-budget",
    ),
    "check_not_called": Code("incomplete", "a required check was set up and never called", "run without --setup-plan"),
    "check_vanished": Code(
        "incomplete", "a required check was started and never reported", "read the worker's error in pytest's output"
    ),
    "check_crashed": Code(
        "incomplete",
        "the process died under a required check",
        "find what killed it, in pytest's output and the system's log (out of memory?); run again",
    ),
    "check_interrupted": Code("incomplete", "a required check was interrupted", "run it again, to its end"),
    "check_skipped": Code(
        "incomplete",
        "a required check was skipped, and no waiver says that it may be",
        "`smartattend plan` says what the target lacks: give it in the adapter; or declare it in readiness.toml, under not_applicable",
    ),
    "no_evidence": Code(
        "incomplete",
        "a required check passed and left no evidence",
        "record in the test what it saw, with the fixture evidence: evidence.expect(…)",
    ),
    "evidence_lost": Code(
        "incomplete",
        "a required check passed and its evidence is not in the journal",
        "let nothing clean the temporary folder during a run; run again",
    ),
    "impostor": Code(
        "incomplete",
        "another test carries the id of a shipped check",
        "give the test an id of its own in its mark; run the shipped check beside it",
    ),
    "internal_error": Code("incomplete", "pytest had an internal error", "read it in pytest's output; mend its cause"),
    "worker_lost": Code(
        "incomplete",
        "a worker process was lost",
        "find what killed it, in pytest's output and the system's log (out of memory?); run again",
    ),
    "journal_broken": Code("incomplete", "a journal was changed or damaged", "run again; let nobody write into it"),
    "requirements_differ": Code(
        "incomplete",
        "it was measured against other requirements than the gate's",
        "install one version of pytest-smartattend for run and gate, or give both the same --requirements; run again",
    ),
    "too_old": Code(
        "incomplete", "it is older than is accepted", "run `smartattend readiness` again, or accept more with --max-age"
    ),
    "from_the_future": Code(
        "incomplete", "it is dated in the future", "set the clock of the machine that ran it, or of this one; run again"
    ),
    "other_target": Code(
        "incomplete", "it is about another target", "give the gate the document of a run with this --target"
    ),
    "other_subject": Code(
        "incomplete", "it is about another subject", "run on what is to be released, with every change in a commit"
    ),
    "other_scope": Code(
        "incomplete", "it is about another scope", "run with --scope and the same readiness.toml that the gate is given"
    ),
    "waived": Code(
        "at_risk",
        "a required check failed and is waived",
        "mend it before the day in `expires` of its waiver in readiness.toml",
    ),
    "declared_skip": Code(
        "at_risk",
        "a required check was skipped, as a waiver declares",
        "give the target what its reason names, then take the waiver out of readiness.toml",
    ),
    "objective_near_limit": Code(
        "at_risk",
        "an objective is over 80 % of its limit",
        "read under Objectives in readiness.html where the time went, and compare with the run before",
    ),
    "passed_on_rerun": Code(
        "at_risk",
        "a required check passed only on a rerun",
        "read its first attempt in readiness.html; find why it failed, before it fails in production",
    ),
    "unexpected_pass": Code(
        "at_risk", "a required check passed and is marked xfail", "take the xfail mark off the test"
    ),
    "postgres_major": Code(
        "at_risk",
        "it ran on another PostgreSQL major than the scope declares",
        "run it on production's version: --smartattend-postgres-version; or correct postgres in readiness.toml",
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
