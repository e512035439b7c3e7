"""Scenario 5: SQL attacks on what is append-only, as the application, as the owner, and past a disabled trigger."""

from __future__ import annotations

import pytest

from pytest_smartattend import Evidence, Observer, Platform, Tenant, chain, contract, incident_in

STATEMENTS = {
    "update": "update {table} set {column} = {column} where incident_id = %s",
    "delete": "delete from {table} where incident_id = %s",
    "truncate": "truncate {table} cascade",
}
CELLS = [(table, attack, role) for table in contract.APPEND_ONLY for attack in STATEMENTS for role in ("app", "owner")]


def _with_a_row_in_every_table(tenant: Tenant) -> str:
    incident = incident_in(tenant.admin, "escalated")
    tenant.admin.act(incident["id"], "root-cause", contract.BODIES["root-cause"]).must()
    tenant.admin.act(incident["id"], "close")  # refused, and kept as such
    tenant.admin.export(incident["id"]).must()
    return str(incident["id"])


@pytest.mark.scenario("scenarios/immutability")
@pytest.mark.detects("audit-triggers-dropped", "truncate-left-open", "one-column-open", "exports-left-open")
@pytest.mark.parametrize(("table", "attack", "role"), CELLS, ids=["-".join(cell) for cell in CELLS])
def test_the_database_refuses_to_rewrite_what_is_append_only(
    _smartattend_tenant: Tenant,
    _smartattend_observer: Observer,
    _smartattend_platform: Platform,
    _smartattend_evidence: Evidence,
    table: str,
    attack: str,
    role: str,
) -> None:
    evidence = _smartattend_evidence
    incident_id = _with_a_row_in_every_table(_smartattend_tenant)
    with _smartattend_platform.sql_as(role, _smartattend_tenant.id) as sql:
        visible = len(sql.rows(f"select 1 from {table} where incident_id = %s", incident_id))
        evidence.invariant("the attacker sees rows to attack", visible > 0, f"{visible} rows")
        parameters = () if attack == "truncate" else (incident_id,)
        for column in _columns(_smartattend_observer, table) if attack == "update" else ["-"]:
            refusal = sql.refusal_of(STATEMENTS[attack].format(table=table, column=column), *parameters)
            what = f"{attack} of {table} as {role} is refused"
            evidence.invariant(
                what if attack != "update" else f"{what}: {column}", refusal is not None, refusal or "done"
            )


def _columns(observer: Observer, table: str) -> list[str]:
    query = (
        "select quote_ident(attname) as name from pg_attribute"
        " where attrelid = %s::regclass and attnum > 0 and not attisdropped and attidentity = ''"
    )
    return [str(row["name"]) for row in observer.rows(query, table)]


TAMPERINGS = {
    "changed": 'update timeline set payload = \'{{"note": "nothing happened"}}\' where incident_id = %s and seq = 2',
    "removed": "delete from timeline where incident_id = %s and seq = 2",
    "cut-tail": "delete from timeline where incident_id = %s and seq = (select max(seq) from timeline where incident_id = %s)",
}


@pytest.mark.scenario("scenarios/tampering-is-found")
@pytest.mark.detects("heads-not-kept", "chain-not-bound")
@pytest.mark.parametrize("tampering", list(TAMPERINGS))
def test_an_owner_who_disables_the_trigger_is_found_by_chain_and_head(
    _smartattend_tenant: Tenant, _smartattend_platform: Platform, _smartattend_evidence: Evidence, tampering: str
) -> None:
    evidence = _smartattend_evidence
    incident_id = str(incident_in(_smartattend_tenant.admin, "investigating")["id"])
    before = _smartattend_tenant.admin.part(incident_id, "timeline").must()
    evidence.expect("faults before", chain.faults_of(incident_id, before["events"], before["head"]), [])
    statement = TAMPERINGS[tampering].replace("{{", "{").replace("}}", "}")
    with _smartattend_platform.sql_as("owner", _smartattend_tenant.id) as sql:
        changed = sql.past_the_triggers("timeline", statement, *[incident_id] * statement.count("%s"))
    evidence.expect("rows tampered with", changed, 1)
    after = _smartattend_tenant.admin.part(incident_id, "timeline").must()
    found = chain.faults_of(incident_id, after["events"], after["head"])
    evidence.invariant("the tampering is found", bool(found), "; ".join(found) or "chain and head look sound")
