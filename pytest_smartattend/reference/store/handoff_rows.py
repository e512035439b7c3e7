"""Handoffs in SQL: appended only. How one ended, and who was turned away, are rows beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, exists, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from pytest_smartattend.reference.domain.actors import Scope
from pytest_smartattend.reference.domain.handoff import Ending, Handoff, HandoffStatus
from pytest_smartattend.reference.domain.incident import Incident
from pytest_smartattend.reference.domain.ports import write_instant
from pytest_smartattend.reference.store.tables import (
    escalations,
    handoff_endings,
    handoff_refusals,
    handoffs,
    incidents,
    within,
)


class HandoffRows:
    """Reads and appends handoffs. Every method takes a transaction that is bound to `scope` already."""

    async def insert(self, transaction: AsyncConnection, handoff: Handoff) -> None:
        """Store a new handoff."""
        names = [column.name for column in handoffs.c if column.name != "position"]
        values = {name: getattr(handoff, name) for name in names}
        await transaction.execute(insert(handoffs), {**values, "items": list(handoff.items)})

    async def end(self, transaction: AsyncConnection, handoff_id: UUID, tenant_id: UUID | None, ending: Ending) -> None:
        """Store how a handoff ended; the database takes one ending for each."""
        values = {name: getattr(ending, name) for name in Ending.__slots__}
        values |= {"handoff_id": handoff_id, "tenant_id": tenant_id, "status": ending.status.value}
        await transaction.execute(insert(handoff_endings), {**values, "moved": list(ending.moved)})

    async def refuse(self, transaction: AsyncConnection, handoff: Handoff, record: Mapping[str, Any]) -> None:
        """Store who was turned away, and why."""
        values = {**record, "handoff_id": handoff.id, "tenant_id": handoff.tenant_id}
        await transaction.execute(insert(handoff_refusals), values)

    async def find(self, transaction: AsyncConnection, scope: Scope, handoff_id: UUID) -> Handoff | None:
        """The handoff; None if there is none within the scope."""
        statement = _with_endings().where(handoffs.c.id == handoff_id, within(handoffs, scope))
        row = (await transaction.execute(statement)).mappings().first()
        return _handoff(row) if row else None

    async def waiting(self, transaction: AsyncConnection, tenant_id: UUID | None, now: datetime) -> Sequence[UUID]:
        """The handoffs of a tenant, or of all tenants together, that can still be accepted at `now`."""
        unit = handoffs.c.tenant_id == tenant_id if tenant_id else handoffs.c.tenant_id.is_(None)
        ended = exists().where(handoff_endings.c.handoff_id == handoffs.c.id)
        statement = select(handoffs.c.id).where(unit, handoffs.c.expires_at >= now, ~ended)
        return (await transaction.scalars(statement.order_by(handoffs.c.position))).all()

    async def missed(self, transaction: AsyncConnection, incident: Incident) -> Handoff | None:
        """The newest accepted handoff that would have taken the incident along, had it been there already."""
        unit = or_(handoffs.c.tenant_id == incident.tenant_id, handoffs.c.tenant_id.is_(None))
        accepted = (handoff_endings.c.status == HandoffStatus.ACCEPTED, handoff_endings.c.at >= incident.created_at)
        statement = _with_endings().where(unit, *accepted).order_by(handoff_endings.c.at.desc()).limit(1)
        row = (await transaction.execute(statement)).mappings().first()
        return _handoff(row) if row else None

    async def paths(self, transaction: AsyncConnection, scope: Scope) -> dict[UUID, list[dict[str, Any]]]:
        """Incident → the steps by which it was carried up, oldest first, of all that are open."""
        steps = escalations.c
        columns = (steps.incident_id, steps.level, steps.severity, steps.actor, steps.at)
        statement = select(*columns).join(incidents, incidents.c.id == steps.incident_id)
        which = (within(escalations, scope), incidents.c.status != "closed")
        found: dict[UUID, list[dict[str, Any]]] = {}
        for row in await transaction.execute(statement.where(*which).order_by(steps.position)):
            step = {"level": row.level, "severity": row.severity, "actor": row.actor, "at": write_instant(row.at)}
            found.setdefault(row.incident_id, []).append(step)
        return found


def _with_endings() -> Select[Any]:
    endings = [column.label(f"ending_{column.name}") for column in handoff_endings.c]
    joined = handoffs.outerjoin(handoff_endings, handoff_endings.c.handoff_id == handoffs.c.id)
    return select(handoffs, *endings).select_from(joined)


def _handoff(row: Any) -> Handoff:  # noqa: ANN401 - a row by names
    ending = None
    if row["ending_status"]:
        said = {name: row[f"ending_{name}"] for name in Ending.__slots__}
        ending = Ending(**{**said, "status": HandoffStatus(said["status"])})
    shown = {name: row[name] for name in Handoff.__slots__ if name != "ending"}
    return Handoff(**shown, ending=ending)
