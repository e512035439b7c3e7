"""Scenarios 4 and 5 in SQL: what the database itself hides, and keeps as it is, whatever the application does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from pytest_smartattend import Evidence, Observer, Platform, Tenant, contract, incident_in

Tenants = Callable[..., Tenant]


def _incident(tenant: Tenant) -> None:
    incident = incident_in(tenant.admin, "escalated")["id"]
    tenant.admin.act(incident, "root-cause", contract.BODIES["root-cause"]).must()
    assert tenant.admin.act(incident, "close").status == 409  # refused, and kept as such
    tenant.admin.export(incident).must()


def _attendance(tenant: Tenant) -> None:
    record = tenant.member.submit(tenant.submission(), "a-key").must()["id"]
    correction = tenant.staff.correct(record, {"device_id": "door"}).must()["id"]
    tenant.admin.revert(correction).must()
    tenant.admin.revert(correction)  # refused, and kept as such


def _alarm(tenant: Tenant) -> None:
    assert tenant.member.submit(tenant.submission(off=timedelta(minutes=20), device_id="gate")).status == 422


def _seeded(_tenant: Tenant) -> None:
    """It has rows from the first."""


def _handoff(tenant: Tenant) -> None:
    tenant.staff.report().must()
    successor = tenant.successor_of("admin")
    handoff = tenant.admin.hand_over(successor.user_id).must()["id"]
    successor.accept_handoff(handoff).must()
    successor.accept_handoff(handoff)  # refused, and kept as such


OF_INCIDENTS = ("incidents", "timeline", "audit_heads", "escalations", "root_causes", "refusals", "exports")
APPEND_ONLY = {
    **dict.fromkeys(contract.ATTENDANCE_APPEND_ONLY, _attendance),
    **dict.fromkeys(contract.HANDOFF_APPEND_ONLY, _handoff),
}
#: table → what leaves a row in it
BESIDE = {"idempotency_keys": _attendance, "drift_alarms": _alarm, "metrics": _attendance}
ROSTERS = ("tenants", "class_sessions", "shifts", "tenant_settings")
SEEN = {
    **dict.fromkeys(("users", *OF_INCIDENTS), _incident),
    **APPEND_ONLY,
    **BESIDE,
    **dict.fromkeys(ROSTERS, _seeded),
}
WRITTEN = {**dict.fromkeys(OF_INCIDENTS, _incident), **APPEND_ONLY, **BESIDE}
#: seconds in which what is recorded on the side must be there
PATIENCE = 15.0

STATEMENTS = {
    "update": "update {table} set tenant_id = tenant_id where tenant_id = %s",
    "delete": "delete from {table} where tenant_id = %s",
    "truncate": "truncate {table} cascade",
}
ATTACKS = [(table, attack, role) for table in APPEND_ONLY for attack in STATEMENTS for role in ("app", "owner")]


@pytest.mark.scenario("scenarios/immutability")
@pytest.mark.detects("correction-triggers-dropped", "handoff-triggers-dropped")
@pytest.mark.parametrize(("table", "attack", "role"), ATTACKS, ids=["-".join(cell) for cell in ATTACKS])
def test_the_database_refuses_to_rewrite_what_is_kept_beside_incidents(
    _smartattend_tenant: Tenant,
    _smartattend_platform: Platform,
    _smartattend_evidence: Evidence,
    table: str,
    attack: str,
    role: str,
) -> None:
    tenant, evidence = _smartattend_tenant, _smartattend_evidence
    APPEND_ONLY[table](tenant)
    with _smartattend_platform.sql_as(role, tenant.id) as sql:
        visible = len(sql.rows(f"select 1 from {table} where tenant_id = %s", tenant.id))
        evidence.invariant("the attacker sees rows to attack", visible > 0, f"{visible} rows")
        parameters = () if attack == "truncate" else (tenant.id,)
        refusal = sql.refusal_of(STATEMENTS[attack].format(table=table), *parameters)
        evidence.invariant(f"{attack} of {table} as {role} is refused", refusal is not None, refusal or "it was done")


@pytest.mark.scenario("scenarios/row-level-security")
@pytest.mark.detects(
    "rls-off", "accounts-shown", "attendance-rls-off", "handoff-rls-off", "metrics-rls-off", "rosters-rls-off"
)
@pytest.mark.parametrize("table", SEEN)
def test_the_database_itself_hides_foreign_rows_from_the_application(
    _smartattend_tenants: Tenants,
    _smartattend_observer: Observer,
    _smartattend_platform: Platform,
    _smartattend_evidence: Evidence,
    table: str,
) -> None:
    kind = "corporate" if table == "shifts" else "school"
    own, foreign = _smartattend_tenants(kind), _smartattend_tenants(kind)
    owner = "id" if table == "tenants" else "tenant_id"
    for tenant in (own, foreign):
        SEEN[table](tenant)
        if table == "tenant_settings":
            _smartattend_platform.drift_limits(tenant.id, contract.DRIFT_LIMITS)
    for name, tenant_id, wanted in (
        ("own", own.id, {own.id}),
        ("foreign", foreign.id, {foreign.id}),
        ("no", None, set()),
    ):
        with _smartattend_platform.sql_as("app", tenant_id) as sql:
            for tenant in (own, foreign):
                counting = f"select count(*) from {table} where {owner} = %s"
                there = _smartattend_observer.counted(counting, tenant.id, least=1, patience=PATIENCE)
                _smartattend_evidence.invariant("there are rows to see", there > 0, f"{there} rows")
            seen = {str(row["owner"]) for row in sql.rows(f"select {owner} as owner from {table}")}
        _smartattend_evidence.expect(f"tenants seen with the {name} tenant set", seen, wanted)


@pytest.mark.scenario("scenarios/row-level-security-of-writes")
@pytest.mark.detects("rls-write-open", "handoff-rls-write-open", "attendance-rls-write-open")
@pytest.mark.parametrize("table", WRITTEN)
def test_the_database_itself_keeps_the_application_from_writing_foreign_rows(
    _smartattend_tenants: Tenants,
    _smartattend_observer: Observer,
    _smartattend_platform: Platform,
    _smartattend_evidence: Evidence,
    table: str,
) -> None:
    own, foreign = _smartattend_tenants(), _smartattend_tenants()
    WRITTEN[table](foreign)
    with _smartattend_platform.sql_as("app", own.id) as sql:
        counting = f"select count(*) from {table} where tenant_id = %s"
        _smartattend_observer.counted(counting, foreign.id, least=1, patience=PATIENCE)
        row = _smartattend_observer.value(
            f"select row_to_json(t)::text from {table} t where tenant_id = %s limit 1", foreign.id
        )
        refusal = sql.refusal_of(
            f"insert into {table} overriding user value select * from json_populate_record(null::{table}, %s)", row
        )
    # 42501: insufficient privilege. Anything else, a duplicate for one, means that the row was let through to be written.
    _smartattend_evidence.expect("refusal", (refusal or "it was done").split(":")[0], "42501")
