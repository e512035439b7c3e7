"""The corrections desk: rows beside a record that never changes, and reverts of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pytest_smartattend.reference.api.access import Caller
from pytest_smartattend.reference.api.attendance_desk import AttendanceDesk, named
from pytest_smartattend.reference.api.problems import Problem
from pytest_smartattend.reference.domain import refusals
from pytest_smartattend.reference.domain.attendance import Attendance
from pytest_smartattend.reference.domain.corrections import Correction, CorrectionType, Revert
from pytest_smartattend.reference.domain.refusals import Refusal


@dataclass(frozen=True, slots=True)
class Asked:
    """A correction as it is asked for. `corrected` holds what is to hold instead, by the names of the values."""

    type: CorrectionType
    reason: str | None
    corrected: dict[str, str | None]


class CorrectionsDesk:
    """What people do with corrections. Methods raise `Problem` not_found for what is not within the scope."""

    def __init__(self, attendance: AttendanceDesk) -> None:
        self.attendance = attendance
        self.rules = attendance.correcting
        self.rows = attendance.corrections

    async def history(self, caller: Caller, attendance_id: str) -> tuple[dict[str, Any], Sequence[Correction]]:
        """The record as it is shown, and all its corrections, oldest first."""
        desk = self.attendance
        async with desk.store.transaction(caller.scope) as transaction:
            record = await desk.found(transaction, caller.scope, attendance_id)
            corrections = await self.rows.of(transaction, record.tenant_id, record.id)
            return await desk.view(transaction, record), corrections

    async def correct(self, caller: Caller, attendance_id: str, asked: Asked) -> Correction:
        """Append a correction.

        Raises:
            Refusal: missing_fields or validation_error; the refusal is recorded.
            Problem: not_found, for what the corrected values name.
        """
        desk, actor = self.attendance, str(caller.user.id)
        try:
            async with desk.store.transaction(caller.scope) as transaction:
                record = await desk.found(transaction, caller.scope, attendance_id, lock=True)
                at = desk.clock.now()
                correction = self.made(record, asked, actor, at)
                before = await self.rows.of(transaction, record.tenant_id, record.id)
                holds = self.rules.effective(record.submission.values, [*before, correction])
                # validated as the original was: what holds then must make sense in the record's own tenant
                tenant_id = await desk.placed(transaction, caller.scope, record.submission.with_values(holds))
                if tenant_id != record.tenant_id:
                    raise Problem("not_found", "the corrected values belong to another tenant than the record")
                await self.rows.append(transaction, record.tenant_id, correction)
                return correction
        except Refusal as refusal:
            await desk.refused(caller.scope, record, refusal, actor=actor, at=at, action="correct")
            raise

    def made(self, record: Attendance, asked: Asked, actor: str, at: datetime) -> Correction:
        """The correction that is asked for, if its reason and its values will do."""
        submitted = record.submission.values
        reason = self.rules.reason(asked.reason)
        self.rules.fit(submitted, asked.corrected)
        original = {name: submitted[name] for name in asked.corrected}
        return Correction(self.attendance.new_id(), record.id, asked.type, reason, original, asked.corrected, actor, at)

    async def revert(self, caller: Caller, correction_id: str, reason: str) -> Correction:
        """Take a correction back, once; the correction as it is then.

        Raises:
            Refusal: already_reverted; the refusal is recorded.
        """
        desk, actor = self.attendance, str(caller.user.id)
        try:
            async with desk.store.transaction(caller.scope) as transaction:
                known = named(correction_id)
                found = await self.rows.find(transaction, caller.scope, known) if known else None
                if found is None:
                    raise Problem("not_found", "there is no such correction; see GET /api/corrections/history/{id}")
                tenant_id, correction = found
                record = await desk.found(transaction, caller.scope, str(correction.attendance_id), lock=True)
                at = desk.clock.now()
                revert = Revert(desk.new_id(), correction.id, reason, actor, at)
                if not await self.rows.revert(transaction, tenant_id, revert):
                    raise refusals.already_reverted()
                newest = await self.rows.find(transaction, caller.scope, correction.id)
                return newest[1] if newest else correction
        except Refusal as refusal:
            await desk.refused(caller.scope, record, refusal, actor=actor, at=at, action="revert")
            raise
