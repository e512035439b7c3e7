"""States, corrections and reverts of attendance, their roles, and what the database itself keeps of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, LiteralString
from uuid import UUID, uuid4

import psycopg
import pytest

from pytest_smartattend.reference.domain.actors import Role
from pytest_smartattend.reference.store.seed import ClassSession, Rosters, Shift, seed

if TYPE_CHECKING:
    from tests.contract.reference.conftest import World

pytestmark = pytest.mark.asyncio
DAY = "2026-03-02"
FIX = {"type": "data_entry_error", "reason": "it was the day after", "corrected": {"date": "2026-03-03"}}
STATES = ["VERIFIED", "FLAGGED", "REVOKED", "MANUAL_OVERRIDE"]
FOLLOWS = {
    "VERIFIED": ["FLAGGED", "REVOKED", "MANUAL_OVERRIDE"],
    "FLAGGED": ["VERIFIED", "REVOKED", "MANUAL_OVERRIDE"],
    "REVOKED": ["VERIFIED", "MANUAL_OVERRIDE"],
    "MANUAL_OVERRIDE": ["VERIFIED", "FLAGGED", "REVOKED"],
}
APPEND_ONLY = ("attendance", "attendance_history", "corrections", "correction_reverts", "attendance_refusals")


async def recorded(world: World, tenant: str = "here") -> dict[str, Any]:
    """A student's record."""
    tenant_id, student = world.tenants[tenant], world.people[tenant, Role.MEMBER]
    session = ClassSession(uuid4(), tenant_id, "Maths")
    seed(world.database.dsn, rosters=Rosters([session]), at=world.clock.now())
    body = {"class_session_id": str(session.id), "student_id": str(student.id), "date": DAY}
    client_time = world.clock.now().isoformat()
    made = await world.client("staff", tenant).post("/school/attendance", json={**body, "client_time": client_time})
    assert made.status_code == 201, made.text
    answer: dict[str, Any] = made.json()
    return answer


@pytest.mark.parametrize("after", STATES)
@pytest.mark.parametrize("before", STATES)
async def test_a_state_changes_as_the_table_says(world: World, before: str, after: str) -> None:
    staff, record = world.client("staff"), (await recorded(world))["id"]
    if before != "VERIFIED":
        await staff.post(f"/attendance/{record}/state", json={"state": before, "reason": "to begin with"})
    rows = world.rows("SELECT * FROM attendance_history")
    answer = await staff.post(f"/attendance/{record}/state", json={"state": after, "reason": " because "})
    read = (await staff.get(f"/attendance/{record}")).json()
    told = (await staff.get(f"/attendance/{record}/history")).json()["items"]
    refused = world.rows("SELECT action, code, attendance_id FROM attendance_refusals")
    if after in FOLLOWS[before]:
        assert (answer.status_code, answer.json(), read["state"]) == (200, read, after)
        assert [told[-1][name] for name in ("seq", "from", "to", "reason")] == [len(rows) + 1, before, after, "because"]
        assert refused == []
    else:
        assert (answer.status_code, answer.json()["code"]) == (409, "invalid_transition")
        assert (answer.json()["current"], answer.json()["legal"]) == (before, FOLLOWS[before])
        assert (read["state"], len(told)) == (before, len(rows))
        assert refused == [{"action": "state", "code": "invalid_transition", "attendance_id": UUID(record)}]


