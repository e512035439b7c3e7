"""Scenario 4: every endpoint, every role, own and foreign tenant."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest

from pytest_smartattend import Answer, Evidence, Observer, Tenant, contract, incident_in

CELLS = [
    (endpoint, role, where)
    for endpoint in contract.ENDPOINTS
    if endpoint.has_row
    for role in contract.ROLES
    for where in ("own", "foreign")
]


@pytest.mark.scenario("scenarios/tenant-isolation")
@pytest.mark.detects(
    "tenant-filter-off", "wrong-role-accepted", "forbidden-instead-of-not-found", "foreign-row-told", "reporter-may-act"
)
@pytest.mark.parametrize(
    ("endpoint", "role", "where"), CELLS, ids=[f"{endpoint.name}-{role}-{where}" for endpoint, role, where in CELLS]
)
def test_role_is_judged_before_row_and_a_foreign_row_does_not_exist(
    _smartattend_tenants: Callable[..., Tenant],
    _smartattend_observer: Observer,
    _smartattend_evidence: Evidence,
    endpoint: contract.Endpoint,
    role: str,
    where: str,
) -> None:
    evidence, observer = _smartattend_evidence, _smartattend_observer
    owner = _smartattend_tenants()
    caller = (owner if where == "own" else _smartattend_tenants()).actor(role)
    judgement = _judgement(endpoint, role, where)
    # reported by staff: whoever reported an incident may do no more with it than their role may
    status = (endpoint.status if judgement == "done" else None) or "open"
    incident = incident_in(owner.admin, status, reporter=owner.staff)
    stands = observer.everything_of(incident["id"])
    action = endpoint.path.rsplit("/", 1)[-1]
    body = contract.BODIES.get(action) if endpoint.method != "GET" else None
    answer = caller.call(endpoint.method, endpoint.path.format(id=incident["id"]), body)
    evidence.expect("answer", _judged(answer), judgement)
    if not answer.ok:
        evidence.expect("what the refusal changed", observer.everything_of(incident["id"]), stands)
        written = str(answer.body)
        evidence.invariant("the refusal tells nothing of the row", incident["title"] not in written)
    if judgement == "404 not_found":
        nowhere = caller.call(endpoint.method, endpoint.path.format(id=uuid.uuid4()), body)
        evidence.expect("what is said of a row that does not exist", nowhere.body, answer.body)


def _judged(answer: Answer) -> str:
    return "done" if answer.ok else answer.summary


def _judgement(endpoint: contract.Endpoint, role: str, where: str) -> str:
    if role == "nobody":
        return "401 unauthenticated"
    if not endpoint.admits(role):
        return "403 forbidden"
    return "done" if where == "own" or role == "superadmin" else "404 not_found"


COLLECTION = [(endpoint, role) for endpoint in contract.ENDPOINTS if not endpoint.has_row for role in contract.ROLES]


@pytest.mark.scenario("scenarios/tenant-isolation")
@pytest.mark.detects("list-filter-off")
@pytest.mark.parametrize(
    ("endpoint", "role"), COLLECTION, ids=[f"{endpoint.name}-{role}" for endpoint, role in COLLECTION]
)
def test_collections_hold_the_callers_own_rows_only(
    _smartattend_tenants: Callable[..., Tenant],
    _smartattend_evidence: Evidence,
    endpoint: contract.Endpoint,
    role: str,
) -> None:
    evidence = _smartattend_evidence
    own, foreign = _smartattend_tenants(), _smartattend_tenants()
    theirs = foreign.admin.report("The others' incident").must()
    ours = own.admin.report("Our incident").must()
    caller = own.actor(role)
    body = {"since": theirs["created_at"]} if endpoint.path.endswith("/export") else None
    if endpoint.path == "/incidents" and endpoint.method == "POST":
        body = {"title": "Reported", "severity": "low", **({"tenant_id": own.id} if role == "superadmin" else {})}
    answer = caller.call(endpoint.method, endpoint.path, body)
    evidence.expect("answer", _judged(answer), _judgement(endpoint, role, "own"))
    if not answer.ok:
        return
    if endpoint.path == "/auth/me":
        evidence.expect("who", (answer.body["id"], answer.body["role"]), (caller.user_id, role))
    elif endpoint.path == "/incidents" and endpoint.method == "POST":
        evidence.expect("tenant", answer.body["tenant_id"], own.id)
        into_foreign = caller.call(
            "POST", endpoint.path, {"title": "Slipped in", "severity": "low", "tenant_id": foreign.id}
        )
        if role != "superadmin":
            evidence.invariant("nobody reports into a foreign tenant", not into_foreign.ok, into_foreign.summary)
    else:
        listed = {item.get("record", {}).get("incident", item)["id"] for item in answer.body["items"]}
        evidence.invariant("the own incident is listed", ours["id"] in listed)
        evidence.expect("the others' incident is listed", theirs["id"] in listed, role == "superadmin")


OF_ATTENDANCE = [
    (endpoint, role, where)
    for endpoint in (*contract.ATTENDANCE_ENDPOINTS, *contract.SUBMISSIONS)
    for role in contract.ROLES
    for where in ("own", "foreign")
]
ATTENDANCE_BODIES: dict[str, dict[str, object]] = {
    "state": {"state": "FLAGGED", "reason": "The teacher looked into it."},
    "revert": {"reason": "It was right after all."},
    "corrections": {
        "type": "data_entry_error",
        "reason": "It was written down wrongly.",
        "corrected": {"device_id": "door"},
    },
}


@pytest.mark.scenario("scenarios/tenant-isolation")
@pytest.mark.detects("attendance-filter-off")
@pytest.mark.parametrize(
    ("endpoint", "role", "where"),
    OF_ATTENDANCE,
    ids=[f"{endpoint.name}-{role}-{where}" for endpoint, role, where in OF_ATTENDANCE],
)
def test_foreign_attendance_does_not_exist(
    _smartattend_tenants: Callable[..., Tenant],
    _smartattend_observer: Observer,
    _smartattend_evidence: Evidence,
    endpoint: contract.Endpoint,
    role: str,
    where: str,
) -> None:
    evidence, observer = _smartattend_evidence, _smartattend_observer
    owner = _smartattend_tenants("corporate" if "corporate" in endpoint.path else "school")
    caller = (owner if where == "own" else _smartattend_tenants(owner.kind)).actor(role)
    judgement = _judgement(endpoint, role, where)
    body: dict[str, object] | None = owner.submission()
    path = endpoint.path
    if endpoint.has_row:
        record = owner.member.submit(owner.submission()).must()["id"]
        named = owner.staff.correct(record, {"device_id": "gate"}).must()["id"] if "revert" in path else record
        words = path.replace("/{id}", "").rsplit("/", 1)[-1]
        path, body = path.format(id=named), ATTENDANCE_BODIES[words] if endpoint.method == "POST" else None
    elif role == "member" and where == "foreign":
        judgement = "403 forbidden"  # to a member, whoever is not oneself is somebody else
    stands = observer.attendance_of(owner.id)
    answer = caller.call(endpoint.method, path, body)
    evidence.expect("answer", _judged(answer), judgement)
    if not answer.ok:
        evidence.expect("what the refusal changed", observer.attendance_of(owner.id), stands)


OVERVIEWS = [(endpoint, role) for endpoint in contract.OVERVIEWS for role in contract.ROLES]


@pytest.mark.scenario("scenarios/tenant-isolation")
@pytest.mark.detects("metrics-for-staff")
@pytest.mark.parametrize(
    ("endpoint", "role"), OVERVIEWS, ids=[f"{endpoint.name}-{role}" for endpoint, role in OVERVIEWS]
)
def test_overviews_are_for_those_whom_they_concern(
    _smartattend_tenant: Tenant, _smartattend_evidence: Evidence, endpoint: contract.Endpoint, role: str
) -> None:
    answer = _smartattend_tenant.actor(role).call(endpoint.method, endpoint.path)
    judgement = "done" if endpoint.least == "nobody" else _judgement(endpoint, role, "own")
    _smartattend_evidence.expect("answer", _judged(answer), judgement)
