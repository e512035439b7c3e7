"""The SLA monitor: notices by itself that a window is at risk or broken, and carries up what nobody took (SPEC 1).

One runs in every worker, on the platform's clock. None is elected, for none needs to be: what is owed is decided under
the lock of the incident's row, so of several that wake at the same instant the first one tells it and the others find
nothing left. Whatever fell due while no monitor ran is noticed once, late, with both times.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from pytest_smartattend.reference.api.desk import IncidentDesk
from pytest_smartattend.reference.domain.actors import Scope
from pytest_smartattend.reference.domain.incident import Incident, Status
from pytest_smartattend.reference.domain.lifecycle import Change
from pytest_smartattend.reference.domain.ports import Alarm, Clock
from pytest_smartattend.reference.domain.sla import Notice, Promise, SlaStatus
from pytest_smartattend.reference.store.sessions import Store, StoreUnreachable

log = logging.getLogger(__name__)

#: as the timeline names it
ACTOR = "system:sla-monitor"
_EVERYWHERE = Scope(everywhere=True)


class SlaMonitor:
    """Sleeps until the next window is at risk or ends, and tells the incident's timeline.

    The database is asked at each look what falls due next, and each `scan` at the latest; what this worker stores or
    notices itself is known at once. So an incident of another worker is watched before its first window can be at risk, also
    when that worker dies.

    Attributes:
        clock: judges what is due.

    Args:
        store: the incident store.
        desk: changes incidents, and says which it has changed.
        clock: see above.
        scan: the longest sleep.
    """

    def __init__(self, store: Store, desk: IncidentDesk, clock: Clock, scan: timedelta) -> None:
        self.clock = clock
        self._store = store
        self._desk = desk
        self._scan = scan
        self._wake_at = clock.now()
        self._sleep: asyncio.Future[None] | None = None
        desk.on_change = self.expect

    @contextlib.asynccontextmanager
    async def running(self, alarm: Alarm) -> AsyncIterator[None]:
        """Run on `alarm` for the length of the block."""
        task = asyncio.create_task(self.run(alarm), name="sla-monitor")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def run(self, alarm: Alarm) -> None:
        """Look, sleep, and look again until cancelled. What goes wrong is logged and tried again."""
        while True:
            try:
                await self.look()
            except StoreUnreachable as why:
                log.warning("the SLA monitor looks again within %s: %s", self._scan, why)
            except Exception:
                log.exception("the SLA monitor could not look; it tries again within %s", self._scan)
            await self._pause(alarm)

    def expect(self, incident: Incident) -> None:
        """Wake in time for an incident that was stored just now."""
        if incident.sla_watch_at is not None and incident.sla_watch_at < self._wake_at:
            self._wake_at = incident.sla_watch_at
            if self._sleep is not None:
                self._sleep.cancel()

    async def look(self) -> None:
        """Notice everything that is owed now, and decide when to look again."""
        now = self.clock.now()
        self._wake_at = now + self._scan  # before the question: what is stored during it may only shorten the sleep
        due, following = await self._ask(now)
        for incident_id in due:
            try:
                await self.notice(incident_id)
            except Exception:  # one incident that cannot be told of must not silence the others
                log.exception("the SLA monitor could not look at incident %s", incident_id)
        self._wake_at = min(self._wake_at, following or self._wake_at)

    async def _ask(self, now: datetime) -> tuple[Sequence[UUID], datetime | None]:
        """What must have been looked at by `now`, and when something must be after it."""
        async with self._store.transaction(_EVERYWHERE) as transaction:
            return await self._desk.rows.watch(transaction, _EVERYWHERE, now)

    async def notice(self, incident_id: UUID) -> None:
        """Tell an incident's timeline what is owed to it, in one transaction; nothing if another worker was first."""
        async with self._store.transaction(_EVERYWHERE) as transaction:
            incident = await self._desk.rows.lock(transaction, _EVERYWHERE, incident_id)
            if incident is None:
                return
            at = self.clock.now()
            owed = self.owed(incident, at)
            if not owed:  # another worker was first, or the row is from before there was a monitor
                incident = self._desk.lifecycle.sla.watched(incident)
                await self._desk.rows.update(transaction, incident)
            for notice in owed:
                change = self._desk.lifecycle.notice(incident, notice, at=at)
                await self._desk.apply(transaction, change, ACTOR)
                incident = change.incident
                if self.carries_up(incident, notice):
                    incident = (escalated := self.escalation(incident, at)).incident
                    await self._desk.apply(transaction, escalated, ACTOR)
        if incident.sla_watch_at is not None and incident.sla_watch_at > at:  # else it would be looked at for ever
            self.expect(incident)

    def owed(self, incident: Incident, at: datetime) -> list[Notice]:
        """What has to be told of an incident whose row is locked."""
        return self._desk.lifecycle.sla.owed(incident, at)

    def carries_up(self, incident: Incident, notice: Notice) -> bool:
        """Whether a notice means that nobody took the incident in time."""
        missed = notice.promise is Promise.ACKNOWLEDGE and notice.status is SlaStatus.BREACHED
        return missed and incident.status is Status.OPEN

    def escalation(self, incident: Incident, at: datetime) -> Change:
        """The step up to the level of the incident's severity."""
        level = self._desk.lifecycle.least_levels[incident.severity]
        return self._desk.lifecycle.escalate(incident, level, actor=ACTOR, at=at, note=None)

    async def _pause(self, alarm: Alarm) -> None:
        """Sleep until it is time, also where that time moves nearer meanwhile. Wakes behind all others of the instant."""
        while True:
            left = max(self._wake_at - self.clock.now(), timedelta())
            self._sleep = asyncio.ensure_future(alarm.sleep(left, last=True))
            try:
                await asyncio.wait({self._sleep})
            finally:
                self._sleep.cancel()
            if not self._sleep.cancelled():
                self._sleep.result()
                return
