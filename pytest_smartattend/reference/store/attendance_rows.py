"""Attendance records in SQL, with their history: appended only; a record's state is the newest row of its history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, insert, select
from sqlalchemy.dialects.postgresql import insert as insert_or_leave
from sqlalchemy.ext.asyncio import AsyncConnection

from pytest_smartattend.reference.domain.actors import Scope
from pytest_smartattend.reference.domain.attendance import (
    Attendance,
    AttendanceState,
    Direction,
    Kind,
    StateChange,
    Submission,
)
from pytest_smartattend.reference.store.tables import attendance, attendance_history, attendance_refusals, within


class AttendanceRows:
    """Reads and appends records. Every method takes a transaction that is bound to `scope` already."""

    def visible(self, scope: Scope) -> ColumnElement[bool]:
        """The application's own filter, beside row-level security."""
        return within(attendance, scope)

    def for_update(self, statement: Select[Any]) -> Select[Any]:
        """Lock what is selected until the transaction ends: what happens to one record follows one another."""
        return statement.with_for_update()

    async def insert(self, transaction: AsyncConnection, record: Attendance) -> bool:
        """Store a new record, unless its natural key is taken; whether it was stored.

        Somebody who inserts the same at the same moment is waited for.
        """
        statement = insert_or_leave(attendance).values(_columns(record)).on_conflict_do_nothing()
        return (await transaction.execute(statement.returning(attendance.c.id))).first() is not None

    async def twin(self, transaction: AsyncConnection, tenant_id: UUID, submission: Submission) -> Attendance | None:
        """The record that has the submission's natural key; None if there is none yet."""
        which = [attendance.c.tenant_id == tenant_id, attendance.c.person_id == submission.person_id]
        which.append(attendance.c.day == submission.day)
        if submission.kind is Kind.SCHOOL:
            which.append(attendance.c.class_session_id == submission.class_session_id)
        else:
            which.append(attendance.c.direction == submission.direction)
        return await self._one(transaction, select(attendance).where(*which))

    async def find(self, transaction: AsyncConnection, scope: Scope, attendance_id: UUID) -> Attendance | None:
        """The record; None if there is none within the scope."""
        return await self._one(transaction, self._of(scope, attendance_id))

    async def lock(self, transaction: AsyncConnection, scope: Scope, attendance_id: UUID) -> Attendance | None:
        """The record, and nobody else's to act on until the transaction ends."""
        return await self._one(transaction, self.for_update(self._of(scope, attendance_id)))

    def _of(self, scope: Scope, attendance_id: UUID) -> Select[Any]:
        return select(attendance).where(attendance.c.id == attendance_id, self.visible(scope))

    async def _one(self, transaction: AsyncConnection, statement: Select[Any]) -> Attendance | None:
        row = (await transaction.execute(statement)).first()
        return _record(row) if row else None


class StateHistory:
    """What happened to a record's state. Appending presumes that the record is locked, or was made just now."""

    async def append(self, transaction: AsyncConnection, record: Attendance, change: StateChange) -> None:
        """Store one row."""
        values = {**change.columns(), "attendance_id": record.id, "tenant_id": record.tenant_id}
        await transaction.execute(insert(attendance_history), values)

    async def of(self, transaction: AsyncConnection, record: Attendance) -> Sequence[StateChange]:
        """All rows, oldest first; asked after the lock, so that they are those of whoever held it before."""
        which = (attendance_history.c.attendance_id == record.id, attendance_history.c.tenant_id == record.tenant_id)
        rows = await transaction.execute(select(attendance_history).where(*which).order_by(attendance_history.c.seq))
        return [_change(row) for row in rows.mappings()]


class AttendanceRefusals:
    """What was refused, about a record or, for a submission, about none."""

    async def append(self, transaction: AsyncConnection, record: dict[str, Any]) -> None:
        """Store one refusal: id, tenant_id, attendance_id, actor, at, action, code and detail."""
        await transaction.execute(insert(attendance_refusals), record)


def _columns(record: Attendance) -> dict[str, Any]:
    said = record.submission
    return {
        "id": record.id,
        "tenant_id": record.tenant_id,
        "kind": said.kind.value,
        "person_id": said.person_id,
        "day": said.day,
        "class_session_id": said.class_session_id,
        "direction": said.direction.value if said.direction else None,
        "client_time": said.client_time,
        "device_id": said.device_id,
        "drift_ms": record.drift_ms,
        "submitted_by": record.submitted_by,
        "created_at": record.created_at,
    }


def _record(row: Row[Any]) -> Attendance:
    submission = Submission(
        kind=Kind(row.kind),
        person_id=row.person_id,
        day=row.day,
        client_time=row.client_time,
        device_id=row.device_id,
        class_session_id=row.class_session_id,
        direction=Direction(row.direction) if row.direction else None,
    )
    return Attendance(row.id, row.tenant_id, submission, row.drift_ms, row.submitted_by, row.created_at)


def _change(row: Any) -> StateChange:  # noqa: ANN401 - a row by names
    source = AttendanceState(row["from"]) if row["from"] else None
    return StateChange(row["seq"], row["actor"], row["at"], source, AttendanceState(row["to"]), row["reason"])
