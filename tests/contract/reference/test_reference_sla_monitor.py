from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from pytest_smartattend.loop.clock import LoopClock
from pytest_smartattend.postgres.server import Database
from pytest_smartattend.reference.api.app import create_app
from pytest_smartattend.reference.api.platform import Platform
from pytest_smartattend.reference.domain.actors import Scope
from pytest_smartattend.reference.domain.incident import Incident, Severity
from pytest_smartattend.reference.domain.lifecycle import Report
from pytest_smartattend.reference.settings import Settings

if TYPE_CHECKING:
    from tests.contract.reference.conftest import World

MONITOR = "system:sla-monitor"
START = datetime(2026, 3, 2, 8, tzinfo=UTC)
#: longer than the monitor really takes: a timer that is set while a query is in flight runs in real time
AFTERWARDS = timedelta(seconds=40)


def monitors_of(world: World, count: int = 1) -> list[Platform]:
    while len(world.apps) < count:
        world.start()
    return [app.state.platform for app in world.apps[:count]]


def told(world: World, incident: str) -> list[tuple[str, str, str, str | None]]:
    """What the monitor told of an incident: kind, window, level, new status."""
    query = 'SELECT kind, payload, "to" FROM timeline WHERE incident_id = %s AND actor = %s ORDER BY seq'
    rows = world.rows(query, incident, MONITOR)
    return [
        (row["kind"], row["payload"].get("promise", ""), row["payload"].get("level", ""), row["to"]) for row in rows
    ]


ACKNOWLEDGE_RISK = ("sla_at_risk", "acknowledge", "", None)
ACKNOWLEDGE_BREACH = ("sla_breached", "acknowledge", "", None)
RESOLVE_RISK = ("sla_at_risk", "resolve", "", None)
RESOLVE_BREACH = ("sla_breached", "resolve", "", None)
CARRIED_UP = ("escalated", "", "executive", "escalated")


@pytest.mark.asyncio
async def test_each_thing_is_noticed_once_at_its_instant_and_not_before(world: World) -> None:
    incident = await world.incident("open", "critical")
    (platform,) = monitors_of(world)
    expected: list[Any] = []
    for minutes, told_then in (
        (12, [ACKNOWLEDGE_RISK]),
        (15, [ACKNOWLEDGE_BREACH, CARRIED_UP]),
        (192, [RESOLVE_RISK]),
        (240, [RESOLVE_BREACH]),
    ):
        world.clock.instant = START
        world.clock.move(minutes=minutes, microseconds=-1)
        await platform.monitor.look()
        assert told(world, incident) == expected
        world.clock.move(microseconds=1)
        for _ in range(2):
            await platform.monitor.look()
        expected += told_then
        assert told(world, incident) == expected
    shown = (await world.client().get(f"/incidents/{incident}/sla")).json()
    assert {name: window["status"] for name, window in shown.items()} == {
        "acknowledge": "breached",
        "resolve": "breached",
    }


@pytest.mark.asyncio
async def test_a_notice_carries_the_due_time_and_the_time_of_noticing(world: World) -> None:
    incident = await world.incident("open", "critical")
    (platform,) = monitors_of(world)
    world.clock.move(minutes=20)  # nobody looked while the window went through its risk and its end
    await platform.monitor.look()
    assert told(world, incident) == [ACKNOWLEDGE_BREACH, CARRIED_UP]
    events = (await world.client().get(f"/incidents/{incident}/timeline")).json()["events"]
    assert events[1]["payload"] == {
        "promise": "acknowledge",
        "due_at": "2026-03-02T08:15:00.000000Z",
        "noticed_at": "2026-03-02T08:20:00.000000Z",
    }
    assert events[1]["at"] == events[2]["at"] == "2026-03-02T08:20:00.000000Z"
    (escalation,) = (await world.client().get(f"/incidents/{incident}/escalations")).json()["items"]
    assert (escalation["actor"], escalation["level"]) == (MONITOR, "executive")


@pytest.mark.asyncio
@pytest.mark.parametrize("workers", [2, 5])
async def test_several_monitors_at_the_same_instant_notice_each_thing_once(world: World, workers: int) -> None:
    found = [await world.incident("open", "critical") for _ in range(5)]
    platforms = monitors_of(world, workers)
    for minutes in (12, 3, 177, 48):
        world.clock.move(minutes=minutes)
        await asyncio.gather(*(platform.monitor.look() for platform in platforms))
    everything = [ACKNOWLEDGE_RISK, ACKNOWLEDGE_BREACH, CARRIED_UP, RESOLVE_RISK, RESOLVE_BREACH]
    assert [told(world, incident) for incident in found] == [everything] * 5


@pytest.mark.asyncio
async def test_a_promise_kept_is_not_told_of_and_an_incident_somebody_has_is_not_carried_up(world: World) -> None:
    kept, late = await world.incident("resolved", "critical"), await world.incident("open", "critical")
    (platform,) = monitors_of(world)
    world.clock.move(minutes=16)
    assert (await world.client().post(f"/incidents/{late}/acknowledge", json={})).status_code == 200
    await platform.monitor.look()
    assert told(world, kept) == []
    assert told(world, late) == [ACKNOWLEDGE_BREACH]
    assert world.rows("SELECT id FROM incidents WHERE sla_watch_at IS NULL") == [{"id": UUID(kept)}]


