"""Defects in time: windows that begin, end or are watched wrongly, and a monitor that is late, doubled or dead."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pytest_smartattend.reference.domain.incident import Incident, Kind, Mark, Severity
from pytest_smartattend.reference.domain.lifecycle import Change
from pytest_smartattend.reference.domain.sla import AT_RISK_FROM, Notice, Promise, SlaStatus
from pytest_smartattend.reference.wall_clock import WallClock
from pytest_smartattend.sabotage.defect import Sabotage


def _begin_with_the_acknowledgement(app: Any) -> None:  # noqa: ANN401
    app.state.platform.sla.began = lambda incident: incident.acknowledge.answered_at or incident.created_at


def _take_the_other_window(app: Any) -> None:  # noqa: ANN401
    sla = app.state.platform.sla

    def risky(incident: Incident, promise: Promise) -> datetime:
        (other,) = set(Promise) - {promise}
        at: datetime = sla.began(incident) + sla.length(incident, other) * AT_RISK_FROM
        return at

    sla.risky = risky


def _keep_the_first_window(app: Any) -> None:  # noqa: ANN401
    sla = app.state.platform.sla
    first: dict[UUID, Severity] = {}

    def length(incident: Incident, promise: Promise) -> timedelta:
        window: timedelta = sla.windows[first.setdefault(incident.id, incident.severity)][promise]
        return window

    sla.length = length


def _watch_a_second_late(app: Any) -> None:  # noqa: ANN401
    sla = app.state.platform.sla
    honest = sla.watched

    def watched(incident: Incident) -> Incident:
        seen: Incident = honest(incident)
        if seen.sla_watch_at and seen.sla_watch_at in {sla.due(incident, promise) for promise in Promise}:
            return dataclasses.replace(seen, sla_watch_at=seen.sla_watch_at + timedelta(seconds=1))
        return seen

    sla.watched = watched


def _remember_in_memory(app: Any) -> None:  # noqa: ANN401
    """What was told is kept by each worker for itself, in place of the database for all."""
    platform = app.state.platform
    told: set[tuple[UUID, Promise, SlaStatus]] = set()
    honest = platform.monitor.owed

    def owed(incident: Incident, at: datetime) -> list[Notice]:
        found = [one for one in honest(incident, at) if (incident.id, one.promise, one.status) not in told]
        told.update((incident.id, one.promise, one.status) for one in found)
        return found

    platform.monitor.owed = owed
    platform.sla.noticed = lambda incident, _notice, _at: incident


def _look_at_the_wall(app: Any) -> None:  # noqa: ANN401
    app.state.platform.monitor.clock = WallClock()


def _take_local_time_for_utc(app: Any) -> None:  # noqa: ANN401
    platform = app.state.platform

    class Ahead:
        def now(self) -> datetime:
            instant: datetime = platform.clock.now() + timedelta(hours=1)
            return instant

    platform.monitor.clock = Ahead()


def _die(app: Any) -> None:  # noqa: ANN401
    async def notice(_incident_id: UUID) -> None:
        raise asyncio.CancelledError  # what the monitor does not outlive

    app.state.platform.monitor.notice = notice


def _escalate_in_silence(app: Any) -> None:  # noqa: ANN401
    timeline = app.state.platform.desk.timeline
    honest = timeline.record

    async def record(transaction: object, change: Change, actor: str) -> object:
        silent = change.kind is Kind.ESCALATED and actor == "system:sla-monitor"
        return None if silent else await honest(transaction, change, actor)

    timeline.record = record


def _call_nobody(app: Any) -> None:  # noqa: ANN401
    app.state.platform.monitor.carries_up = lambda _incident, _notice: False


def _forgive(app: Any) -> None:  # noqa: ANN401
    sla = app.state.platform.sla
    honest = sla.answered

    def answered(incident: Incident, promise: Promise, at: datetime) -> Incident:
        seen: Incident = honest(incident, promise, at)
        return dataclasses.replace(seen, resolve=dataclasses.replace(seen.resolve, breached_at=None))

    sla.answered = answered


def _forgive_the_milder(app: Any) -> None:  # noqa: ANN401
    sla = app.state.platform.sla
    honest = sla.reweighed

    def reweighed(incident: Incident, severity: Severity, at: datetime) -> Incident:
        seen: Incident = honest(incident, severity, at)
        if [*Severity].index(severity) >= [*Severity].index(incident.severity):
            return seen
        acknowledge = dataclasses.replace(seen.acknowledge, breached_at=None)
        return dataclasses.replace(
            seen, acknowledge=acknowledge, resolve=dataclasses.replace(seen.resolve, breached_at=None)
        )

    sla.reweighed = reweighed


def _end_before_the_instant(app: Any) -> None:  # noqa: ANN401
    sla = app.state.platform.sla
    honest = sla._overrun  # noqa: SLF001 - a defect is planted wherever it would be made
    sla._overrun = lambda incident, promise, now: honest(incident, promise, now + timedelta(microseconds=1))  # noqa: SLF001


def _begin_anew(app: Any) -> None:  # noqa: ANN401
    sla = app.state.platform.sla
    honest = sla.resumed

    def resumed(incident: Incident, at: datetime) -> Incident:
        seen: Incident = honest(incident, at)
        return sla.watched(dataclasses.replace(seen, resolve=Mark()))  # type: ignore[no-any-return]

    sla.resumed = resumed


def _look_at_one(app: Any) -> None:  # noqa: ANN401
    rows = app.state.platform.desk.rows
    honest = rows.watch

    async def watch(*given: Any) -> Any:  # noqa: ANN401
        due, following = await honest(*given)
        return due[:1], following

    rows.watch = watch


def _weigh_a_day(app: Any) -> None:  # noqa: ANN401
    app.state.platform.metrics.rules.since = lambda now: now - timedelta(days=1)


CLOCK = (
    Sabotage(
        "window-from-acknowledgement",
        "the windows run from the acknowledgement, not from creation",
        _begin_with_the_acknowledgement,
    ),
    Sabotage("risk-of-the-other-window", "a window is at risk by 80 % of the other one", _take_the_other_window),
    Sabotage(
        "window-ignores-severity-change", "a change of severity does not move the windows", _keep_the_first_window
    ),
    Sabotage("breach-noticed-late", "a broken promise is noticed one second late", _watch_a_second_late),
    Sabotage("noticed-by-each-worker", "every worker notices for itself, so all is told twice", _remember_in_memory),
    Sabotage("monitor-on-the-wall-clock", "the SLA monitor judges by another clock", _look_at_the_wall),
    Sabotage("monitor-off-by-an-hour", "the SLA monitor takes local time for UTC", _take_local_time_for_utc),
    Sabotage("monitor-dies-of-an-exception", "the SLA monitor does not outlive what goes wrong", _die),
    Sabotage("escalation-without-an-event", "what the monitor carries up is not in the timeline", _escalate_in_silence),
    Sabotage("nobody-is-called", "an incident that nobody acknowledges stays where it is", _call_nobody),
    Sabotage("breach-undone", "resolving takes a broken promise back", _forgive),
    Sabotage("breach-undone-by-severity", "a milder severity takes a broken promise back", _forgive_the_milder),
    Sabotage("due-instant-too-late", "a promise kept at its due instant counts as broken", _end_before_the_instant),
    Sabotage("reopening-begins-anew", "a reopened incident's broken promise is forgotten", _begin_anew),
    Sabotage("one-notice-a-look", "of several windows that end at once the monitor tells one", _look_at_one),
    Sabotage("metrics-of-a-whole-day", "a tenant's health weighs a day in place of an hour", _weigh_a_day),
    Sabotage(
        "metrics-on-the-servers-clock",
        "the database stamps metrics by a clock of its own",
        apply_sql="create function stamp_metric() returns trigger language plpgsql as"
        " $$ begin new.at := current_timestamp; return new; end $$;"
        " create trigger stamp before insert on metrics for each row execute function stamp_metric()",
    ),
)
