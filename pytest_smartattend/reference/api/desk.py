"""The incident desk: one transaction per action, and a record of every refusal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from pytest_smartattend.reference.api.access import Caller
from pytest_smartattend.reference.api.problems import Problem
from pytest_smartattend.reference.api.spool import Spool
from pytest_smartattend.reference.domain.actors import Scope, system_id
from pytest_smartattend.reference.domain.incident import Action, Incident, Kind
from pytest_smartattend.reference.domain.lifecycle import Change, Lifecycle, Report
from pytest_smartattend.reference.domain.ports import Clock, NewId
from pytest_smartattend.reference.domain.refusals import Refusal
from pytest_smartattend.reference.domain.timeline import Position
from pytest_smartattend.reference.store import tables
from pytest_smartattend.reference.store.audit import Heads, Records, Timeline
from pytest_smartattend.reference.store.handoff_rows import HandoffRows
from pytest_smartattend.reference.store.incident_rows import IncidentRows, Page
from pytest_smartattend.reference.store.sessions import Store, StoreUnreachable
from pytest_smartattend.reference.store.spool_file import Spooled

Decide = Callable[[Incident, str, datetime], Change]
Read = Callable[[AsyncConnection, Scope, UUID], Awaitable[Incident | None]]


class IncidentDesk:
    """What people do with incidents. Every method raises `Problem` not_found for what is not within the scope.

    Attributes:
        on_change: is told of each incident that was stored, after it was.
        spool: where reports wait while the store is away.
    """

    def __init__(
        self, store: Store, lifecycle: Lifecycle, clock: Clock, new_id: NewId, spool_folder: Path | None = None
    ) -> None:
        self.lifecycle = lifecycle
        self.spool = Spool(spool_folder, self.bring_in)
        self.rows = IncidentRows()
        self.heads = Heads()
        self.timeline = Timeline(self.heads)
        self.escalations = Records(tables.escalations)
        self.root_causes = Records(tables.root_causes)
        self.refusals = Records(tables.refusals)
        self.handoffs = HandoffRows()
        self.on_change: Callable[[Incident], None] = lambda _incident: None
        self.store = store
        self.clock = clock
        self.new_id = new_id

    # -- reading

    async def find(self, caller: Caller, incident_id: str) -> Incident:
        """The incident."""
        async with self.store.transaction(caller.scope) as transaction:
            return await self._found(self.rows.find, transaction, caller.scope, incident_id)

    async def page(self, caller: Caller, page: Page) -> Sequence[Incident]:
        """Up to ``page.limit`` incidents, newest first."""
        async with self.store.transaction(caller.scope) as transaction:
            return await self.rows.page(transaction, caller.scope, page)

    async def history(
        self, caller: Caller, incident_id: str
    ) -> tuple[Incident, Sequence[dict[str, Any]], Position | None]:
        """The incident, the rows of its timeline, and the head."""
        async with self.store.transaction(caller.scope, snapshot=True) as transaction:
            incident = await self._found(self.rows.find, transaction, caller.scope, incident_id)
            rows = await self.timeline.of(transaction, caller.scope, incident.id)
            return incident, rows, await self.heads.of(transaction, caller.scope, incident.id)

    async def records(self, caller: Caller, incident_id: str, records: Records) -> Sequence[dict[str, Any]]:
        """What was appended to one of the tables beside the timeline, oldest first."""
        async with self.store.transaction(caller.scope) as transaction:
            incident = await self._found(self.rows.find, transaction, caller.scope, incident_id)
            return await records.of(transaction, caller.scope, incident.id)

    # -- acting

    async def report(self, caller: Caller, tenant_id: UUID, report: Report) -> tuple[Incident, bool]:
        """A new incident, and whether it waits in the spool for its store.

        Raises:
            StoreUnreachable, SpoolFull: it is nowhere, or may be; it was not promised.
        """
        by = caller.user.id
        entry = Spooled(self.new_id(), tenant_id, report, by, str(by), self.clock.now())
        return await self._take(entry, now=True)

    async def report_once(
        self, incident_id: UUID, tenant_id: UUID, report: Report, *, actor: str, at: datetime
    ) -> None:
        """An incident that the platform itself reports, under an id that was decided before; once, however often."""
        await self._take(Spooled(incident_id, tenant_id, report, system_id(actor), actor, at), now=False)

    async def _take(self, entry: Spooled, *, now: bool) -> tuple[Incident, bool]:
        """Store a report, else spool it. Both are under the same id: a commit whose answer was lost is no second one."""
        if not self.spool.store_is_away:
            try:
                return await self.bring_in(entry, now=now), False
            except StoreUnreachable:
                if not self.spool.exists:
                    raise
        await self.spool.keep(entry)
        return self.reported(entry).incident, True

    async def bring_in(self, entry: Spooled, *, now: bool = False) -> Incident:
        """Store a report as of when it was made, or as of `now`, unless its id is known."""
        async with self.store.transaction(Scope(tenant_id=entry.tenant_id)) as transaction:
            await self.rows.reporting(transaction, entry.tenant_id)
            change = self.reported(replace(entry, at=self.clock.now()) if now else entry)
            if await self.rows.insert_once(transaction, change.incident):
                await self.timeline.record(transaction, change, entry.actor)
                if not now:
                    await self._follow(transaction, change.incident)
        self.on_change(change.incident)
        return change.incident

    async def _follow(self, transaction: AsyncConnection, incident: Incident) -> None:
        """Give an incident that comes after a handoff, and was reported before it, to whoever took all the others."""
        await self.store.bind(transaction, Scope(everywhere=True))  # a handoff of all tenants is no tenant's own
        handoff = await self.handoffs.missed(transaction, incident)
        if handoff is not None and handoff.to_user_id != incident.owner_id:
            to = handoff.to_user_id
            change = self.lifecycle.hand_over(incident, to, handoff_id=handoff.id, at=self.clock.now())
            await self.apply(transaction, change, str(to))

    def reported(self, entry: Spooled) -> Change:
        """What a report makes: an open incident, as of when it was made."""
        return self.lifecycle.report(
            entry.report, incident_id=entry.incident_id, tenant_id=entry.tenant_id, by=entry.by, at=entry.at
        )

    async def act(
        self, caller: Caller, incident_id: str, action: Action, decide: Decide, asked: BaseModel | None = None
    ) -> tuple[Incident, dict[str, Any] | None]:
        """Change an incident as `decide` says, with its timeline and records, or not at all.

        Args:
            caller: who acts.
            incident_id: as it stood in the URL.
            action: how a refusal of it is recorded.
            decide: from the incident, the actor and the time to what changes; raises `Refusal`.
            asked: the request's body, for the record of a refusal.

        Returns:
            the incident as it is now, and what was appended beside the timeline, if anything.

        Raises:
            Refusal: by `decide`; nothing has changed, and the refusal is recorded.
        """
        actor = str(caller.user.id)
        try:
            async with self.store.transaction(caller.scope) as transaction:
                incident = await self._found(self.rows.lock, transaction, caller.scope, incident_id)
                at = self.clock.now()  # after the lock: events of one incident have their times in their order
                try:
                    change = decide(incident, actor, at)
                except Refusal:
                    position = await self.timeline.position(transaction, incident)
                    raise
                record = await self.apply(transaction, change, actor)
        except Refusal as refusal:
            what = {"action": action.value, "asked": asked.model_dump(mode="json", exclude_none=True) if asked else {}}
            who = {"actor": actor, "at": at, "after_seq": position.seq}
            await self.refuse(caller.scope, incident, refusal, {**who, **what})
            raise
        self.on_change(change.incident)
        return change.incident, record

    async def apply(self, transaction: AsyncConnection, change: Change, actor: str) -> dict[str, Any] | None:
        """Store a change to an incident that this transaction has locked, and tell of it."""
        # first the incident's row, then its timeline: whoever comes second waits before it reads the end
        await self.rows.update(transaction, change.incident)
        record = await self._keep(transaction, change, actor)
        await self.timeline.record(transaction, change, actor)
        return record

    async def refuse(self, scope: Scope, incident: Incident, refusal: Refusal, asked: dict[str, Any]) -> None:
        """Record a refusal in a transaction of its own: the one in which it was refused has gone."""
        record = {"id": self.new_id(), **asked, "code": refusal.code, "detail": refusal.detail}
        async with self.store.transaction(scope) as transaction:
            await self.refusals.append(transaction, incident, record)

    def absent(self) -> Problem:
        """What is said of an incident that does not exist, is another tenant's, or has an impossible id."""
        return Problem("not_found", "there is no such incident; see GET /api/incidents")

    async def _keep(self, transaction: AsyncConnection, change: Change, actor: str) -> dict[str, Any] | None:
        """Append what is also kept beside the timeline."""
        incident, payload = change.incident, change.payload
        if change.kind is Kind.ESCALATED:
            severity, level = incident.severity.value, payload["level"]
            records, said = self.escalations, {"severity": severity, "level": level, "note": payload.get("note")}
        elif change.kind is Kind.ROOT_CAUSE_RECORDED:
            records, said = self.root_causes, dict(payload)
        else:
            return None
        record = {"id": self.new_id(), "actor": actor, "at": incident.updated_at, **said}
        await records.append(transaction, incident, record)
        return record

    async def found(self, transaction: AsyncConnection, scope: Scope, incident_id: str) -> Incident:
        """The incident, read in a transaction of the caller's."""
        return await self._found(self.rows.find, transaction, scope, incident_id)

    async def _found(self, read: Read, transaction: AsyncConnection, scope: Scope, incident_id: str) -> Incident:
        try:
            known = UUID(incident_id)
        except ValueError:
            raise self.absent() from None
        # one spelling per incident: UUID() also takes braces, urn:uuid: and no hyphens
        incident = await read(transaction, scope, known) if str(known) == incident_id.lower() else None
        if incident is None:
            raise self.absent()
        return incident
