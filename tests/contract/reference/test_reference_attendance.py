"""Submissions, their keys and their clocks, over a real database with the platform's clock in hand."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import httpx
import pytest

from pytest_smartattend.reference.domain.actors import Role
from pytest_smartattend.reference.domain.drift import Thresholds
from pytest_smartattend.reference.store.seed import ClassSession, Rosters, Shift, seed

if TYPE_CHECKING:
    from tests.contract.reference.conftest import World

pytestmark = pytest.mark.asyncio
DAY = "2026-03-02"


def roster(world: World, tenant: str = "here", thresholds: Thresholds | None = None) -> str:
    """A class session in the tenant, and a shift of its member; the session's id."""
    tenant_id, member = world.tenants[tenant], world.people[tenant, Role.MEMBER]
    session = ClassSession(uuid4(), tenant_id, "Maths")
    shift = Shift(uuid4(), tenant_id, member.id, world.clock.now().date())
    limits = {tenant_id: thresholds} if thresholds else {}
    seed(world.database.dsn, rosters=Rosters([session], [shift], limits), at=world.clock.now())
    return str(session.id)


def school(
    world: World, session: str, *, off: timedelta = timedelta(), tenant: str = "here", **more: Any
) -> dict[str, Any]:
    student = str(world.people[tenant, Role.MEMBER].id)
    client_time = (world.clock.now() + off).isoformat()
    about = {"class_session_id": session, "student_id": student, "date": DAY, "client_time": client_time}
    return {**about, **more}


def checkin(world: World, **more: Any) -> dict[str, Any]:
    employee = str(world.people["here", Role.MEMBER].id)
    about = {"employee_id": employee, "shift_date": DAY, "direction": "in"}
    return {**about, "client_time": world.clock.now().isoformat(), **more}


async def submit(client: httpx.AsyncClient, body: dict[str, Any], key: str | None = None) -> httpx.Response:
    path = "/school/attendance" if "student_id" in body else "/corporate/checkins"
    return await client.post(path, json=body, headers={"Idempotency-Key": key} if key else {})


async def test_a_submission_is_recorded_and_the_same_again_is_the_record_that_exists(world: World) -> None:
    session, member = roster(world), world.client("member")
    for body in (school(world, session), checkin(world), checkin(world, direction="out")):
        first, second = await submit(member, body), await submit(member, body, str(uuid4()))
        assert (first.status_code, second.status_code) == (201, 200), (first.text, second.text)
        assert first.json() == second.json()
        assert first.headers["location"] == f"/api/attendance/{first.json()['id']}"
        assert first.json()["submitted"] == first.json()["effective"]
        read = await world.client("staff").get(f"/attendance/{first.json()['id']}")
        assert read.json() == first.json()
    assert len(world.rows("SELECT * FROM attendance")) == 3
    assert {row["to"] for row in world.rows("SELECT * FROM attendance_history")} == {"VERIFIED"}


async def test_a_key_gives_its_first_answer_again_and_belongs_to_body_endpoint_and_tenant(world: World) -> None:
    session, there, member = roster(world), roster(world, "there"), world.client("member")
    body = school(world, session)
    first = await submit(member, body, "k")
    again = await submit(member, dict(reversed(body.items())), "k")
    assert (first.status_code, again.status_code) == (201, 201)
    assert "idempotency-replayed" not in first.headers
    assert (again.headers["idempotency-replayed"], again.json()) == ("true", first.json())
    for other in ({**body, "device_id": "d"}, checkin(world)):
        reused = await submit(member, other, "k")
        assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
    foreign = await submit(world.client("member", "there"), school(world, there, tenant="there"), "k")
    assert foreign.status_code == 201
    assert len(world.rows("SELECT * FROM attendance")) == len(world.rows("SELECT * FROM idempotency_keys")) == 2


async def test_a_first_answer_stays_the_first_whatever_became_of_the_record(world: World) -> None:
    session, staff = roster(world), world.client("staff")
    body = school(world, session)
    first = await submit(staff, body, "k")
    await staff.post(f"/attendance/{first.json()['id']}/state", json={"state": "REVOKED", "reason": "left early"})
    world.clock.move(hours=2)
    replayed, by_key_of_its_own = await submit(staff, body, "k"), await submit(staff, body, "other")
    assert (replayed.status_code, replayed.json()["state"]) == (201, "VERIFIED")
    assert (by_key_of_its_own.status_code, by_key_of_its_own.json()["state"]) == (200, "REVOKED")


