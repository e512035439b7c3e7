"""Who may attend what: class sessions, shifts, people, and each tenant's settings."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from pytest_smartattend.reference.domain.actors import Role, Scope
from pytest_smartattend.reference.domain.attendance import Kind, Submission
from pytest_smartattend.reference.domain.drift import Thresholds
from pytest_smartattend.reference.store.tables import class_sessions, shifts, tenant_settings, users, within


class Rosters:
    """Reads what `store.seed` wrote. Every method takes a transaction that is bound to `scope` already."""

    async def tenant_of(self, transaction: AsyncConnection, scope: Scope, submission: Submission) -> UUID | None:
        """The tenant in which the submission makes sense; None if there is no such session, student or shift."""
        if submission.kind is Kind.SCHOOL:
            return await self._of_session(transaction, scope, submission)
        which = (shifts.c.employee_id == submission.person_id, shifts.c.shift_date == submission.day)
        row = (await transaction.execute(select(shifts.c.tenant_id).where(*which, within(shifts, scope)))).first()
        return row.tenant_id if row else None

    async def thresholds(self, transaction: AsyncConnection, tenant_id: UUID) -> Thresholds:
        """How far the clocks of this tenant's clients may be off."""
        statement = select(tenant_settings).where(tenant_settings.c.tenant_id == tenant_id)
        row = (await transaction.execute(statement)).first()
        if row is None:
            return Thresholds()
        limits = (row.drift_accepted_ms, row.drift_flagged_ms, row.drift_blocked_ms)
        return Thresholds(*(timedelta(milliseconds=limit) for limit in limits))

    async def _of_session(self, transaction: AsyncConnection, scope: Scope, submission: Submission) -> UUID | None:
        together = class_sessions.join(users, users.c.tenant_id == class_sessions.c.tenant_id)
        which = (
            class_sessions.c.id == submission.class_session_id,
            users.c.id == submission.person_id,
            users.c.role == Role.MEMBER.value,
            within(class_sessions, scope),
        )
        row = (
            await transaction.execute(select(class_sessions.c.tenant_id).select_from(together).where(*which))
        ).first()
        return row.tenant_id if row else None
