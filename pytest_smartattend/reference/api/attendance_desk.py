"""The attendance desk: submissions, each with its key in one transaction, and changes of state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from pytest_smartattend.reference.api.access import Caller
from pytest_smartattend.reference.api.desk import IncidentDesk
from pytest_smartattend.reference.api.drift_desk import DriftDesk, Judged
from pytest_smartattend.reference.api.problems import Problem
from pytest_smartattend.reference.api.wire_attendance import AttendanceView
from pytest_smartattend.reference.domain.actors import Role, Scope
from pytest_smartattend.reference.domain.attendance import (
    MISMATCHES,
    Attendance,
    AttendanceRules,
    AttendanceState,
    StateChange,
    Submission,
)
from pytest_smartattend.reference.domain.corrections import Correction, CorrectionRules
from pytest_smartattend.reference.domain.idempotency import IdempotencyRules, Kept, Key
from pytest_smartattend.reference.domain.ports import Clock, NewId
from pytest_smartattend.reference.domain.refusals import Refusal
from pytest_smartattend.reference.store.attendance_rows import AttendanceRefusals, AttendanceRows, StateHistory
from pytest_smartattend.reference.store.correction_rows import CorrectionRows
from pytest_smartattend.reference.store.keys import IdempotencyKeys
from pytest_smartattend.reference.store.metric_rows import MISMATCH, Metric, MetricRows
from pytest_smartattend.reference.store.rosters import Rosters
from pytest_smartattend.reference.store.sessions import Store


@dataclass(frozen=True, slots=True)
class Answer:
    """What a submission is answered with: status, JSON, and whether it was answered before."""

    status: int
    body: dict[str, Any]
    replayed: bool = False


class AttendanceDesk:
    """What people do with attendance. Methods raise `Problem` not_found for what is not within the scope."""

    def __init__(self, store: Store, incidents: IncidentDesk, clock: Clock, new_id: NewId) -> None:
        self.store = store
        self.rules = AttendanceRules()
        self.rosters = Rosters()
        self.rows = AttendanceRows()
        self.states = StateHistory()
        self.refusals = AttendanceRefusals()
        self.corrections = CorrectionRows()
        self.correcting = CorrectionRules()
        self.keys = IdempotencyKeys()
        self.idempotency = IdempotencyRules()
        self.metrics = MetricRows()
        self.drift = DriftDesk(incidents, self.rosters, self.metrics, new_id)
        self.clock = clock
        self.new_id = new_id

    # -- submitting

    async def submit(self, caller: Caller, submission: Submission, key: Key | None) -> Answer:
        """Make a record, once.

        Record, history, metrics and the answer under the key are committed together or not at all; an answer goes out
        after that. A refusal for the client's clock is kept under the key as well.

        Raises:
            Problem: forbidden, not_found or idempotency_key_reused; nothing was kept.
        """
        if not self.may_submit_for(caller, submission.person_id):
            raise Problem("forbidden", "members submit their own attendance; staff submit for others")
        tenant_id, answer = caller.scope.tenant_id, await self.again(caller.scope, key)
        if tenant_id is None or answer is None:
            tenant_id, answer = await self.first(caller, submission, key)
        await self.drift.alarm(tenant_id, submission, answer.body, at=self.clock.now())
        return answer

    async def again(self, scope: Scope, key: Key | None) -> Answer | None:
        """The first answer to the same request; None where there is none yet.

        Of many who ask again none waits for the others or for a transaction. All else is for `first` to judge.
        """
        if key is None or scope.tenant_id is None:
            return None
        kept = await self.keys.look(self.store, scope.tenant_id, key)
        return self.replay(kept) if kept is not None and self.idempotency.same(kept, key) else None

    async def first(self, caller: Caller, submission: Submission, key: Key | None) -> tuple[UUID, Answer]:
        """Whose submission it is, and its answer, which is kept under the key."""
        async with self.store.transaction(caller.scope) as transaction:
            tenant_id = await self.placed(transaction, caller.scope, submission)
            if key is not None:
                await self.keys.hold(transaction, tenant_id, key)
            answer = await self.before(transaction, tenant_id, key)
            if answer is None:
                answer = await self.decide(transaction, tenant_id, caller, submission)
                if key is not None:
                    kept = Kept(key.digest, answer.status, answer.body)
                    await self.keys.keep(transaction, tenant_id, key, kept, at=self.clock.now())
        return tenant_id, answer

    def may_submit_for(self, caller: Caller, person_id: UUID) -> bool:
        """Whether the caller may submit this person's attendance."""
        return caller.user.role is not Role.MEMBER or caller.user.id == person_id

    async def placed(self, transaction: AsyncConnection, scope: Scope, submission: Submission) -> UUID:
        """The tenant in which the submission makes sense."""
        tenant_id = await self.rosters.tenant_of(transaction, scope, submission)
        if tenant_id is None:
            raise Problem("not_found", "there is no such class session, student or shift; see your roster")
        return tenant_id

    async def before(self, transaction: AsyncConnection, tenant_id: UUID, key: Key | None) -> Answer | None:
        """What was answered under the key before; None if nothing was."""
        kept = await self.keys.find(transaction, tenant_id, key) if key is not None else None
        if kept is None or key is None:
            return None
        if not self.idempotency.same(kept, key):
            raise Problem("idempotency_key_reused", "this key came with another request; use a new one for each")
        return self.replay(kept)

    def replay(self, kept: Kept) -> Answer:
        """The first answer again."""
        return Answer(kept.status, dict(kept.body), replayed=True)

    async def decide(
        self, transaction: AsyncConnection, tenant_id: UUID, caller: Caller, submission: Submission
    ) -> Answer:
        """The record that exists, or a new one, or a refusal: judged in this order."""
        twin = await self.rows.twin(transaction, tenant_id, submission)
        if twin is not None:
            return Answer(200, await self.view(transaction, twin))
        at, actor = self.clock.now(), str(caller.user.id)
        judged = await self.drift.judge(transaction, tenant_id, submission, at=at)
        if judged.problem is not None:
            await self.refuse(transaction, tenant_id, None, judged.problem, actor=actor, at=at, action="submit")
            return Answer(422, judged.problem.body)
        record = Attendance(self.new_id(), tenant_id, submission, judged.drift_ms, caller.user.id, at)
        if not await self.rows.insert(transaction, record):  # somebody was quicker, and has committed
            twin = await self.rows.twin(transaction, tenant_id, submission)
            if twin is None:
                raise Problem("internal_error", "the record was there and is gone; try again")
            return Answer(200, await self.view(transaction, twin))
        state = await self._begin(transaction, record, judged, actor)
        return Answer(201, self.shown(record, state, []))

    async def _begin(
        self, transaction: AsyncConnection, record: Attendance, judged: Judged, actor: str
    ) -> AttendanceState:
        """Keep what goes with a new record; the state in which it begins."""
        state = self.rules.first_state(judged.band)
        reason = f"submitted; the client's clock was off by {judged.drift_ms:+.3f} ms"
        change = StateChange(1, actor, record.created_at, None, state, reason)
        await self._append(transaction, record, change)
        await self.drift.record(transaction, record.tenant_id, judged, at=record.created_at)
        return state

    # -- reading

    async def find(self, caller: Caller, attendance_id: str) -> dict[str, Any]:
        """The record as it is shown."""
        async with self.store.transaction(caller.scope) as transaction:
            record = await self.found(transaction, caller.scope, attendance_id)
            return await self.view(transaction, record)

    async def history(self, caller: Caller, attendance_id: str) -> tuple[UUID, Sequence[StateChange]]:
        """The record's id, and all changes of its state."""
        async with self.store.transaction(caller.scope) as transaction:
            record = await self.found(transaction, caller.scope, attendance_id)
            return record.id, await self.states.of(transaction, record)

    async def found(
        self, transaction: AsyncConnection, scope: Scope, attendance_id: str, *, lock: bool = False
    ) -> Attendance:
        """The record that an URL names."""
        known = named(attendance_id)
        read = self.rows.lock if lock else self.rows.find
        record = await read(transaction, scope, known) if known else None
        if record is None:
            raise Problem("not_found", "there is no such attendance record")
        return record

    async def view(self, transaction: AsyncConnection, record: Attendance) -> dict[str, Any]:
        """The record as it is shown now, as JSON."""
        changes = await self.states.of(transaction, record)
        corrections = await self.corrections.of(transaction, record.tenant_id, record.id)
        return self.shown(record, changes[-1].target, corrections)

    def shown(self, record: Attendance, state: AttendanceState, corrections: Sequence[Correction]) -> dict[str, Any]:
        """The record with this state and these corrections, as JSON."""
        submitted = record.submission.values
        about = {name: getattr(record, name) for name in ("id", "tenant_id", "drift_ms", "submitted_by", "created_at")}
        effective = self.correcting.effective(submitted, corrections)
        held = {"kind": record.submission.kind, "state": state, "submitted": submitted, "effective": effective}
        return AttendanceView.model_validate({**about, **held}).model_dump(mode="json")

    # -- changing the state

    async def change_state(
        self, caller: Caller, attendance_id: str, asked: AttendanceState, reason: str
    ) -> dict[str, Any]:
        """Change a record's state, with a row of its history, or not at all; the record as it is shown then.

        Raises:
            Refusal: invalid_transition; the refusal is recorded.
        """
        actor = str(caller.user.id)
        try:
            async with self.store.transaction(caller.scope) as transaction:
                record = await self.found(transaction, caller.scope, attendance_id, lock=True)
                at = self.clock.now()
                newest = (await self.states.of(transaction, record))[-1]
                target = self.rules.change(newest.target, asked)
                change = StateChange(newest.seq + 1, actor, at, newest.target, target, reason)
                await self._append(transaction, record, change)
                return await self.view(transaction, record)
        except Refusal as refusal:
            await self.refused(caller.scope, record, refusal, actor=actor, at=at, action="state")
            raise

    async def _append(self, transaction: AsyncConnection, record: Attendance, change: StateChange) -> None:
        await self.states.append(transaction, record, change)
        if change.target in MISMATCHES:
            await self.metrics.write(transaction, [Metric(record.tenant_id, change.at, MISMATCH, 1.0)])

    # -- refusing

    async def refused(
        self, scope: Scope, record: Attendance, refusal: Refusal, *, actor: str, at: datetime, action: str
    ) -> None:
        """Record a refusal in a transaction of its own: the one in which it was refused has gone."""
        async with self.store.transaction(scope) as transaction:
            await self.refuse(transaction, record.tenant_id, record, refusal, actor=actor, at=at, action=action)

    async def refuse(
        self,
        transaction: AsyncConnection,
        tenant_id: UUID,
        record: Attendance | None,
        why: Refusal | Problem,
        *,
        actor: str,
        at: datetime,
        action: str,
    ) -> None:
        """Record a refusal; of a submission there is no record."""
        about = {"id": self.new_id(), "tenant_id": tenant_id, "attendance_id": record.id if record else None}
        asked = {"actor": actor, "at": at, "action": action, "code": why.code, "detail": why.detail}
        await self.refusals.append(transaction, {**about, **asked})


def named(text: str) -> UUID | None:
    """The identifier in an URL; None for anything but its one usual spelling."""
    try:
        known = UUID(text)
    except ValueError:
        return None
    return known if str(known) == text.lower() else None
