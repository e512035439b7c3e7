"""Reads all that is kept of some incidents, with one question per table, and keeps who exported them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Table, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from pytest_smartattend.reference.domain.actors import Scope, User
from pytest_smartattend.reference.domain.export import Material
from pytest_smartattend.reference.domain.incident import Incident, Severity, Status
from pytest_smartattend.reference.domain.timeline import Position
from pytest_smartattend.reference.store import tables
from pytest_smartattend.reference.store.accounts import Accounts
from pytest_smartattend.reference.store.incident_rows import IncidentRows


@dataclass(frozen=True, slots=True)
class Selection:
    """Which incidents: oldest first, after the one that `after` names; created from `since` up to, without, `until`."""

    limit: int
    status: Status | None = None
    severity: Severity | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: tuple[datetime, UUID] | None = None

    def with_limit(self, limit: int) -> Selection:
        """The same with another limit."""
        return replace(self, limit=limit)


class ExportRows:
    """Every method takes a transaction that is bound to `scope` already."""

    def __init__(self, rows: IncidentRows, accounts: Accounts) -> None:
        self._rows = rows
        self._accounts = accounts

    async def chosen(self, transaction: AsyncConnection, scope: Scope, wanted: Selection) -> Sequence[Incident]:
        """Up to ``wanted.limit`` incidents."""
        found = tables.incidents.c
        statement = select(tables.incidents).where(self._rows.visible(scope))
        conditions = (
            (wanted.status, lambda status: found.status == status.value),
            (wanted.severity, lambda severity: found.severity == severity.value),
            (wanted.since, lambda since: found.created_at >= since),
            (wanted.until, lambda until: found.created_at < until),
            (wanted.after, lambda after: tuple_(found.created_at, found.id) > tuple_(*after)),
        )
        for value, condition in conditions:
            if value is not None:
                statement = statement.where(condition(value))
        ordered = statement.order_by(found.created_at, found.id).limit(wanted.limit)
        return await self._rows.all(transaction, ordered)

    async def material(
        self, transaction: AsyncConnection, scope: Scope, incidents: Sequence[Incident]
    ) -> list[Material]:
        """All that is kept of `incidents`, in their order."""
        ids = [incident.id for incident in incidents]
        events = await self._of(transaction, scope, tables.timeline, "seq", ids)
        escalations = await self._of(transaction, scope, tables.escalations, "position", ids)
        root_causes = await self._of(transaction, scope, tables.root_causes, "position", ids)
        refusals = await self._of(transaction, scope, tables.refusals, "position", ids)
        heads = await self._of(transaction, scope, tables.audit_heads, "seq", ids)
        return [
            Material(
                incident,
                events[incident.id],
                escalations[incident.id],
                root_causes[incident.id],
                refusals[incident.id],
                next((Position(row["seq"], row["hash"]) for row in heads[incident.id]), None),
            )
            for incident in incidents
        ]

    async def people(self, transaction: AsyncConnection, ids: set[UUID]) -> Mapping[UUID, User]:
        """Who is known of `ids`."""
        return {user.id: user for user in await self._accounts.by_ids(transaction, ids)}

    async def keep(self, transaction: AsyncConnection, exports: Sequence[Mapping[str, Any]]) -> None:
        """Append who exported what."""
        await transaction.execute(insert(tables.exports), [dict(one) for one in exports])

    async def _of(
        self, transaction: AsyncConnection, scope: Scope, table: Table, order: str, ids: Sequence[UUID]
    ) -> Mapping[UUID, list[dict[str, Any]]]:
        """The rows of `table` by incident, in their order."""
        statement = select(table).where(tables.one_of(table.c.incident_id, ids), tables.within(table, scope))
        rows = await transaction.execute(statement.order_by(table.c.incident_id, table.c[order]))
        found: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
        for row in rows.mappings():
            found[row["incident_id"]].append(dict(row))
        return found
