"""The gate: from a document that somebody hands over to an exit code. Believes the evidence, not the status."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_smartattend.errors import EvidenceError, UsageError
from pytest_smartattend.readiness import reading, sealing
from pytest_smartattend.readiness.reasons import CODES, STATUSES, UNTRUSTWORTHY, Reason, status_from
from pytest_smartattend.readiness.requirements import Requirements
from pytest_smartattend.readiness.subject import difference, matches
from pytest_smartattend.readiness.verdict import contradictions, judge
from pytest_smartattend.readiness.wording import duration, many

#: clocks of two machines may differ by this much before a document is from the future
TOLERANCE = dt.timedelta(minutes=5)


@dataclass(frozen=True)
class Question:
    """What the gate is asked.

    Attributes:
        requirements: what must have been shown.
        at: the present moment, aware.
        max_age: how old a document may be.
        target, subject, scope: what the document must be about (`scope`: digest of a readiness.toml); None: anything.
        allow: codes of `at_risk` that are forgiven.
        key: the signing key; empty for none.
        must_be_signed: whether a document without a checked signature is refused.
        run: the process that must have written it; None: any.
    """

    requirements: Requirements
    at: dt.datetime
    max_age: dt.timedelta
    target: str | None = None
    subject: str | None = None
    scope: str | None = None
    allow: Collection[str] = ()
    key: bytes = b""
    must_be_signed: bool = False
    run: int | None = None


@dataclass(frozen=True)
class Answer:
    """What the gate says.

    Attributes:
        exit_code: 0, 10, 20, 30 or 40.
        status: one of `STATUSES`; ``untrustworthy`` for what is no verdict.
        reasons: what holds it back, worst first, without what was allowed.
        allowed: reasons that were forgiven by name.
        faults: why the document cannot be trusted, in words.
        document: the document; None where it could not be read.
    """

    exit_code: int
    status: str
    reasons: tuple[Reason, ...] = ()
    allowed: tuple[Reason, ...] = ()
    faults: tuple[str, ...] = ()
    document: dict[str, Any] | None = None


def ask(path: Path, question: Question) -> Answer:
    """Judge the document in `path`.

    Raises:
        UsageError: `allow` names something that cannot be allowed.
    """
    check_allowed(question.allow)
    try:
        document = reading.read(path)
        faults = sealing.faults(document, question.key, must_be_signed=question.must_be_signed)
    except EvidenceError as problem:
        return Answer(UNTRUSTWORTHY, "untrustworthy", faults=(str(problem),))
    if not faults and document["scope"]["requirements"]["digest"] == question.requirements.digest:
        faults = list(contradictions(document, question.requirements))
    if faults:
        return Answer(UNTRUSTWORTHY, "untrustworthy", faults=tuple(faults), document=document)
    reasons = [
        *judge(document, question.requirements, question.at.astimezone(dt.UTC).isoformat()),
        *_about(document, question),
    ]
    order = list(CODES)
    reasons.sort(key=lambda reason: order.index(reason.code))
    held = tuple(reason for reason in reasons if reason.code not in question.allow)
    status = status_from(held)
    allowed = tuple(reason for reason in reasons if reason.code in question.allow)
    return Answer(STATUSES[status], status, held, allowed, document=document)


def check_allowed(codes: Collection[str]) -> None:
    """Hold `codes` to what may be allowed.

    Raises:
        UsageError: one is unknown, or brings a status above ``at_risk``.
    """
    allowable = [code for code, row in CODES.items() if row.status == "at_risk"]
    for code in codes:
        if code not in allowable:
            known = f"brings {CODES[code].status}" if code in CODES else "is unknown"
            raise UsageError(
                f"--allow {code}: it {known}. Only reasons of at_risk can be allowed: {', '.join(allowable)}."
            )


def _about(document: dict[str, Any], question: Question) -> list[Reason]:
    """What a gate asks beyond the evidence: how old, and about what."""
    found = []
    written = document["run"]["finished"] or document["run"]["started"]
    age = question.at - dt.datetime.fromisoformat(written)
    if age > question.max_age:
        found.append(Reason("too_old", (f"{written}, {_age(age)} ago",)))
    if age < -TOLERANCE:
        found.append(Reason("from_the_future", (written,)))
    if question.target is not None and document["target"]["name"] != question.target:
        found.append(Reason("other_target", (f"{document['target']['name']}, not {question.target}",)))
    if question.subject is not None and not matches(document["subject"], question.subject):
        found.append(Reason("other_subject", (difference(document["subject"], question.subject),)))
    if question.scope is not None and document["scope"]["digest"] != question.scope:
        found.append(Reason("other_scope", (document["scope"]["text"],)))
    if question.run is not None and document["run"]["pid"] != question.run:
        found.append(Reason("unfinished", ("the run that was started wrote no document",)))
    return found


def _age(age: dt.timedelta) -> str:
    """In days and hours, and below a day as finely as a limit of minutes asks for."""
    if age.days:
        return f"{many(age.days, 'day')} and {many(age.seconds // 3600, 'hour')}"
    return duration(age.total_seconds())
