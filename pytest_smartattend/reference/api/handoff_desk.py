"""The handoff desk: one person's shift ends, another's begins, and every open incident changes its owner at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from pytest_smartattend.reference.api.access import Caller
from pytest_smartattend.reference.api.attendance_desk import named
from pytest_smartattend.reference.api.desk import IncidentDesk
from pytest_smartattend.reference.api.metrics_desk import MetricsDesk
from pytest_smartattend.reference.api.problems import Problem, invalid
from pytest_smartattend.reference.domain import briefing
from pytest_smartattend.reference.domain.actors import Scope
from pytest_smartattend.reference.domain.advice import Advisor, alerts
from pytest_smartattend.reference.domain.handoff import (
    Ending,
    Handoff,
    HandoffRules,
    HandoffStatus,
    Item,
    after,
    by_urgency,
    difference,
)
from pytest_smartattend.reference.domain.incident import Incident, Status
from pytest_smartattend.reference.domain.ports import write_instant
from pytest_smartattend.reference.domain.refusals import Refusal
from pytest_smartattend.reference.store.accounts import Accounts
from pytest_smartattend.reference.store.sessions import Store


@dataclass(frozen=True, slots=True)
class Told:
    """A handoff as it stands at one moment: `items` are open then, `difference` is since the initiation."""

    handoff: Handoff
    as_of: datetime
    status: HandoffStatus
    health: Mapping[str, Any]
    items: Sequence[Item]
    difference: Mapping[str, Any]


#: what ends a handoff that may be ended, within the transaction that does so
End = Callable[[AsyncConnection, Handoff], Awaitable[Ending]]


class HandoffDesk:
    """What people do with handoffs. Methods raise `Problem` not_found for what is not within the scope.

    Attributes:
        alerts: what must be seen first, of open incidents and the platform's health.
        writers: format → how a handoff is written for people, from its view and their names.
    """

    def __init__(
        self, desk: IncidentDesk, database: Store, accounts: Accounts, metrics: MetricsDesk, lifetime: timedelta
    ) -> None:
        self.desk = desk
        self.store = desk.store
        self.rows = desk.handoffs
        self.rules = HandoffRules(lifetime)
        self.advisor = Advisor(desk.lifecycle)
        self.alerts = alerts
        self.writers = {"markdown": briefing.as_markdown, "text": briefing.as_text}
        self._database = database
        self._accounts = accounts
        self._metrics = metrics

    async def initiate(self, caller: Caller, to_user_id: UUID, notes: str) -> Told:
        """A new handoff; one that still waits for its person is superseded.

        Raises:
            Problem: not_found or validation_error, when nobody like that can take over from the caller.
        """
        await self.can_take_over(caller, to_user_id)
        health, by = await self.health(caller), caller.user
        async with self.store.transaction(caller.scope) as transaction:
            await self.desk.rows.taking(transaction, by.tenant_id)
            incidents = await self.desk.rows.open(transaction, caller.scope, lock=True)
            at = self.desk.clock.now()
            items = await self.items(transaction, caller.scope, incidents, at)
            for former in await self.rows.waiting(transaction, by.tenant_id, at):
                superseded = Ending(HandoffStatus.SUPERSEDED, by.id, at)
                await self.rows.end(transaction, former, by.tenant_id, superseded)
            handoff = Handoff(
                id=self.desk.new_id(),
                tenant_id=by.tenant_id,
                from_user_id=by.id,
                to_user_id=to_user_id,
                briefing_notes=notes,
                initiated_at=at,
                expires_at=self.rules.expires(at),
                health=health,
                items=items,
            )
            await self.rows.insert(transaction, handoff)
        return Told(handoff, at, HandoffStatus.PENDING, health, items, difference(items, items, []))

    async def accept(self, caller: Caller, handoff_id: str, said: Mapping[str, str | None]) -> Told:
        """Every open incident becomes the caller's, in one transaction, and what changed meanwhile is told.

        Args:
            caller: must be the person whom the handoff names.
            handoff_id: as it stood in the URL.
            said: incident → what the caller says of it; each critical one must be read back.

        Raises:
            Refusal: wrong_person, handoff_over or missing_fields; nothing has changed, and the refusal is recorded.
        """
        health = await self.health(caller)

        async def take(transaction: AsyncConnection, handoff: Handoff) -> Ending:
            incidents = await self.present(transaction, caller.scope, handoff, lock=True)
            at = self.desk.clock.now()  # after the locks: events of one incident have their times in their order
            items, gone = await self.told(transaction, caller.scope, incidents, at)
            read_back = self.rules.read_back(said, self.rules.must_read_back(handoff, items))
            moved = await self.move(transaction, handoff, incidents, at)
            changed = difference(handoff.items, items, gone)
            return Ending(
                HandoffStatus.ACCEPTED,
                caller.user.id,
                at,
                read_back=read_back,
                moved=moved,
                health=health,
                difference=changed,
            )

        return await self._end(caller, handoff_id, "accept", take)

    async def reject(self, caller: Caller, handoff_id: str, reason: str) -> Told:
        """Nothing changes hands, and it is kept why.

        Raises:
            Refusal: wrong_person or handoff_over; the refusal is recorded.
        """

        async def leave(_: AsyncConnection, __: Handoff) -> Ending:
            return Ending(HandoffStatus.REJECTED, caller.user.id, self.desk.clock.now(), reason=reason)

        return await self._end(caller, handoff_id, "reject", leave)

    async def briefing(self, caller: Caller, handoff_id: str) -> Told:
        """The handoff as it stands: while it waits, with everything as it is now; afterwards, as it ended."""
        health = await self.health(caller)
        async with self.store.transaction(caller.scope, snapshot=True) as transaction:
            handoff = await self._found(transaction, caller.scope, handoff_id)
            at = self.desk.clock.now()
            if self.rules.status(handoff, at) is not HandoffStatus.PENDING:
                return self.ended(handoff, at)
            scope = Scope(handoff.tenant_id, everywhere=handoff.tenant_id is None)
            incidents = await self.present(transaction, scope, handoff)
            items, gone = await self.told(transaction, scope, incidents, at)
        return Told(handoff, at, HandoffStatus.PENDING, health, items, difference(handoff.items, items, gone))

    async def names(self, caller: Caller, view: Mapping[str, Any]) -> Mapping[str, str]:
        """Id → name of the people of whom a handoff tells, as far as the caller may know them."""
        people = {view["from_user_id"], view["to_user_id"], *(item["owner_id"] for item in view["incidents"])}
        people |= {step["actor"] for item in view["incidents"] for step in item["escalations"]}
        known = [UUID(one) for one in people if not one.startswith("system:")]
        async with self._database.transaction(caller.scope) as transaction:
            return await self._accounts.names(transaction, known)

    def view(self, told: Told) -> dict[str, Any]:
        """A handoff as it goes over the wire."""
        handoff, ending = told.handoff, told.handoff.ending
        return {
            "id": str(handoff.id),
            "tenant_id": str(handoff.tenant_id) if handoff.tenant_id else None,
            "status": told.status.value,
            "from_user_id": str(handoff.from_user_id),
            "to_user_id": str(handoff.to_user_id),
            "briefing_notes": handoff.briefing_notes,
            "initiated_at": write_instant(handoff.initiated_at),
            "expires_at": write_instant(handoff.expires_at),
            "as_of": write_instant(told.as_of),
            "health": dict(told.health),
            "critical_alerts": self.alerts(told.items, told.health),
            "incidents": list(told.items),
            "difference": dict(told.difference),
            "ended": ending
            and {
                "status": ending.status.value,
                "actor": str(ending.actor),
                "at": write_instant(ending.at),
                "reason": ending.reason,
                "read_back": ending.read_back,
                "moved": list(ending.moved),
            },
        }

    # -- the parts

    async def health(self, caller: Caller) -> dict[str, Any]:
        """How the caller's tenant, or the whole platform, fared in the last hour."""
        loads, status = await self._metrics.health(caller)
        total = loads.total
        return {"status": status.value, "requests": total.requests, "failure_rate": round(total.failure_rate, 6)}

    async def present(
        self, transaction: AsyncConnection, scope: Scope, handoff: Handoff, *, lock: bool = False
    ) -> Sequence[Incident]:
        """All incidents that are open now, and those that came and went since the initiation."""
        return await self.desk.rows.open(transaction, scope, since=handoff.initiated_at, lock=lock)

    async def told(
        self, transaction: AsyncConnection, scope: Scope, incidents: Sequence[Incident], at: datetime
    ) -> tuple[list[Item], list[Item]]:
        """What is told of the open ones, by urgency, and of the closed ones."""
        still = [incident for incident in incidents if incident.status is not Status.CLOSED]
        gone = [incident for incident in incidents if incident.status is Status.CLOSED]
        return await self.items(transaction, scope, still, at), [
            self.advisor.item(incident, (), at) for incident in gone
        ]

    async def items(
        self, transaction: AsyncConnection, scope: Scope, incidents: Sequence[Incident], at: datetime
    ) -> list[Item]:
        """What is told of open incidents, the most urgent first."""
        paths = await self.rows.paths(transaction, scope)
        return by_urgency(self.advisor.item(incident, paths.get(incident.id, ()), at) for incident in incidents)

    async def move(
        self, transaction: AsyncConnection, handoff: Handoff, incidents: Sequence[Incident], at: datetime
    ) -> list[str]:
        """Give the open incidents to the incoming person, with an event each; the ids of those that changed hands."""
        hand_over, to = self.desk.lifecycle.hand_over, handoff.to_user_id
        changes = [
            hand_over(incident, to, handoff_id=handoff.id, at=at)
            for incident in incidents
            if incident.status is not Status.CLOSED and incident.owner_id != to
        ]
        if changes:
            await self.desk.rows.give(transaction, [change.incident for change in changes])
            await self.desk.timeline.record_all(transaction, changes, str(to))
        return [str(change.incident.id) for change in changes]

    def ended(self, handoff: Handoff, at: datetime) -> Told:
        """What is told of a handoff that nobody can accept any more."""
        ending = handoff.ending
        changed = ending.difference if ending and ending.difference else difference(handoff.items, handoff.items, [])
        items = after(handoff.items, changed)
        if ending and ending.status is HandoffStatus.ACCEPTED:
            items = [{**item, "owner_id": str(handoff.to_user_id)} for item in items]
        health = (ending and ending.health) or handoff.health
        return Told(handoff, at, self.rules.status(handoff, at), health, items, changed)

    async def can_take_over(self, caller: Caller, to_user_id: UUID) -> None:
        """Judge whether the person could accept: another one of the caller's own role and reach."""
        async with self._database.transaction(caller.scope) as transaction:
            incoming = await self._accounts.by_id(transaction, to_user_id)
        if incoming is None:
            raise Problem("not_found", "there is no such person here; name another one of your own role")
        own = caller.user
        if incoming.id == own.id or (incoming.role, incoming.tenant_id) != (own.role, own.tenant_id):
            said = f"cannot take over from you; name another {own.role}"
            raise invalid([{"field": "to_user_id", "message": said}])

    async def _end(self, caller: Caller, handoff_id: str, action: str, end: End) -> Told:
        """End a handoff as `end` says, or not at all."""
        by = caller.user
        try:
            async with self.store.transaction(caller.scope) as transaction:
                await self.desk.rows.taking(transaction, by.tenant_id)
                handoff = await self._found(transaction, caller.scope, handoff_id)
                at = self.desk.clock.now()
                self.rules.admit(handoff, by, at)
                ending = await end(transaction, handoff)
                await self.rows.end(transaction, handoff.id, handoff.tenant_id, ending)
        except Refusal as refusal:
            asked = {"id": self.desk.new_id(), "actor": str(by.id), "at": at, "action": action}
            record = {**asked, "code": refusal.code, "detail": refusal.detail}
            async with self.store.transaction(caller.scope) as transaction:
                await self.rows.refuse(transaction, handoff, record)
            raise
        return self.ended(replace(handoff, ending=ending), ending.at)

    async def _found(self, transaction: AsyncConnection, scope: Scope, handoff_id: str) -> Handoff:
        known = named(handoff_id)
        handoff = await self.rows.find(transaction, scope, known) if known else None
        if handoff is None:
            raise Problem("not_found", "there is no such handoff; see POST /api/validation/handoff/initiate")
        return handoff