@pytest.mark.asyncio
async def test_a_breach_by_a_change_of_severity_is_noticed_at_once(world: World) -> None:
    incident = await world.incident("open", "low")
    (platform,) = monitors_of(world)
    world.clock.move(minutes=20)
    await platform.monitor.look()
    assert told(world, incident) == []
    await world.client().patch(f"/incidents/{incident}/severity", json={"severity": "critical", "reason": "worse"})
    await platform.monitor.look()
    assert told(world, incident) == [ACKNOWLEDGE_BREACH, CARRIED_UP]


@pytest.mark.asyncio
async def test_one_incident_that_cannot_be_told_of_does_not_silence_the_others(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = await world.incident("open", "critical"), await world.incident("open", "critical")
    with world.sql() as connection:
        connection.execute("ALTER TABLE audit_heads DISABLE TRIGGER USER")
        connection.execute(
            "UPDATE audit_heads SET seq = 2147483647 WHERE incident_id = %s", [min(UUID(first), UUID(second))]
        )
        connection.execute("ALTER TABLE audit_heads ENABLE ALWAYS TRIGGER audit_heads_only_forward")
    (platform,) = monitors_of(world)
    world.clock.move(minutes=15)
    with caplog.at_level(logging.ERROR):
        await platform.monitor.look()
    spoilt, sound = sorted((first, second), key=UUID)
    assert told(world, spoilt) == []
    assert told(world, sound) == [ACKNOWLEDGE_BREACH, CARRIED_UP]
    assert f"could not look at incident {spoilt}" in caplog.text


@pytest.mark.asyncio
async def test_rows_from_before_there_was_a_monitor_are_looked_at_once(world: World) -> None:
    running, done = await world.incident("acknowledged", "critical"), await world.incident("resolved", "low")
    with world.sql() as connection:
        connection.execute("UPDATE incidents SET sla_watch_at = created_at")
    (platform,) = monitors_of(world)
    await platform.monitor.look()
    watched = {str(row["id"]): row["sla_watch_at"] for row in world.rows("SELECT id, sla_watch_at FROM incidents")}
    assert watched == {running: world.clock.now() + timedelta(minutes=192), done: None}


def running_on(clock: LoopClock, database: Database) -> Any:
    dsn = database.dsn_as("smartattend_app")
    return create_app(Settings(dsn, dsn, b"s" * 32), clock=clock, alarm=clock)


async def reported(platform: Platform, clock: LoopClock) -> Incident:
    incident_id, tenant_id = UUID(int=1), UUID(int=2)
    desk = platform.desk
    scope = Scope(tenant_id=tenant_id)
    async with platform.incidents_database.transaction(scope) as transaction:
        report = Report("It is down", "", Severity.CRITICAL)
        change = desk.lifecycle.report(
            report, incident_id=incident_id, tenant_id=tenant_id, by=UUID(int=3), at=clock.now()
        )
        await desk.rows.insert_once(transaction, change.incident)
        await desk.timeline.record(transaction, change, str(UUID(int=3)))
    desk.on_change(change.incident)
    return change.incident


async def stored(platform: Platform, incident: Incident) -> Incident:
    scope = Scope(everywhere=True)
    async with platform.incidents_database.transaction(scope) as transaction:
        found = await platform.desk.rows.find(transaction, scope, incident.id)
    assert found is not None
    return found


@pytest.mark.asyncio
async def test_it_wakes_by_itself_at_the_very_instant_behind_everybody_else(
    reference_database: Database, clock: LoopClock
) -> None:
    app = running_on(clock, reference_database)
    platform: Platform = app.state.platform
    async with app.router.lifespan_context(app):
        await clock.sleep(timedelta(minutes=3))
        incident = await reported(platform, clock)
        risky, due = (incident.created_at + timedelta(minutes=minutes) for minutes in (12, 15))
        await clock.sleep_until(risky)
        assert (await stored(platform, incident)).acknowledge.risk_noticed_at is None
        await clock.sleep(AFTERWARDS)
        assert (await stored(platform, incident)).acknowledge.risk_noticed_at == risky
        await clock.sleep_until(due)
        assert (await stored(platform, incident)).status == "open"
        await clock.sleep(AFTERWARDS)
        now = await stored(platform, incident)
        assert (now.status, now.escalation_level, now.acknowledge.breach_noticed_at) == ("escalated", "executive", due)


@pytest.mark.asyncio
async def test_it_outlives_whatever_goes_wrong_while_it_looks(
    reference_database: Database, clock: LoopClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = running_on(clock, reference_database)
    platform: Platform = app.state.platform
    honest, failures = platform.desk.rows.watch, iter([OSError("the database is away"), ValueError("a defect")])

    async def failing(*given: Any) -> Any:
        for failure in failures:
            raise failure
        return await honest(*given)

    monkeypatch.setattr(platform.desk.rows, "watch", failing)
    with caplog.at_level(logging.CRITICAL, logger="pytest_smartattend.reference.store.sessions"):
        async with app.router.lifespan_context(app):
            incident = await reported(platform, clock)
            await clock.sleep(timedelta(minutes=12) + AFTERWARDS)
            assert (await stored(platform, incident)).acknowledge.risk_noticed_at == incident.created_at + timedelta(
                minutes=12
            )
    assert next(failures, None) is None
