"""The platform's services, put together. The application reaches them through ``app.state.platform``."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from pytest_smartattend.reference.api.access import Access
from pytest_smartattend.reference.api.alerts import Alerts
from pytest_smartattend.reference.api.attendance_desk import AttendanceDesk
from pytest_smartattend.reference.api.corrections_desk import CorrectionsDesk
from pytest_smartattend.reference.api.desk import IncidentDesk
from pytest_smartattend.reference.api.export_desk import ExportDesk
from pytest_smartattend.reference.api.handoff_desk import HandoffDesk
from pytest_smartattend.reference.api.health import Health
from pytest_smartattend.reference.api.metric_log import MetricLog
from pytest_smartattend.reference.api.metrics_desk import MetricsDesk
from pytest_smartattend.reference.api.passwords import Passwords
from pytest_smartattend.reference.api.sla_monitor import SlaMonitor
from pytest_smartattend.reference.api.tokens import Cursors, Tokens
from pytest_smartattend.reference.domain.export import Exporter
from pytest_smartattend.reference.domain.lifecycle import Lifecycle
from pytest_smartattend.reference.domain.ports import Alarm, Clock, NewId
from pytest_smartattend.reference.domain.pseudonyms import Pseudonyms
from pytest_smartattend.reference.domain.sla import SlaRules
from pytest_smartattend.reference.settings import Settings
from pytest_smartattend.reference.store.accounts import Accounts
from pytest_smartattend.reference.store.sessions import Store


class Platform:
    """One instance of the platform. Plain objects, each with one job; nothing connects before the first request.

    Attributes:
        database: tenants, users, attendance and metrics.
        incidents_database: the incident store; the same object where both URLs are the same.
        drain_idle: how long a worker that is to stop waits for clients that keep connections.
    """

    def __init__(self, settings: Settings, clock: Clock, new_id: NewId) -> None:
        self.clock = clock
        self.database = _store("database", settings.database_url, settings)
        self.incidents_database = self.database
        if settings.incidents_database_url != settings.database_url:
            self.incidents_database = _store("incidents_database", settings.incidents_database_url, settings)
        self.accounts = Accounts()
        self.passwords = Passwords()
        self.tokens = Tokens(settings.token_secret, settings.token_ttl, clock, new_id)
        self.cursors = Cursors(settings.token_secret)
        self.access = Access(self.database, self.accounts, self.tokens, self.passwords)
        self.sla = SlaRules()
        self.lifecycle = Lifecycle(self.sla)
        self.desk = IncidentDesk(self.incidents_database, self.lifecycle, clock, new_id, settings.spool)
        exporter = Exporter(self.sla, Pseudonyms(settings.pseudonym_key), settings.export_key)
        self.exports = ExportDesk(self.incidents_database, self.database, self.desk, exporter, clock, new_id)
        self.monitor = SlaMonitor(self.incidents_database, self.desk, clock, settings.sla_scan)
        self.attendance = AttendanceDesk(self.database, self.desk, clock, new_id)
        self.corrections = CorrectionsDesk(self.attendance)
        self.metric_log = MetricLog(self.database, self.attendance.metrics)
        self.metrics = MetricsDesk(self.database, self.attendance.metrics, self.metric_log, clock)
        self.handoffs = HandoffDesk(self.desk, self.database, self.accounts, self.metrics, settings.handoff_ttl)
        stores = {"database": self.database, "incidents_database": self.incidents_database}
        self.health = Health(stores, settings.health_deadline)
        self.alerts = Alerts(self.database, self.health.answers, clock, new_id, settings.alert_webhook)
        for store in stores.values():
            store.on_failure = self.alerts.notice
        self.drain_idle = settings.drain_idle

    @contextlib.asynccontextmanager
    async def running(self, alarm: Alarm) -> AsyncIterator[None]:
        """The platform's own work, for the length of the block: the SLA monitor on `alarm`, and the spool."""
        async with self.monitor.running(alarm), self.desk.spool.running():
            yield

    async def close(self) -> None:
        """Write the last metrics, and let go of connections and threads."""
        await self.alerts.close()
        self.passwords.close()
        await self.metric_log.close()
        await self.database.close()
        await self.incidents_database.close()


def _store(part: str, dsn: str, settings: Settings) -> Store:
    return Store(
        part,
        dsn,
        connect_timeout=settings.connect_timeout,
        deadline=settings.store_deadline,
        pool_size=settings.pool_size,
    )
