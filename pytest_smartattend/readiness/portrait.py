"""One check as a document shows it: its attempts, and what it saw, within bounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from pytest_smartattend.readiness import activity
from pytest_smartattend.readiness.integrity import Fate
from pytest_smartattend.readiness.outcomes import Attempt, status_of
from pytest_smartattend.readiness.verdict import objective_status
from pytest_smartattend.readiness.witness import JournaledAttempt, statements

#: at most this many of each kind stand in a document; the counts stay whole
MEASUREMENTS = 200
TIMELINE = 200
FAILURES = 20
OPERATIONS = 50
LOGS = 3
_REASON = 2_000


def draw(name: str, *, required: bool, fates: Sequence[Fate], detects: Iterable[str] = ()) -> dict[str, Any]:
    """The entry of a check in ``groups[].checks[]``.

    Args:
        name: the check's id.
        required: whether the verdict needs it.
        fates: of every test that carries the id; empty where none was ever collected.
        detects: the planted defects that it promised to catch.
    """
    attempts = [attempt for fate in fates for attempt in fate.attempts]
    evidence = [one for fate in fates for one in fate.evidence]
    absent = next((fate.absent for fate in fates if fate.absent), "missing")
    check: dict[str, Any] = {
        "id": name,
        "required": required,
        "status": absent,
        "reason": "",
        "tests": [fate.test for fate in fates],
        "detects": sorted(detects),
        "attempts": [_attempt(attempt) for attempt in attempts],
        "counts": _counts(evidence),
        "measurements": _measurements(evidence),
        "timeline": list(statements(evidence, "event"))[:TIMELINE],
        "failures": _failures(evidence),
        "notes": [note["text"] for note in statements(evidence, "note")][:FAILURES],
        **activity.drawn(_operations(evidence)),
    }
    check["status"] = status_of(check)
    check["reason"] = next((one.reason for one in attempts if one.outcome == check["status"] and one.reason), "")
    if check["status"] != "passed":
        check["operations"] = _operations(evidence)[-OPERATIONS:]
        check["logs"] = [dict(one) for one in statements(evidence, "log")][-LOGS:]
    return check


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "worker": attempt.worker,
        "outcome": attempt.outcome,
        "seconds": round(attempt.seconds, 6),
        "events": attempt.events,
        "reason": attempt.reason[:_REASON],
        "began": None if attempt.began is None else round(attempt.began, 6),
    }


def _counts(evidence: Sequence[JournaledAttempt]) -> dict[str, Any]:
    expectations = list(statements(evidence, "expect"))
    invariants = list(statements(evidence, "invariant"))
    operations = Counter(operation[3] for operation in _operations(evidence))
    return {
        "expectations": len(expectations),
        "expectations_failed": sum(not one["held"] for one in expectations),
        "invariants": len(invariants),
        "invariants_broken": [str(one["name"]) for one in invariants if not one["held"]][:FAILURES],
        "operations": {outcome: operations[outcome] for outcome in sorted(operations)},
    }


def _operations(evidence: Sequence[JournaledAttempt]) -> list[list[Any]]:
    return [operation for batch in statements(evidence, "operations") for operation in batch.get("operations", [])]


def _measurements(evidence: Sequence[JournaledAttempt]) -> list[dict[str, Any]]:
    return list(statements(evidence, "measure"))[:MEASUREMENTS]


def _failures(evidence: Sequence[JournaledAttempt]) -> list[dict[str, Any]]:
    found = [
        {"kind": kind, **{key: one[key] for key in ("name", "seen", "expected", "detail", "cut") if key in one}}
        for kind in ("expect", "invariant")
        for one in statements(evidence, kind)
        if not one["held"]
    ]
    return found[:FAILURES]


def objectives(name: str, fates: Sequence[Fate]) -> list[dict[str, Any]]:
    """The objectives that a check measured; of several figures for one name and limit, the worst."""
    worst: dict[tuple[str, str, float], float] = {}
    for one in statements([attempt for fate in fates for attempt in fate.evidence], "measure"):
        if one["objective"]:
            key = (one["name"], one["unit"], one["limit"])
            worst[key] = max(one["value"], worst.get(key, one["value"]))
    return [
        {
            "name": title,
            "unit": unit,
            "limit": limit,
            "observed": observed,
            "status": objective_status(observed, limit),
            "check": name,
        }
        for (title, unit, limit), observed in worst.items()
    ]


def faults(name: str, fates: Sequence[Fate]) -> list[dict[str, Any]]:
    """The faults that were carried out in a check, with their seeds."""
    return [
        {"check": name, **one} for one in statements([attempt for fate in fates for attempt in fate.evidence], "fault")
    ]
