"""Incidents in SQL: one row each, filtered by tenant, locked while it is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, func, or_, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from pytest_smartattend.reference.domain.actors import Scope
from pytest_smartattend.reference.domain.incident import Incident, Level, Mark, Resolution, Severity, Status
from pytest_smartattend.reference.store.tables import incidents, one_of, within

#: given once, when the incident is reported; the application's role may not write them again
_FIXED = {"id", "tenant_id", "title", "description", "created_by", "created_at"}

_MARKED = {
    promise: attrgetter(*(f"{promise}_{each.name}" for each in fields(Mark))) for promise in ("acknowledge", "resolve")
}
#: the locks under which incidents are reported and taken over: of all tenants, then of one. Always in this order.
_REPORTING = text(
    "SELECT pg_advisory_xact_lock_shared(hashtextextended('incidents of all', 0)),"
    " pg_advisory_xact_lock_shared(hashtextextended('incidents of ' || :tenant_id, 0))"
)
_TAKING_ONE = text(
    "SELECT pg_advisory_xact_lock_shared(hashtextextended('incidents of all', 0)),"
    " pg_advisory_xact_lock(hashtextextended('incidents of ' || :tenant_id, 0))"
)
_TAKING_ALL = text("SELECT pg_advisory_xact_lock(hashtextextended('incidents of all', 0))")


@dataclass(frozen=True, slots=True)
class Page:
    """Which incidents to list: newest first, after the one that `after` names by creation and id."""

    limit: int
    status: Status | None = None
    severity: Severity | None = None
    after: tuple[datetime, UUID] | None = None


class IncidentRows:
    """Reads and writes incidents. Every method takes a transaction that is bound to `scope` already."""

    def visible(self, scope: Scope) -> ColumnElement[bool]:
        """The application's own filter, beside row-level security."""
        return within(incidents, scope)

    def for_update(self, statement: Select[Any]) -> Select[Any]:
        """Lock what is selected until the transaction ends: transitions of one incident follow one another."""
        return statement.with_for_update()

    async def reporting(self, transaction: AsyncConnection, tenant_id: UUID) -> None:
        """Let nobody take the tenant's incidents over until the transaction ends; other reports go on.

        Whatever is reported is so before a handoff, which then takes it along, or after it; never unseen beside it.
        """
        await transaction.execute(_REPORTING, {"tenant_id": str(tenant_id)})

    async def taking(self, transaction: AsyncConnection, tenant_id: UUID | None) -> None:
        """Let nobody report, or take over, incidents of the tenant, or of all, until the transaction ends."""
        if tenant_id is None:
            await transaction.execute(_TAKING_ALL)
        else:
            await transaction.execute(_TAKING_ONE, {"tenant_id": str(tenant_id)})

    async def open(
        self, transaction: AsyncConnection, scope: Scope, *, since: datetime | None = None, lock: bool = False
    ) -> Sequence[Incident]:
        """All incidents that are not closed, and those that were reported after `since`, by id.

        Args:
            transaction: see the class.
            scope: whose.
            since: see above; None leaves the closed ones out.
            lock: they are nobody else's to change until the transaction ends.
        """
        wanted = incidents.c.status != Status.CLOSED.value
        if since is not None:
            wanted = or_(wanted, incidents.c.created_at > since)
        # by id: of two who lock many, one waits for the other and neither for ever
        statement = select(incidents).where(self.visible(scope), wanted).order_by(incidents.c.id)
        rows = await transaction.execute(self.for_update(statement) if lock else statement)
        return [_incident(row) for row in rows]

    async def give(self, transaction: AsyncConnection, given: Sequence[Incident]) -> None:
        """Store owner and time of change of incidents that this transaction has locked; they share both."""
        values = {"owner_id": given[0].owner_id, "updated_at": given[0].updated_at}
        which = one_of(incidents.c.id, [incident.id for incident in given])
        await transaction.execute(update(incidents).where(which), values)

    async def insert_once(self, transaction: AsyncConnection, incident: Incident) -> bool:
        """Store a new incident unless its id is known; whether it was stored. Who does the same now is waited for."""
        statement = insert(incidents).values(_columns(incident)).on_conflict_do_nothing()
        return (await transaction.execute(statement.returning(incidents.c.id))).first() is not None

    async def update(self, transaction: AsyncConnection, incident: Incident) -> None:
        """Store what may change of an incident."""
        values = {name: value for name, value in _columns(incident).items() if name not in _FIXED}
        await transaction.execute(update(incidents).where(incidents.c.id == incident.id), values)

    async def find(self, transaction: AsyncConnection, scope: Scope, incident_id: UUID) -> Incident | None:
        """The incident; None if there is none within the scope."""
        return await self._one(transaction, self._of(scope, incident_id))

    async def lock(self, transaction: AsyncConnection, scope: Scope, incident_id: UUID) -> Incident | None:
        """The incident, and nobody else's to change until the transaction ends."""
        return await self._one(transaction, self.for_update(self._of(scope, incident_id)))

    async def page(self, transaction: AsyncConnection, scope: Scope, page: Page) -> Sequence[Incident]:
        """Up to ``page.limit`` incidents."""
        newest = (incidents.c.created_at.desc(), incidents.c.id.desc())
        statement = select(incidents).where(self.visible(scope)).order_by(*newest).limit(page.limit)
        if page.status:
            statement = statement.where(incidents.c.status == page.status.value)
        if page.severity:
            statement = statement.where(incidents.c.severity == page.severity.value)
        if page.after:
            statement = statement.where(tuple_(incidents.c.created_at, incidents.c.id) < tuple_(*page.after))
        return await self.all(transaction, statement)

    async def all(self, transaction: AsyncConnection, statement: Select[Any]) -> Sequence[Incident]:
        """The incidents whose rows `statement` selects."""
        return [_incident(row) for row in await transaction.execute(statement)]

    async def watch(
        self, transaction: AsyncConnection, scope: Scope, now: datetime
    ) -> tuple[Sequence[UUID], datetime | None]:
        """At which incidents the SLA monitor must have looked by `now`, the longest overdue first, and when next."""
        when = incidents.c.sla_watch_at
        following = select(func.min(when)).where(self.visible(scope), when > now).scalar_subquery()
        statement = select(incidents.c.id, when).where(self.visible(scope), when <= func.coalesce(following, now))
        rows = (await transaction.execute(statement.order_by(when, incidents.c.id))).all()
        return [row.id for row in rows if row.sla_watch_at <= now], (
            rows[-1].sla_watch_at if rows and rows[-1].sla_watch_at > now else None
        )

    def _of(self, scope: Scope, incident_id: UUID) -> Select[Any]:
        return select(incidents).where(incidents.c.id == incident_id, self.visible(scope))

    async def _one(self, transaction: AsyncConnection, statement: Select[Any]) -> Incident | None:
        row = (await transaction.execute(statement)).first()
        return _incident(row) if row else None


