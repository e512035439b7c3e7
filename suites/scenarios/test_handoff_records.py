"""Scenarios 4 and 5 for handoffs: who may call, whose handoffs are seen, and that what is kept of them stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_smartattend import Answer, Evidence, Observer, Platform, Tenant, contract, read_back

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


def _with_a_row_in_every_table(tenant: Tenant) -> None:
    tenant.staff.report().must()
    successor = tenant.successor_of("admin")
    handoff = tenant.admin.hand_over(successor.user_id).must()["id"]
    successor.accept_handoff(handoff).must()
    successor.accept_handoff(handoff)  # refused, and kept as such


STATEMENTS = {
    "update": "update {table} set tenant_id = tenant_id where tenant_id = %s",
    "delete": "delete from {table} where tenant_id = %s",
    "truncate": "truncate {table} cascade",
}
ATTACKS = [
    (table, attack, role)
    for table in contract.HANDOFF_APPEND_ONLY
    for attack in STATEMENTS
    for role in ("app", "owner")
]


@pytest.mark.scenario("scenarios/immutability")
@pytest.mark.detects("handoff-triggers-dropped")
@pytest.mark.parametrize(("table", "attack", "role"), ATTACKS, ids=["-".join(cell) for cell in ATTACKS])
def test_the_database_refuses_to_rewrite_handoffs(
    _smartattend_tenant: Tenant,
    _smartattend_platform: Platform,
    _smartattend_evidence: Evidence,
    table: str,
    attack: str,
    role: str,
) -> None:
    tenant, evidence = _smartattend_tenant, _smartattend_evidence
    _with_a_row_in_every_table(tenant)
    with _smartattend_platform.sql_as(role, tenant.id) as sql:
        visible = len(sql.rows(f"select 1 from {table} where tenant_id = %s", tenant.id))
        evidence.invariant("the attacker sees rows to attack", visible > 0, f"{visible} rows")
        parameters = () if attack == "truncate" else (tenant.id,)
        refusal = sql.refusal_of(STATEMENTS[attack].format(table=table), *parameters)
        evidence.invariant(f"{attack} of {table} as {role} is refused", refusal is not None, refusal or "it was done")


@pytest.mark.scenario("scenarios/row-level-security")
@pytest.mark.detects("handoff-rls-off")
@pytest.mark.parametrize("table", contract.HANDOFF_APPEND_ONLY)
def test_the_database_itself_hides_foreign_handoffs_from_the_application(
    _smartattend_tenants: Tenants, _smartattend_platform: Platform, _smartattend_evidence: Evidence, table: str
) -> None:
    own, foreign = _smartattend_tenants(), _smartattend_tenants()
    for tenant in (own, foreign):
        _with_a_row_in_every_table(tenant)
    for name, tenant_id, wanted in (
        ("own", own.id, {own.id}),
        ("foreign", foreign.id, {foreign.id}),
        ("no", None, set()),
    ):
        with _smartattend_platform.sql_as("app", tenant_id) as sql:
            seen = {str(row["tenant_id"]) for row in sql.rows(f"select tenant_id from {table}")}
        _smartattend_evidence.expect(f"tenants seen with the {name} tenant set", seen, wanted)


@pytest.mark.scenario("scenarios/row-level-security-of-writes")
@pytest.mark.detects("handoff-rls-write-open")
@pytest.mark.parametrize("table", contract.HANDOFF_APPEND_ONLY)
def test_the_database_itself_keeps_the_application_from_writing_foreign_handoffs(
    _smartattend_tenants: Tenants,
    _smartattend_observer: Observer,
    _smartattend_platform: Platform,
    _smartattend_evidence: Evidence,
    table: str,
) -> None:
    own, foreign = _smartattend_tenants(), _smartattend_tenants()
    _with_a_row_in_every_table(foreign)
    row = _smartattend_observer.value(
        f"select row_to_json(t)::text from {table} t where tenant_id = %s limit 1", foreign.id
    )
    with _smartattend_platform.sql_as("app", own.id) as sql:
        refusal = sql.refusal_of(
            f"insert into {table} overriding user value select * from json_populate_record(null::{table}, %s)", row
        )
    # 42501: insufficient privilege. Anything else, a duplicate for one, means that the row was let through to be written.
    _smartattend_evidence.expect("refusal", (refusal or "it was done").split(":")[0], "42501")
