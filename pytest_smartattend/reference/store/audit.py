"""What is only ever appended: the timeline with its heads, and the records beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Table, insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from pytest_smartattend.reference.domain.actors import Scope
from pytest_smartattend.reference.domain.incident import Incident
from pytest_smartattend.reference.domain.lifecycle import Change
from pytest_smartattend.reference.domain.timeline import Event, Position, hash_of
from pytest_smartattend.reference.store.tables import audit_heads, one_of, timeline, within

#: many rows as one JSON text: the server unpacks them a hundred times faster than they go over one by one
_APPEND_ALL = text("INSERT INTO timeline SELECT * FROM json_populate_recordset(NULL::timeline, CAST(:rows AS json))")
_ADVANCE_ALL = text(
    "INSERT INTO audit_heads SELECT * FROM json_populate_recordset(NULL::audit_heads, CAST(:rows AS json))"
    " ON CONFLICT (incident_id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash"
)


class Heads:
    """The newest hash of each incident, kept apart from the timeline, so that a cut tail is seen."""

    async def of(self, transaction: AsyncConnection, scope: Scope, incident_id: UUID) -> Position | None:
        """The head; None if none was kept."""
        which = (audit_heads.c.incident_id == incident_id, within(audit_heads, scope))
        row = (await transaction.execute(select(audit_heads.c.seq, audit_heads.c.hash).where(*which))).first()
        return Position(row.seq, row.hash) if row else None

    async def of_all(self, transaction: AsyncConnection, incident_ids: Sequence[UUID]) -> dict[UUID, Position]:
        """The heads of many incidents that this transaction has locked; one that was not kept is missing."""
        statement = select(audit_heads).where(one_of(audit_heads.c.incident_id, incident_ids))
        return {row.incident_id: Position(row.seq, row.hash) for row in await transaction.execute(statement)}

    async def advance(self, transaction: AsyncConnection, tenant_id: UUID, event: Event) -> None:
        """Move the head to `event`; the database refuses any other direction than forward by one."""
        values = {"incident_id": event.incident_id, "tenant_id": tenant_id, "seq": event.seq, "hash": event.hash}
        statement = upsert(audit_heads).values(values)
        newest = {"seq": statement.excluded.seq, "hash": statement.excluded.hash}
        await transaction.execute(statement.on_conflict_do_update(index_elements=["incident_id"], set_=newest))

    async def advance_all(self, transaction: AsyncConnection, rows: str) -> None:
        """Move the heads of many incidents to the newest of the timeline's `rows`, which are JSON."""
        await transaction.execute(_ADVANCE_ALL, {"rows": rows})


class Timeline:
    """The rows of the timeline. Appending presumes that the incident's row is locked by this transaction."""

    def __init__(self, heads: Heads) -> None:
        self.heads = heads

    async def record(self, transaction: AsyncConnection, change: Change, actor: str) -> Event:
        """Append the event of an accepted action and move the head to it."""
        incident = change.incident
        event = self.event(await self.position(transaction, incident), change, actor)
        await self.append(transaction, incident.tenant_id, event)
        await self.heads.advance(transaction, incident.tenant_id, event)
        return event

    async def record_all(self, transaction: AsyncConnection, changes: Sequence[Change], actor: str) -> None:
        """Append one event each to the timelines of many incidents, in a few statements however many there are."""
        heads = await self.heads.of_all(transaction, [change.incident.id for change in changes])
        rows = []
        for change in changes:
            incident = change.incident
            position = heads.get(incident.id) or await self.position(transaction, incident)
            rows.append(self.row(incident.tenant_id, self.event(position, change, actor)))
        encoded = json.dumps(rows, default=str)
        await transaction.execute(_APPEND_ALL, {"rows": encoded})
        await self.heads.advance_all(transaction, encoded)

    def event(self, position: Position, change: Change, actor: str) -> Event:
        """The event of an accepted action, after `position`."""
        incident = change.incident
        return Event(
            incident_id=incident.id,
            seq=self.next_seq(position),
            actor=actor,
            at=incident.updated_at,
            kind=change.kind,
            source=change.source,
            target=change.target,
            payload=change.payload,
            prev=self.previous(position),
        )

    async def position(self, transaction: AsyncConnection, incident: Incident) -> Position:
        """Where the timeline ends: by the head, so that a row that was cut off leaves a gap for ever.

        Without a head, by the newest row.
        """
        scope = Scope(tenant_id=incident.tenant_id)
        head = await self.heads.of(transaction, scope, incident.id)
        if head:
            return head
        newest = select(timeline.c.seq, timeline.c.hash).where(timeline.c.incident_id == incident.id)
        row = (await transaction.execute(newest.order_by(timeline.c.seq.desc()).limit(1))).first()
        return Position(row.seq, row.hash) if row else Position()

    def next_seq(self, position: Position) -> int:
        """The number of the row after `position`."""
        return position.seq + 1

    def previous(self, position: Position) -> str:
        """The hash that binds the next row to the one at `position`."""
        return position.hash

    def row(self, tenant_id: UUID, event: Event) -> dict[str, Any]:
        """The event as columns."""
        content = event.content()
        columns = {"incident_id": event.incident_id, "at": event.at, "tenant_id": tenant_id, "hash": hash_of(content)}
        return {**content, **columns}

    async def append(self, transaction: AsyncConnection, tenant_id: UUID, event: Event) -> None:
        """Store one row."""
        await transaction.execute(insert(timeline), self.row(tenant_id, event))

    async def of(self, transaction: AsyncConnection, scope: Scope, incident_id: UUID) -> Sequence[dict[str, Any]]:
        """All rows of an incident by number, as the database has them."""
        statement = select(timeline).where(timeline.c.incident_id == incident_id, within(timeline, scope))
        rows = await transaction.execute(statement.order_by(timeline.c.seq))
        return [dict(row) for row in rows.mappings()]


class Records:
    """One append-only table beside the timeline: escalations, root causes or refusals."""

    def __init__(self, table: Table) -> None:
        self.table = table

    async def append(self, transaction: AsyncConnection, incident: Incident, record: dict[str, Any]) -> None:
        """Store one record about `incident`."""
        values = {**record, "incident_id": incident.id, "tenant_id": incident.tenant_id}
        await transaction.execute(insert(self.table), values)

    async def of(self, transaction: AsyncConnection, scope: Scope, incident_id: UUID) -> Sequence[dict[str, Any]]:
        """All records about an incident, oldest first."""
        statement = select(self.table).where(self.table.c.incident_id == incident_id, within(self.table, scope))
        rows = await transaction.execute(statement.order_by(self.table.c.position))
        return [dict(row) for row in rows.mappings()]