def _columns(incident: Incident) -> dict[str, Any]:
    resolution = incident.resolution
    return {
        "id": incident.id,
        "tenant_id": incident.tenant_id,
        "title": incident.title,
        "description": incident.description,
        "severity": incident.severity.value,
        "status": incident.status.value,
        "escalation_level": incident.escalation_level.value if incident.escalation_level else None,
        "owner_id": incident.owner_id,
        "created_by": incident.created_by,
        "created_at": incident.created_at,
        "updated_at": incident.updated_at,
        "root_cause": resolution.root_cause if resolution else None,
        "remediation_steps": resolution.remediation_steps if resolution else None,
        "prevention_measures": resolution.prevention_measures if resolution else None,
        **_mark_columns("acknowledge", incident.acknowledge),
        **_mark_columns("resolve", incident.resolve),
        "sla_watch_at": incident.sla_watch_at,
    }


def _mark_columns(promise: str, mark: Mark) -> dict[str, Any]:
    return {f"{promise}_{name}": value for name, value in asdict(mark).items()}


def _incident(row: Row[Any]) -> Incident:
    resolution = None
    if row.root_cause is not None:
        resolution = Resolution(row.root_cause, row.remediation_steps, row.prevention_measures)
    return Incident(
        id=row.id,
        tenant_id=row.tenant_id,
        title=row.title,
        description=row.description,
        severity=Severity(row.severity),
        status=Status(row.status),
        escalation_level=Level(row.escalation_level) if row.escalation_level else None,
        owner_id=row.owner_id,
        created_by=row.created_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
        resolution=resolution,
        acknowledge=_mark("acknowledge", row),
        resolve=_mark("resolve", row),
        sla_watch_at=row.sla_watch_at,
    )


def _mark(promise: str, row: Row[Any]) -> Mark:
    return Mark(*_MARKED[promise](row))
