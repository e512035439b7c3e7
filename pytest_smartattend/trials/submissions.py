"""Submissions as a storm sends them, and what must hold of a tenant's attendance when the storm is over."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

from pytest_smartattend.engine import checkers
from pytest_smartattend.engine.history import History
from pytest_smartattend.engine.verdicts import Judgement
from pytest_smartattend.evidence.record import Evidence
from pytest_smartattend.target.observer import Observer
from pytest_smartattend.target.people import Person, Tenant
from pytest_smartattend.trials.requests import Request

#: what makes a submission the same as another, by the path to which it goes (SPEC 2)
NATURAL_KEYS = {
    "/school/attendance": ("class_session_id", "student_id", "date"),
    "/corporate/checkins": ("employee_id", "shift_date", "direction"),
}
#: of a stored record, the same as the histories of storms have
_STORED = (
    "select id::text, concat_ws(' ', class_session_id, person_id, day, direction) as key"
    " from attendance where tenant_id = %s"
)
_HISTORIES = (
    "select count(*) from attendance a where tenant_id = %s"
    " and 1 <> (select count(*) from attendance_history h where h.attendance_id = a.id and h.seq = 1)"
)
_ANSWERS = (
    "select count(*) from idempotency_keys k where tenant_id = %s and status < 300"
    " and not exists (select from attendance a where a.id::text = k.answer ->> 'id' and a.tenant_id = k.tenant_id)"
)


def submission_request(person: Person, body: Mapping[str, Any], idempotency_key: str | None = None) -> Request:
    """`body` as `person` submits it; a history keeps it under its natural key."""
    path = next(path for path, fields in NATURAL_KEYS.items() if fields[0] in body)
    key = " ".join(str(body[name]) for name in NATURAL_KEYS[path])
    return Request("POST", path, person.token or "", body, key, idempotency_key)


def distinct_submissions(tenant: Tenant, prefix: str) -> list[Request]:
    """Every submission that makes a record of its own in this tenant, as staff makes it for others.

    Each has an Idempotency-Key, ``prefix-0``, ``prefix-1``, …: the same in every run, so that a fault that counts by key
    strikes the same of them again.
    """
    roster = tenant.roster
    whose = "student_id" if roster.kind == "school" else "employee_id"
    places = (
        [{"class_session_id": session} for session in roster.class_session_ids]
        if roster.kind == "school"
        else [{"direction": direction} for direction in ("in", "out")]
    )
    every = product(range(len(roster.days)), places, (roster.person_id, roster.other_id))
    now = tenant.nobody.now()
    bodies = ({**roster.submission(now, day=day), **place, whose: person} for day, place, person in every)
    return [submission_request(tenant.staff, body, f"{prefix}-{number}") for number, body in enumerate(bodies)]


def validate_submissions(
    evidence: Evidence, observer: Observer, tenant: Tenant, history: History, connections_at_rest: int | None = None
) -> None:
    """Compare what was answered with what is stored, past every proxy, and look for what was left behind.

    Args:
        evidence: where every judgement is told; the first that does not hold fails the test.
        observer: reads the database.
        tenant: whose attendance.
        history: every submission to this tenant, and nothing else.
        connections_at_rest: how many connections the platform may keep; None where it runs in this process.

    Raises:
        AssertionError: something does not hold, or was not shown to.
    """
    rows = [(row["key"], row["id"]) for row in observer.rows(_STORED, tenant.id)]
    judge(evidence, checkers.exactly_once(history, rows))
    judge(evidence, checkers.nothing_lost(history, rows))
    judge(evidence, checkers.nothing_invented(history, rows))
    judge(evidence, checkers.same_id(history))
    evidence.expect("records without the one beginning of their history", observer.value(_HISTORIES, tenant.id), 0)
    evidence.expect("kept answers that name no record", observer.value(_ANSWERS, tenant.id), 0)
    if connections_at_rest is None:
        evidence.expect("locks and transactions left", observer.leftovers(), [])
    else:
        open_now = observer.connections(at_rest=connections_at_rest)
        left = checkers.nothing_left(observer.leftovers(), open_now, connections_at_rest)
        judge(evidence, left)
    evidence.measure("records", len(rows), "rows")


def judge(evidence: Evidence, judgement: Judgement) -> None:
    """Tell a judgement as an invariant: what was not shown to hold does not.

    Raises:
        AssertionError: it does not hold.
    """
    evidence.invariant(judgement.name, judgement.holds, str(judgement))
