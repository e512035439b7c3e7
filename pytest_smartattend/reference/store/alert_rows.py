"""Alerts to superadmins, as rows: what happened to which part of the platform, and until when."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from pytest_smartattend.reference.store.tables import alerts

UNREACHABLE, DAMAGED = "store_unreachable", "store_damaged"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. `kind` is `UNREACHABLE` or `DAMAGED`; `ended_at` None while it lasts."""

    id: UUID
    kind: str
    part: str
    detail: str
    at: datetime
    ended_at: datetime | None = None


class AlertRows:
    """Reads and writes alerts, in transactions of a superadmin's scope."""

    async def open(self, transaction: AsyncConnection, alert: Alert) -> bool:
        """Store an alert unless one about the same lasts; whether it was stored."""
        statement = insert(alerts).values(asdict(alert)).on_conflict_do_nothing().returning(alerts.c.id)
        return (await transaction.execute(statement)).first() is not None

    async def end(self, transaction: AsyncConnection, alert: Alert, at: datetime) -> None:
        """End what lasts of this kind and part."""
        which = (alerts.c.kind == alert.kind, alerts.c.part == alert.part, alerts.c.ended_at.is_(None))
        await transaction.execute(update(alerts).where(*which).values(ended_at=at))