async def test_of_several_who_change_a_state_at_once_one_is_first_and_the_others_see_it(world: World) -> None:
    record = (await recorded(world))["id"]
    clients = [world.client("staff", app=world.start()) for _ in range(2)]
    asked = {"state": "REVOKED", "reason": "left early"}
    answers = await asyncio.gather(
        *(clients[turn % 2].post(f"/attendance/{record}/state", json=asked) for turn in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    assert [row["seq"] for row in world.rows("SELECT seq FROM attendance_history ORDER BY seq")] == [1, 2]


async def test_corrections_stand_beside_a_record_that_stays_as_it_was(world: World) -> None:
    admin, made = world.client("admin"), await recorded(world)
    row = world.rows("SELECT * FROM attendance")
    ids = []
    for day, device in (("2026-03-03", "gate"), ("2026-03-04", None)):
        world.clock.move(minutes=1)
        corrected = {"date": day, **({"device_id": device} if device else {})}
        answer = await admin.post(f"/corrections/{made['id']}", json={**FIX, "corrected": corrected})
        assert answer.status_code == 201, answer.text
        assert answer.json()["original"] == {name: made["submitted"][name] for name in corrected}
        assert (answer.json()["corrected"], answer.json()["reverted"]) == (corrected, None)
        ids.append(answer.json()["id"])

    async def effective() -> tuple[str, str | None]:
        read = (await admin.get(f"/attendance/{made['id']}")).json()
        assert read["submitted"] == made["submitted"]
        return read["effective"]["date"], read["effective"]["device_id"]

    assert await effective() == ("2026-03-04", "gate")
    reverted = await admin.post(f"/corrections/{ids[1]}/revert", json={"reason": "it was right"})
    assert (reverted.status_code, reverted.json()["reverted"]["reason"]) == (200, "it was right")
    assert await effective() == ("2026-03-03", "gate")
    again = await admin.post(f"/corrections/{ids[1]}/revert", json={"reason": "once more"})
    assert (again.status_code, again.json()["code"]) == (409, "already_reverted")
    await admin.post(f"/corrections/{ids[0]}/revert", json={"reason": "this one too"})
    assert await effective() == (DAY, None)
    told = (await admin.get(f"/corrections/history/{made['id']}")).json()
    assert [(item["id"], item["reverted"] is not None) for item in told["items"]] == [(ids[0], True), (ids[1], True)]
    assert (told["submitted"], told["effective"]) == (made["submitted"], made["submitted"])
    assert world.rows("SELECT * FROM attendance") == row


async def test_a_correction_is_reverted_once_however_many_try(world: World) -> None:
    admin, made = world.client("admin"), await recorded(world)
    correction = (await admin.post(f"/corrections/{made['id']}", json=FIX)).json()["id"]
    path, reason = f"/corrections/{correction}/revert", {"reason": "it was right"}
    answers = await asyncio.gather(*(admin.post(path, json=reason) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    assert len(world.rows("SELECT * FROM correction_reverts")) == 1


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"reason": "  too short "}, 422, "missing_fields"),
        ({"reason": None}, 422, "missing_fields"),
        ({"type": "whim"}, 422, "validation_error"),
        ({"corrected": {}}, 422, "validation_error"),
        ({"corrected": {"date": None}}, 422, "validation_error"),
        ({"corrected": {"date": "tomorrow"}}, 422, "validation_error"),
        ({"corrected": {"state": "VERIFIED"}}, 422, "validation_error"),
        ({"corrected": {"direction": "in"}}, 422, "validation_error"),
        ({"corrected": {"student_id": str(UUID(int=1))}}, 404, "not_found"),
        ({"corrected": {"class_session_id": str(UUID(int=1))}}, 404, "not_found"),
    ],
    ids=str,
)
async def test_a_correction_is_validated_as_the_original_was(
    world: World, changes: dict[str, Any], status: int, code: str
) -> None:
    made = await recorded(world)
    answer = await world.client("staff").post(f"/corrections/{made['id']}", json={**FIX, **changes})
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert world.rows("SELECT * FROM corrections") == []


@pytest.mark.parametrize(
    ("method", "path", "least", "body"),
    [
        ("GET", "/attendance/{id}", "staff", None),
        ("GET", "/attendance/{id}/history", "staff", None),
        ("POST", "/attendance/{id}/state", "staff", {"state": "REVOKED", "reason": "left early"}),
        ("GET", "/corrections/history/{id}", "staff", None),
        ("POST", "/corrections/{id}", "staff", FIX),
        ("POST", "/corrections/{id}/revert", "admin", {"reason": "it was right"}),
    ],
)
async def test_role_is_judged_before_row_and_a_foreign_row_is_not_there(
    world: World, method: str, path: str, least: str, body: dict[str, Any] | None
) -> None:
    names = {"own": (await recorded(world))["id"], "foreign": (await recorded(world, "there"))["id"]}
    if path.endswith("revert"):
        for tenant, name in (("here", "own"), ("there", "foreign")):
            made = await world.client("staff", tenant).post(f"/corrections/{names[name]}", json=FIX)
            names[name] = made.json()["id"]
    names |= {"unknown": str(uuid4()), "impossible": "not-an-id"}
    roles = ["member", "staff", "admin", "superadmin"]
    for name, row in [*names.items()][::-1]:
        for role in roles:
            answer = await world.client(role).request(method, path.replace("{id}", row), json=body)
            if roles.index(role) < roles.index(least):
                assert answer.status_code == 403, (role, name)
            elif name == "own" or (name == "foreign" and role == "superadmin"):
                assert answer.status_code in {200, 201, 409}, (role, name, answer.text)
            else:
                assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (role, name)
    assert (await world.client(None).request(method, path.replace("{id}", names["own"]), json=body)).status_code == 401


