"""Every request is recorded, whatever became of it, and an hour later it is no longer weighed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest
from starlette.middleware import Middleware
from starlette.types import Receive, Scope, Send

from pytest_smartattend.reference.domain.actors import Role
from pytest_smartattend.reference.store.seed import ClassSession, Rosters, seed

if TYPE_CHECKING:
    from tests.contract.reference.conftest import World

pytestmark = pytest.mark.asyncio


async def health(world: World, role: str = "admin", tenant: str = "here") -> dict[str, Any]:
    answer: dict[str, Any] = (await world.client(role, tenant).get("/metrics/health-status")).json()
    return answer


async def refused(world: World, times: int) -> None:
    """As many submissions that are refused for their clocks."""
    session = ClassSession(uuid4(), world.tenants["here"], "Maths")
    seed(world.database.dsn, rosters=Rosters([session]), at=world.clock.now())
    student, off = str(world.people["here", Role.MEMBER].id), world.clock.now() - timedelta(seconds=400)
    body = {"class_session_id": str(session.id), "student_id": student, "date": "2026-03-02"}
    for _ in range(times):
        answer = await world.client("member").post("/school/attendance", json={**body, "client_time": off.isoformat()})
        assert answer.status_code == 422


async def quiet(world: World, times: int) -> None:
    for _ in range(times):
        assert (await world.client("member").get("/auth/me")).status_code == 200


async def test_the_limits_themselves_belong_to_the_milder_status_and_it_recovers_by_itself(world: World) -> None:
    await refused(world, 1)
    await quiet(world, 19)
    assert ((await health(world))["failure_rate"], (await health(world))["status"]) == (0.05, "healthy")
    await refused(world, 2)
    assert (await health(world))["status"] == "degraded"
    await refused(world, 1)
    seen = await health(world)
    assert (seen["requests"], seen["failures"], seen["status"]) == (23, 4, "critical")
    world.clock.move(minutes=59)
    await quiet(world, 1)
    assert (await health(world))["status"] == "critical"
    world.clock.move(minutes=1)
    seen = await health(world)
    assert (seen["requests"], seen["failures"], seen["status"]) == (1, 0, "healthy")
    assert (await health(world, tenant="there"))["requests"] == 0


class Slow:
    """ASGI middleware within the metrics: time passes on the platform's clock while a request is answered."""

    def __init__(self, app: Any, world: World) -> None:
        self.app, self.world = app, world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") == "/api/auth/me":
            self.world.clock.move(seconds=12)
        await self.app(scope, receive, send)


async def test_slow_answers_make_a_tenant_ill(world: World) -> None:
    app = world.start()
    app.user_middleware.insert(1, Middleware(Slow, world=world))
    member, admin = world.client("member", app=app), world.client("admin", app=app)
    await member.get("/auth/me")
    told = (await admin.get("/metrics/health-status")).json()
    assert (told["status"], told["mean_latency_ms"]) == ("critical", 12_000)
    await admin.get(f"/incidents/{uuid4()}")
    told = (await admin.get("/metrics/health-status")).json()
    assert (told["status"], told["mean_latency_ms"]) == ("degraded", 6_000)
    latency = (await admin.get("/metrics/api-latency")).json()
    assert (latency["requests"], latency["p50_ms"], latency["max_ms"]) == (2, 0, 12_000)
    assert [(one["endpoint"], one["mean_ms"]) for one in latency["endpoints"]] == [
        ("/auth/me", 12_000),
        ("/incidents/{id}", 0),
    ]


async def test_every_request_is_recorded_also_those_that_failed(world: World) -> None:
    staff, nobody = world.client("staff"), world.client(None)
    await staff.get("/auth/me")
    await staff.get("/incidents/not-an-id")
    await staff.post("/incidents", content=b"{", headers={"content-type": "application/json"})
    await staff.post("/incidents/1/close")
    await nobody.get("/auth/me")
    await nobody.get("/nowhere")
    await nobody.delete("/incidents")
    world.platform.access.scope = lambda *_: 1 / 0  # type: ignore[method-assign,assignment]
    assert (await staff.get("/auth/me")).status_code == 500
    await world.platform.metric_log.flush()
    rows = world.rows("SELECT endpoint, status, tenant_id FROM metrics WHERE kind = 'request' ORDER BY id")
    here = world.tenants["here"]
    assert [tuple(row.values()) for row in rows] == [
        ("GET /auth/me", 200, here),
        ("GET /incidents/{id}", 404, here),
        ("POST /incidents", 400, here),
        ("POST /incidents/{id}/close", 403, here),
        ("GET /auth/me", 401, None),
        ("ANY /", 404, None),
        ("ANY /", 405, None),
        ("GET /auth/me", 500, here),
    ]


async def test_what_was_noted_while_the_database_was_away_is_written_when_it_is_back(world: World) -> None:
    staff = world.client("staff")
    with world.sql() as connection:
        connection.execute("ALTER TABLE metrics RENAME TO away")
        await staff.get("/auth/me")
        await world.platform.metric_log.flush()
        connection.execute("ALTER TABLE away RENAME TO metrics")
    await staff.get("/auth/me")
    await world.platform.close()
    assert [row["status"] for row in world.rows("SELECT status FROM metrics")] == [200, 200]


async def test_nothing_waits_longer_than_a_second_to_be_written(world: World) -> None:
    await world.client("staff").get("/auth/me")
    for _ in range(200):
        await asyncio.sleep(0.05)
        if world.rows("SELECT * FROM metrics"):
            return
    raise AssertionError("nothing was written")


async def test_failures_and_drifts_are_counted_by_kind(world: World) -> None:
    admin = world.client("admin")
    await refused(world, 2)
    await quiet(world, 2)
    rates = (await admin.get("/metrics/failure-rates")).json()
    assert (rates["requests"], rates["attendance_failures"], rates["server_errors"]) == (4, 2, 0)
    assert (rates["failure_rate"], rates["verification_mismatches"]) == (0.5, 0)
    assert {one["endpoint"]: one["failures"] for one in rates["endpoints"]} == {"/auth/me": 0, "/school/attendance": 2}
    drift = (await admin.get("/metrics/clock-drift")).json()
    assert {name: drift[name] for name in ("submissions", "accepted", "blocked", "mean_ms", "max_ms")} == {
        "submissions": 2,
        "accepted": 0,
        "blocked": 2,
        "mean_ms": 400_000,
        "max_ms": 400_000,
    }


@pytest.mark.parametrize("path", ["health-status", "failure-rates", "api-latency", "clock-drift"])
async def test_metrics_are_for_admins_and_a_superadmin_sees_all_tenants(world: World, path: str) -> None:
    async def asked(role: str | None) -> httpx.Response:
        return await world.client(role).get(f"/metrics/{path}")

    answers = [(await asked(role)).status_code for role in (None, "member", "staff", "admin", "superadmin")]
    assert answers == [401, 403, 403, 200, 200]
    await world.client("member", "there").get("/auth/me")
    if path == "api-latency":
        assert [(await asked(role)).json()["requests"] for role in ("admin", "superadmin")] == [0, 1]