@pytest.mark.parametrize("key", [None, "the-same-key"])
async def test_many_at_once_leave_one_record_and_one_answer(world: World, key: str | None) -> None:
    session = roster(world)
    members = [world.client("member", app=world.start()) for _ in range(2)]
    body = school(world, session)
    answers = await asyncio.gather(*(submit(members[turn % 2], body, key) for turn in range(20)))
    assert {answer.json()["id"] for answer in answers} == {answers[0].json()["id"]}
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == ([201] * 20 if key else [200] * 19 + [201])
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == (1 if key else 20)
    for table in ("attendance", "attendance_history"):
        assert len(world.rows(f"SELECT * FROM {table}")) == 1


async def test_a_worker_that_dies_before_the_commit_leaves_nothing_and_holds_nothing(world: World) -> None:
    session, member = roster(world), world.client("member")
    desk = world.platform.attendance
    honest = desk.keys.keep

    async def die(*_: object, **__: object) -> None:
        with world.sql() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'smartattend_app'"
                " AND datname = current_database() AND state = 'idle in transaction'"
            )

    desk.keys.keep = die  # type: ignore[method-assign]
    body = school(world, session)
    died = await submit(member, body, "k")
    assert (died.status_code, died.json()["code"]) == (503, "unavailable")
    assert world.rows("SELECT * FROM attendance") == world.rows("SELECT * FROM idempotency_keys") == []
    desk.keys.keep = honest  # type: ignore[method-assign]
    retried = await submit(member, body, "k")
    assert (retried.status_code, "idempotency-replayed" in retried.headers) == (201, False)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("off_ms", "band"),
    [
        (0, "accepted"),
        (5_000, "accepted"),
        (5_001, "flagged"),
        (300_000, "flagged"),
        (300_001, "blocked"),
        (600_000, "blocked"),
        (600_001, "critical"),
        (900_000, "critical"),
    ],
)
async def test_the_clients_clock_is_judged_to_the_millisecond_on_both_sides(
    world: World, off_ms: int, band: str, sign: int
) -> None:
    session, member = roster(world), world.client("member")
    off = sign * timedelta(milliseconds=off_ms)
    said = await member.post("/time/validate", json={"client_time": (world.clock.now() + off).isoformat()})
    assert (said.json()["band"], said.json()["drift_ms"]) == (band, sign * off_ms)
    answer = await submit(member, school(world, session, off=off), "k")
    records, refusals = world.rows("SELECT * FROM attendance"), world.rows("SELECT * FROM attendance_refusals")
    if band in {"accepted", "flagged"}:
        state = "FLAGGED" if band == "flagged" else "VERIFIED"
        assert (answer.status_code, answer.json()["state"]) == (201, state)
        assert (len(records), refusals) == (1, [])
    else:
        assert (answer.status_code, answer.json()["code"]) == (422, "clock_drift_blocked")
        assert (records, [row["code"] for row in refusals]) == ([], ["clock_drift_blocked"])
    assert (answer.json()["drift_ms"], world.rows("SELECT value, outcome FROM metrics WHERE kind = 'clock_drift'")) == (
        sign * off_ms,
        [{"value": sign * off_ms, "outcome": band}],
    )
    assert len(world.rows("SELECT * FROM incidents")) == (band == "critical")


async def test_a_refused_submission_is_replayed_as_it_was_and_counted_once(world: World) -> None:
    session, member = roster(world), world.client("member")
    body = school(world, session, off=timedelta(seconds=-400))
    first = await submit(member, body, "k")
    world.clock.move(seconds=-400)
    again = await submit(member, body, "k")
    assert (again.status_code, again.json()) == (422, first.json())
    assert (again.headers["idempotency-replayed"], again.headers["content-type"]) == (
        "true",
        "application/problem+json",
    )
    assert len(world.rows("SELECT * FROM attendance_refusals")) == 1
    assert (await submit(member, body, "a-new-key")).status_code == 201


async def test_a_critical_drift_opens_one_incident_per_device_and_hour(world: World) -> None:
    session, staff, admin = roster(world), world.client("staff"), world.client("admin")
    off = timedelta(minutes=20)

    async def incident(device: str | None, key: str | None = None) -> str:
        answer = await submit(staff, school(world, session, off=off, device_id=device), key)
        named: str = answer.json()["incident_id"]
        return named

    gate = await asyncio.gather(*(incident("gate") for _ in range(6)))
    assert len(set(gate)) == 1
    others = {await incident("door"), await incident(None)}
    world.clock.move(minutes=59, seconds=59)
    assert await incident("gate") == gate[0]
    world.clock.move(seconds=1)
    others.add(await incident("gate"))
    assert len(others | set(gate)) == 4
    listed = (await admin.get("/incidents")).json()["items"]
    assert {item["id"] for item in listed} == others | set(gate)
    assert {item["severity"] for item in listed} == {"critical"}
    told = (await admin.get(f"/incidents/{gate[0]}/timeline")).json()["events"]
    assert [(event["kind"], event["actor"]) for event in told] == [("created", "system:clock-drift")]