ATTACKS: dict[str, LiteralString] = {
    "update": "UPDATE {table} SET tenant_id = tenant_id",
    "update of no row": "UPDATE {table} SET id_ = id_ WHERE false",
    "delete": "DELETE FROM {table} WHERE false",
    "truncate": "TRUNCATE {table} CASCADE",
    "merge delete": "MERGE INTO {table} a USING (SELECT 1) b ON true WHEN MATCHED THEN DELETE",
    "as a replica": "SET session_replication_role = replica; UPDATE {table} SET tenant_id = tenant_id WHERE false",
    "truncate as a replica": "SET session_replication_role = replica; TRUNCATE {table} CASCADE",
}


@pytest.mark.parametrize("who", ["smartattend_app", "smartattend_owner", None], ids=str)
async def test_what_is_appended_stays_whoever_attacks_it(world: World, who: str | None) -> None:
    admin, made = world.client("admin"), await recorded(world)
    correction = (await admin.post(f"/corrections/{made['id']}", json=FIX)).json()["id"]
    for _ in range(2):
        await admin.post(f"/corrections/{correction}/revert", json={"reason": "it was right"})
    before = [world.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in APPEND_ONLY]
    assert all(before)
    for table in APPEND_ONLY:
        key = "attendance_id" if table == "attendance_history" else "id"
        for name, attack in ATTACKS.items():
            statements = attack.replace("{table}", table).replace("id_", key)
            with world.sql(who) as connection, pytest.raises(psycopg.Error) as refused:
                connection.execute(f"SET app.superadmin = 'on'; {statements}".encode())
            assert refused.value.sqlstate in {"23001", "42501"}, f"{table}, {name}: {refused.value}"
    assert [world.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in APPEND_ONLY] == before


async def test_the_database_itself_hides_foreign_rows(world: World) -> None:
    for tenant in ("here", "there"):
        made, admin = await recorded(world, tenant), world.client("admin", tenant)
        correction = (await admin.post(f"/corrections/{made['id']}", json=FIX)).json()["id"]
        for _ in range(2):
            await admin.post(f"/corrections/{correction}/revert", json={"reason": "it was right"})
    await world.platform.metric_log.flush()
    for table in (*APPEND_ONLY, "class_sessions", "metrics"):
        with world.sql("smartattend_app") as connection:
            query = f"SELECT DISTINCT tenant_id FROM {table}".encode()
            assert connection.execute(query).fetchall() == []
            connection.execute("SELECT set_config('app.tenant_id', %s, false)", [str(world.tenants["here"])])
            assert connection.execute(query).fetchall() == [{"tenant_id": world.tenants["here"]}], table


async def test_a_corporates_record_is_corrected_within_its_shifts(world: World) -> None:
    tenant_id, employee = world.tenants["here"], world.people["here", Role.MEMBER]
    days = [world.clock.now().date(), world.clock.now().date().replace(day=3)]
    shifts = [Shift(uuid4(), tenant_id, employee.id, day) for day in days]
    seed(world.database.dsn, rosters=Rosters(shifts=shifts), at=world.clock.now())
    staff = world.client("staff")
    body = {"employee_id": str(employee.id), "shift_date": DAY, "direction": "in"}
    made = (await staff.post("/corporate/checkins", json={**body, "client_time": world.clock.now().isoformat()})).json()
    for corrected, status in (
        ({"shift_date": "2026-03-03", "direction": "out"}, 201),
        ({"client_time": "2026-03-02T09:00:00+01:00"}, 201),
        ({"shift_date": "2026-03-04"}, 404),
        ({"date": "2026-03-03"}, 422),
    ):
        answer = await staff.post(f"/corrections/{made['id']}", json={**FIX, "corrected": corrected})
        assert answer.status_code == status, answer.text
    effective = (await staff.get(f"/attendance/{made['id']}")).json()["effective"]
    assert (effective["shift_date"], effective["direction"]) == ("2026-03-03", "out")
    assert effective["client_time"] == "2026-03-02T08:00:00.000000Z"
