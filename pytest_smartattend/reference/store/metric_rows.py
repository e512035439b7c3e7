"""Metrics in SQL: one row per request or event, and what they amount to over a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, case, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from pytest_smartattend.reference.domain.actors import Scope
from pytest_smartattend.reference.domain.tenant_health import SUBMISSIONS, Load
from pytest_smartattend.reference.store.tables import metrics, within

REQUEST, CLOCK_DRIFT, MISMATCH = "request", "clock_drift", "verification_mismatch"


@dataclass(frozen=True, slots=True)
class Metric:
    """One row.

    Attributes:
        tenant_id: whose; None where nobody's tenant is known.
        kind: ``request``, ``clock_drift`` or ``verification_mismatch``.
        value: milliseconds that a request took, the signed milliseconds of a drift, or 1.
        endpoint: method and template of a request.
        status: the HTTP status of a request.
        outcome: the band of a drift.
    """

    tenant_id: UUID | None
    at: datetime
    kind: str
    value: float
    endpoint: str | None = None
    status: int | None = None
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """After `since`, up to and including `until`."""

    since: datetime
    until: datetime


class MetricRows:
    """Writes and weighs metrics. Every method takes a transaction that is bound to `scope` already."""

    async def write(self, transaction: AsyncConnection, rows: Sequence[Metric]) -> None:
        """Store some rows at once."""
        await transaction.execute(insert(metrics), [asdict(row) for row in rows])

    def within(self, scope: Scope, kind: str, window: Window) -> list[ColumnElement[bool]]:
        """Which rows are weighed."""
        when = (metrics.c.at > window.since, metrics.c.at <= window.until)
        return [within(metrics, scope), metrics.c.kind == kind, *when]

    async def loads(self, transaction: AsyncConnection, scope: Scope, window: Window) -> Mapping[str, Load]:
        """Endpoint → what was recorded of it. Reads of metrics are left out: looking changes nothing of what is seen."""
        statement = self.weighed(select(*_LOAD), scope, window).group_by(metrics.c.endpoint)
        rows = await transaction.execute(statement.order_by(metrics.c.endpoint))
        return {
            row.endpoint: Load(row.requests, row.server_errors, row.failed_submissions, row.mean_ms) for row in rows
        }

    async def latency(self, transaction: AsyncConnection, scope: Scope, window: Window) -> Mapping[str, float]:
        """p50, p95, p99 and the longest of all requests, in milliseconds; 0 where there were none."""
        shares = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
        taken = [
            func.coalesce(func.percentile_disc(share).within_group(metrics.c.value), 0.0).label(name)
            for name, share in shares.items()
        ]
        longest = func.coalesce(func.max(metrics.c.value), 0.0).label("max_ms")
        row = (await transaction.execute(self.weighed(select(*taken, longest), scope, window))).mappings().one()
        return dict(row)

    async def drifts(self, transaction: AsyncConnection, scope: Scope, window: Window) -> Mapping[str, Any]:
        """``counts``: band → number; ``mean_ms`` and ``max_ms`` of the sizes of all drifts, 0 where there were none."""
        size = func.abs(metrics.c.value)
        statement = select(metrics.c.outcome, func.count(), func.sum(size), func.max(size))
        statement = statement.where(*self.within(scope, CLOCK_DRIFT, window)).group_by(metrics.c.outcome)
        rows = (await transaction.execute(statement)).all()
        counts = {row[0]: row[1] for row in rows}
        total = sum(counts.values())
        mean = sum(row[2] for row in rows) / total if total else 0.0
        return {"counts": counts, "mean_ms": mean, "max_ms": max((row[3] for row in rows), default=0.0)}

    async def mismatches(self, transaction: AsyncConnection, scope: Scope, window: Window) -> int:
        """How often a record was flagged or revoked."""
        statement = select(func.count()).select_from(metrics).where(*self.within(scope, MISMATCH, window))
        return int((await transaction.execute(statement)).scalar_one())

    def weighed(self, statement: Select[Any], scope: Scope, window: Window) -> Select[Any]:
        """`statement` over the requests that count."""
        counts = metrics.c.endpoint.not_like("% /metrics/%")
        return statement.where(*self.within(scope, REQUEST, window), counts)


def _count_if(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count(case((condition, 1)))


_REFUSED = metrics.c.status.between(400, 499) & metrics.c.endpoint.in_(SUBMISSIONS)
_LOAD = (
    metrics.c.endpoint,
    func.count().label("requests"),
    _count_if(metrics.c.status >= 500).label("server_errors"),
    _count_if(_REFUSED).label("failed_submissions"),
    func.avg(metrics.c.value).label("mean_ms"),
)
