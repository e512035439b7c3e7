"""What is kept of handoffs in the database: it stays, and is seen by those whom it concerns."""

from __future__ import annotations

from typing import LiteralString

import psycopg
import pytest

from tests.contract.reference.shift import Shift

pytestmark = pytest.mark.asyncio

TABLES = ("handoffs", "handoff_endings", "handoff_refusals")
ATTACKS: tuple[LiteralString, ...] = (
    "UPDATE {table} SET tenant_id = tenant_id",
    "UPDATE {table} SET tenant_id = tenant_id WHERE false",
    "DELETE FROM {table}",
    "TRUNCATE {table} CASCADE",
    "SET session_replication_role = replica; DELETE FROM {table}",
    "MERGE INTO {table} a USING (SELECT 1) b ON true WHEN MATCHED THEN DELETE",
)


async def filled(shift: Shift) -> None:
    """A row in every table, of the school `here` and of all tenants together."""
    for outgoing, incoming in (("outgoing", "incoming"), ("superadmin", "next superadmin")):
        handoff = await shift.initiate(outgoing, incoming)
        await shift.accept(handoff, incoming)
        await shift.accept(handoff, incoming)


@pytest.mark.parametrize("who", ["smartattend_app", "smartattend_owner", None], ids=str)
@pytest.mark.parametrize("table", TABLES)
async def test_what_is_kept_of_handoffs_stays_whoever_attacks_it(shift: Shift, table: str, who: str | None) -> None:
    await filled(shift)
    before = [shift.world.rows(f"SELECT * FROM {one} ORDER BY 1") for one in TABLES]
    assert all(before)
    for attack in ATTACKS:
        with shift.world.sql(who) as connection, pytest.raises(psycopg.Error) as refused:
            connection.execute(f"SET app.superadmin = 'on'; {attack.replace('{table}', table)}".encode())
        assert refused.value.sqlstate in {"23001", "42501"}, f"{attack}: {refused.value}"
    assert [shift.world.rows(f"SELECT * FROM {one} ORDER BY 1") for one in TABLES] == before


@pytest.mark.parametrize("table", TABLES)
async def test_a_handoff_is_seen_by_its_tenant_and_one_of_all_tenants_by_superadmins(shift: Shift, table: str) -> None:
    await filled(shift)
    here, there = (str(shift.world.tenants[name]) for name in ("here", "there"))
    query = f"SELECT DISTINCT tenant_id::text AS id FROM {table} ORDER BY 1".encode()
    with shift.world.sql("smartattend_app") as connection:
        for tenant, seen in (("", []), (there, []), (here, [here])):
            connection.execute("SELECT set_config('app.tenant_id', %s, false)", [tenant])
            assert [row["id"] for row in connection.execute(query)] == seen
        connection.execute("SET app.superadmin = 'on'")
        assert [row["id"] for row in connection.execute(query)] == [here, None]
