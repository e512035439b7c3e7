"""What the metrics of the last hour amount to, for whoever may see them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_smartattend.reference.api.access import Caller
from pytest_smartattend.reference.api.metric_log import MetricLog
from pytest_smartattend.reference.domain.ports import Clock
from pytest_smartattend.reference.domain.tenant_health import HealthRules, HealthStatus, Load
from pytest_smartattend.reference.store.metric_rows import MetricRows, Window
from pytest_smartattend.reference.store.sessions import Store


@dataclass(frozen=True, slots=True)
class Loads:
    """What was recorded in a window, in all and by endpoint."""

    window: Window
    total: Load
    by_endpoint: Mapping[str, Load]


class MetricsDesk:
    """Reads metrics within the caller's scope. What this worker noted is written first; others follow in a second."""

    def __init__(self, store: Store, rows: MetricRows, log: MetricLog, clock: Clock) -> None:
        self.rules = HealthRules()
        self.rows = rows
        self._store = store
        self._log = log
        self._clock = clock

    async def loads(self, caller: Caller) -> Loads:
        """The requests of the last hour."""
        window = await self._window()
        async with self._store.transaction(caller.scope) as transaction:
            by_endpoint = await self.rows.loads(transaction, caller.scope, window)
        return Loads(window, total(by_endpoint.values()), by_endpoint)

    async def health(self, caller: Caller) -> tuple[Loads, HealthStatus]:
        """How the tenant fares, and what that follows from."""
        loads = await self.loads(caller)
        return loads, self.rules.judge(loads.total)

    async def mismatches(self, caller: Caller, window: Window) -> int:
        """How often a record was flagged or revoked."""
        async with self._store.transaction(caller.scope) as transaction:
            return await self.rows.mismatches(transaction, caller.scope, window)

    async def latency(self, caller: Caller, window: Window) -> Mapping[str, float]:
        """Percentiles and the longest, in milliseconds."""
        async with self._store.transaction(caller.scope) as transaction:
            return await self.rows.latency(transaction, caller.scope, window)

    async def drifts(self, caller: Caller) -> tuple[Window, Mapping[str, Any]]:
        """How far clients' clocks were off."""
        window = await self._window()
        async with self._store.transaction(caller.scope) as transaction:
            return window, await self.rows.drifts(transaction, caller.scope, window)

    async def _window(self) -> Window:
        await self._log.flush()
        now = self._clock.now()
        return Window(self.rules.since(now), now)


def total(loads: Iterable[Load]) -> Load:
    """Several loads as one."""
    loads = list(loads)
    requests = sum(load.requests for load in loads)
    taken = sum(load.mean_ms * load.requests for load in loads)
    return Load(
        requests,
        sum(load.server_errors for load in loads),
        sum(load.failed_submissions for load in loads),
        taken / requests if requests else 0.0,
    )
