"""Scenario 4 for handoffs: who may call, and whose handoffs are seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_smartattend import Answer, Evidence, Observer, Tenant, contract, read_back

Tenants = Callable[..., Tenant]

CELLS = [
    (endpoint, role, where)
    for endpoint in (*contract.HANDOFFS, contract.INITIATE_HANDOFF)
    for role in contract.ROLES
    for where in ("own", "foreign")
]


def _judgement(endpoint: contract.Endpoint, role: str, where: str) -> str:
    if role == "nobody":
        return "401 unauthenticated"
    if not endpoint.admits(role):
        return "403 forbidden"
    if (
        role == "superadmin"
    ):  # sees all, and is no admin of a tenant: neither to be handed its incidents nor to hand over
        return {"initiate": "422 validation_error", "briefing": "done"}.get(
            endpoint.path.rsplit("/", 1)[-1], "403 wrong_person"
        )
    return "done" if where == "own" else "404 not_found"


@pytest.mark.scenario("scenarios/tenant-isolation")
@pytest.mark.detects("handoff-filter-off", "staff-reads-briefings")
@pytest.mark.parametrize(
    ("endpoint", "role", "where"), CELLS, ids=[f"{endpoint.name}-{role}-{where}" for endpoint, role, where in CELLS]
)
def test_a_foreign_handoff_does_not_exist(
    _smartattend_tenants: Tenants,
    _smartattend_observer: Observer,
    _smartattend_evidence: Evidence,
    endpoint: contract.Endpoint,
    role: str,
    where: str,
) -> None:
    evidence, observer = _smartattend_evidence, _smartattend_observer
    owner = _smartattend_tenants()
    incident = owner.staff.report("Nobody can check in", "critical").must()
    # handed to the tenant's admin, who is the caller of that role
    handoff = owner.successor_of("admin").hand_over(owner.admin.user_id).must()
    caller = (owner if where == "own" else _smartattend_tenants()).actor(role)
    bodies: dict[str, object] = {
        "initiate": {"to_user_id": owner.successor_of("admin").user_id},
        "accept": {"read_back": [{"incident_id": one, "said": said} for one, said in read_back(handoff).items()]},
        "reject": {"reason": "I am called to another place."},
    }
    stands = _everything_of(observer, owner)
    answer = caller.call(
        endpoint.method, endpoint.path.format(id=handoff["id"]), bodies.get(endpoint.path.rsplit("/", 1)[-1])
    )
    evidence.expect("answer", _judged(answer), _judgement(endpoint, role, where))
    if not answer.ok:
        evidence.expect("what the refusal changed", _everything_of(observer, owner), stands)
        evidence.invariant("the refusal tells nothing of the incidents", incident["title"] not in str(answer.body))


def _judged(answer: Answer) -> str:
    return "done" if answer.ok else answer.summary


def _everything_of(observer: Observer, tenant: Tenant) -> list[list[dict[str, Any]]]:
    return [
        observer.rows("select * from incidents where tenant_id = %s order by id", tenant.id),
        observer.rows("select * from handoffs where tenant_id = %s order by id", tenant.id),
        observer.rows("select * from handoff_endings where tenant_id = %s order by 1", tenant.id),
    ]