async def test_without_the_incident_store_a_critical_drift_is_refused_all_the_same_and_told_later(world: World) -> None:
    from dataclasses import replace

    session = roster(world)
    gone = replace(world.settings, incidents_database_url="postgresql://smartattend_app@127.0.0.1:1/x")
    body = school(world, session, off=timedelta(hours=1))
    refused = await submit(world.client("member", app=world.start(gone)), body, "k")
    assert (refused.status_code, refused.json()["band"]) == (422, "critical")
    assert world.rows("SELECT * FROM incidents") == []
    replayed = await submit(world.client("member"), body, "k")
    assert replayed.json() == refused.json()
    assert [str(row["id"]) for row in world.rows("SELECT id FROM incidents")] == [refused.json()["incident_id"]]


async def test_a_tenant_may_set_its_own_limits(world: World) -> None:
    limits = Thresholds(*(timedelta(seconds=seconds) for seconds in (1, 2, 3)))
    session, member = roster(world, thresholds=limits), world.client("member")
    answers = [await submit(member, school(world, session, off=timedelta(seconds=off))) for off in (3.001, 2.5, 1.5)]
    assert [answer.json().get("band", answer.json().get("state")) for answer in answers] == [
        "critical",
        "blocked",
        "FLAGGED",
    ]


async def test_a_member_submits_for_oneself_and_a_foreign_roster_is_not_there(world: World) -> None:
    session, there = roster(world), roster(world, "there")
    staff_id, foreign = str(world.people["here", Role.STAFF].id), str(world.people["there", Role.MEMBER].id)
    own = school(world, session)
    for role, changes, status in (
        ("member", {"student_id": staff_id}, 403),
        ("member", {"student_id": foreign}, 403),
        ("member", {"class_session_id": there}, 404),
        ("member", {"class_session_id": str(uuid4())}, 404),
        ("staff", {"student_id": foreign}, 404),
        ("staff", {"student_id": staff_id}, 404),
        ("staff", {"class_session_id": there, "student_id": foreign}, 404),
        ("superadmin", {"class_session_id": there}, 404),
        ("superadmin", {}, 201),
    ):
        answer = await submit(world.client(role), {**own, **changes})
        assert answer.status_code == status, (role, changes, answer.text)
    no_shift = await submit(world.client("member"), checkin(world, shift_date="2026-03-03"))
    assert no_shift.status_code == 404
    assert [row["tenant_id"] for row in world.rows("SELECT * FROM attendance")] == [world.tenants["here"]]


@pytest.mark.parametrize(
    "changes",
    [
        {"client_time": "2026-03-02T08:00:00"},
        {"client_time": "2026-03-02"},
        {"client_time": 1_770_000_000},
        {"client_time": "0001-01-01T00:00:00+05:00"},
        {"date": "02.03.2026"},
        {"date": "2026-02-30"},
        {"student_id": "me"},
        {"class_session_id": None},
        {"device_id": ""},
        {"device_id": "x" * 201},
        {"state": "VERIFIED"},
    ],
    ids=str,
)
async def test_a_submission_that_makes_no_sense_is_refused_by_name(world: World, changes: dict[str, Any]) -> None:
    answer = await submit(world.client("member"), {**school(world, roster(world)), **changes})
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_error")
    assert {error["field"] for error in answer.json()["errors"]} == set(changes)


@pytest.mark.parametrize("key", ["x" * 201, "two words", "ü"])
async def test_a_key_that_is_none_is_refused(world: World, key: str) -> None:
    body = school(world, roster(world))
    answer = await world.client("member").post(
        "/school/attendance", json=body, headers={b"Idempotency-Key": key.encode("latin-1")}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_error")
    assert world.rows("SELECT * FROM attendance") == []


async def test_times_are_those_of_the_platforms_clock(world: World) -> None:
    session, staff = roster(world), world.client("staff")
    synced = (await world.client(None).get("/time/sync")).json()
    assert synced == {
        "now": "2026-03-02T08:00:00.000000Z",
        "limits": {"accepted_ms": 5000.0, "flagged_ms": 300_000.0, "blocked_ms": 600_000.0},
    }
    made = (await submit(staff, school(world, session))).json()
    assert datetime.fromisoformat(made["created_at"]) == world.clock.now()
    assert UUID(made["submitted_by"]) == world.people["here", Role.STAFF].id
