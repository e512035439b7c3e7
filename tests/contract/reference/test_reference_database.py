"""What the database itself refuses, whoever asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.contract.reference.conftest import World

pytestmark = pytest.mark.asyncio

APPEND_ONLY = ("timeline", "escalations", "root_causes", "refusals", "exports")
WHO = ("smartattend_app", "smartattend_owner", None)
ATTACKS: dict[str, LiteralString] = {
    "update": "UPDATE {table} SET actor = 'somebody else'",
    "update of one row": "UPDATE {table} SET actor = 'x' WHERE incident_id = (SELECT incident_id FROM {table} LIMIT 1)",
    "update of no row": "UPDATE {table} SET actor = 'x' WHERE false",
    "delete": "DELETE FROM {table}",
    "delete of no row": "DELETE FROM {table} WHERE false",
    "truncate": "TRUNCATE {table}",
    "truncate cascade": "TRUNCATE incidents CASCADE",
    "upsert": (
        "INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM {table} ON CONFLICT ({key}) DO UPDATE SET actor = 'x'"
    ),
    "merge update": "MERGE INTO {table} a USING (SELECT 1) b ON true WHEN MATCHED THEN UPDATE SET actor = 'x'",
    "merge delete": "MERGE INTO {table} a USING (SELECT 1) b ON true WHEN MATCHED THEN DELETE",
    "through a view": (
        "CREATE TEMP VIEW through AS SELECT * FROM {table}; UPDATE through SET actor = 'x'; DROP VIEW through"
    ),
    "as a replica": "SET session_replication_role = replica; UPDATE {table} SET actor = 'x'",
    "update of no row as a replica": "SET session_replication_role = replica; UPDATE {table} SET actor = 'x' WHERE false",
    "delete as a replica": "SET session_replication_role = replica; DELETE FROM {table}",
    "truncate as a replica": "SET session_replication_role = replica; TRUNCATE {table}",
    "delete of the incident": "DELETE FROM incidents",
    "by a cascade": "UPDATE incidents SET id = gen_random_uuid()",
}


async def filled(world: World) -> str:
    """An incident that has a row in every table."""
    admin, incident = world.client(), await world.incident("investigating")
    await admin.post(f"/incidents/{incident}/escalate", json={"level": "level_1"})
    await admin.post(f"/incidents/{incident}/root-cause", json={"root_cause": "the disk is full", "confidence": "low"})
    await admin.post(f"/incidents/{incident}/close")
    await admin.post(f"/validation/incidents/{incident}/export")
    return incident


@pytest.mark.parametrize("who", WHO, ids=str)
@pytest.mark.parametrize("table", APPEND_ONLY)
async def test_what_is_appended_stays_whoever_attacks_it(world: World, table: str, who: str | None) -> None:
    await filled(world)
    before = [world.rows(f"SELECT * FROM {one} ORDER BY 1, 2") for one in (*APPEND_ONLY, "incidents", "audit_heads")]
    assert all(before)
    key = "incident_id, seq" if table == "timeline" else "id"
    for name, attack in ATTACKS.items():
        statements = attack.replace("{table}", table).replace("{key}", key)
        with world.sql(who) as connection, pytest.raises(psycopg.Error) as refused:
            connection.execute(f"SET app.superadmin = 'on'; {statements}".encode())
        assert refused.value.sqlstate in {"23001", "42501", "23503"}, f"{name}: {refused.value}"
    after = [world.rows(f"SELECT * FROM {one} ORDER BY 1, 2") for one in (*APPEND_ONLY, "incidents", "audit_heads")]
    assert after == before


async def test_an_attack_on_rows_that_one_may_not_see_is_refused_too(world: World) -> None:
    await filled(world)
    with world.sql("smartattend_owner") as connection:
        assert connection.execute("SELECT * FROM timeline").fetchall() == []  # no tenant was named
        with pytest.raises(psycopg.errors.RestrictViolation):
            connection.execute("UPDATE timeline SET actor = 'x'")


async def test_the_owner_who_disables_the_trigger_is_found_by_the_chain(world: World) -> None:
    incident = await filled(world)
    with world.sql("smartattend_owner") as connection:
        connection.execute("SET app.superadmin = 'on'")
        connection.execute("ALTER TABLE timeline DISABLE TRIGGER USER")
        connection.execute("DELETE FROM timeline WHERE incident_id = %s AND seq = 4", [incident])
    told = (await world.client("staff").get(f"/incidents/{incident}/timeline")).json()
    assert told["head"]["seq"] > len(told["events"])


async def test_a_tail_that_was_cut_leaves_a_gap_for_ever(world: World) -> None:
    incident = await world.incident("investigating")
    with world.sql() as connection:
        connection.execute("ALTER TABLE timeline DISABLE TRIGGER USER")
        connection.execute("DELETE FROM timeline WHERE incident_id = %s AND seq = 3", [incident])
        connection.execute("ALTER TABLE timeline ENABLE TRIGGER USER")
    admin = world.client()
    await admin.post(f"/incidents/{incident}/mitigate")
    told = (await admin.get(f"/incidents/{incident}/timeline")).json()
    assert [event["seq"] for event in told["events"]] == [1, 2, 4]


@pytest.mark.parametrize("who", WHO, ids=str)
@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE audit_heads SET hash = repeat('0', 64)",
        "UPDATE audit_heads SET seq = seq + 2",
        "UPDATE audit_heads SET seq = seq - 1",
        "UPDATE audit_heads SET seq = seq + 1, incident_id = gen_random_uuid()",
        "DELETE FROM audit_heads",
        "TRUNCATE audit_heads",
        "SET session_replication_role = replica; UPDATE audit_heads SET seq = 1",
    ],
)
async def test_a_head_only_goes_forward_by_one(world: World, who: str | None, attack: str) -> None:
    await filled(world)
    before = world.rows("SELECT * FROM audit_heads")
    with world.sql(who) as connection, pytest.raises(psycopg.Error) as refused:
        connection.execute(f"SET app.superadmin = 'on'; {attack}".encode())
    assert refused.value.sqlstate in {"23001", "42501"}
    assert world.rows("SELECT * FROM audit_heads") == before


#: what they hold is attacked and hidden in tests of their own
OF_ATTENDANCE = {
    "tenant_settings",
    "class_sessions",
    "shifts",
    "attendance",
    "attendance_history",
    "corrections",
    "correction_reverts",
    "attendance_refusals",
    "idempotency_keys",
    "drift_alarms",
    "metrics",
}
#: the same
OF_HANDOFFS = {"handoffs", "handoff_endings", "handoff_refusals"}
TENANT_OWNED = ("incidents", "timeline", "audit_heads", "escalations", "root_causes", "refusals", "exports", "users")


@pytest.mark.parametrize("who", ["smartattend_app", "smartattend_owner"])
@pytest.mark.parametrize("table", TENANT_OWNED)
async def test_without_any_filter_only_the_named_tenants_rows_are_there(world: World, table: str, who: str) -> None:
    await filled(world)
    query = f"SELECT DISTINCT tenant_id FROM {table} WHERE tenant_id IS NOT NULL".encode()
    with world.sql(who) as connection:
        assert connection.execute(query).fetchall() == []
        connection.execute("SELECT set_config('app.tenant_id', %s, false)", [str(world.tenants["there"])])
        assert connection.execute(query).fetchall() == (
            [{"tenant_id": world.tenants["there"]}] if table == "users" else []
        )
        connection.execute("SELECT set_config('app.tenant_id', %s, false)", [str(world.tenants["here"])])
        assert connection.execute(query).fetchall() == [{"tenant_id": world.tenants["here"]}]
        connection.execute("SELECT set_config('app.tenant_id', '', false)")
        assert connection.execute(query).fetchall() == []
        connection.execute("SELECT set_config('app.superadmin', 'on', false)")
        assert {row["tenant_id"] for row in connection.execute(query)} >= {world.tenants["here"]}


async def test_every_table_that_names_a_tenant_is_secured_by_force(world: World) -> None:
    secured = world.rows(
        "SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity FROM pg_class c"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND c.relkind = 'r'"
        " WHERE c.relnamespace = 'public'::regnamespace"
    )
    assert {row["relname"] for row in secured} == {*TENANT_OWNED, *OF_ATTENDANCE, *OF_HANDOFFS}
    assert all(row["relrowsecurity"] and row["relforcerowsecurity"] for row in secured)


@pytest.mark.parametrize(
    "attack",
    [
        "INSERT INTO audit_heads SELECT incident_id, '{there}', seq, hash FROM audit_heads",
        "UPDATE incidents SET tenant_id = '{there}'",
        "UPDATE incidents SET created_at = created_at",
        "INSERT INTO users SELECT gen_random_uuid(), tenant_id, 'admin', 'new@x', name, null, created_at FROM users",
        "UPDATE users SET role = 'admin'",
        "DELETE FROM users",
        "CREATE TABLE mine (id int)",
        "ALTER TABLE timeline DISABLE TRIGGER ALL",
        "CREATE RULE r AS ON INSERT TO timeline DO INSTEAD NOTHING",
        "CREATE TRIGGER t BEFORE INSERT ON timeline FOR EACH ROW EXECUTE FUNCTION smartattend_refuse()",
        "CREATE TEMP TABLE child () INHERITS (timeline)",
        "SET ROLE smartattend_owner",
        "DROP TABLE refusals",
    ],
)
async def test_the_applications_role_may_not(world: World, attack: str) -> None:
    await filled(world)
    with world.sql("smartattend_app") as connection:
        connection.execute("SELECT set_config('app.tenant_id', %s, false)", [str(world.tenants["here"])])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(attack.replace("{there}", str(world.tenants["there"])).encode())


async def test_a_login_sees_the_one_account_that_it_names(world: World) -> None:
    with world.sql("smartattend_app") as connection:
        connection.execute("SET app.login_email = 'admin@there.test'")
        assert [row["email"] for row in connection.execute("SELECT email FROM users")] == ["admin@there.test"]
        assert connection.execute("SELECT * FROM tenants").fetchall() == []
