"""Corrections and their reverts in SQL: appended only, beside a record that never changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, insert, select
from sqlalchemy.dialects.postgresql import insert as insert_or_leave
from sqlalchemy.ext.asyncio import AsyncConnection

from pytest_smartattend.reference.domain.actors import Scope
from pytest_smartattend.reference.domain.corrections import Correction, CorrectionType, Revert
from pytest_smartattend.reference.store.tables import correction_reverts, corrections, within


class CorrectionRows:
    """Reads and appends corrections. Every method takes a transaction that is bound to a scope already."""

    async def append(self, transaction: AsyncConnection, tenant_id: UUID, correction: Correction) -> None:
        """Store a correction."""
        values = {
            "id": correction.id,
            "attendance_id": correction.attendance_id,
            "tenant_id": tenant_id,
            "actor": correction.actor,
            "at": correction.at,
            "type": correction.type.value,
            "reason": correction.reason,
            "original": dict(correction.original),
            "corrected": dict(correction.corrected),
        }
        await transaction.execute(insert(corrections), values)

    async def revert(self, transaction: AsyncConnection, tenant_id: UUID, revert: Revert) -> bool:
        """Store a revert, unless the correction has one; whether it was stored."""
        values = {
            "id": revert.id,
            "correction_id": revert.correction_id,
            "tenant_id": tenant_id,
            "actor": revert.actor,
            "at": revert.at,
            "reason": revert.reason,
        }
        statement = insert_or_leave(correction_reverts).values(values).on_conflict_do_nothing()
        return (await transaction.execute(statement.returning(correction_reverts.c.id))).first() is not None

    async def of(self, transaction: AsyncConnection, tenant_id: UUID, attendance_id: UUID) -> Sequence[Correction]:
        """All corrections of a record with their reverts, oldest first."""
        which = (corrections.c.attendance_id == attendance_id, corrections.c.tenant_id == tenant_id)
        rows = await transaction.execute(_with_reverts().where(*which).order_by(corrections.c.position))
        return [_correction(row) for row in rows.mappings()]

    async def find(
        self, transaction: AsyncConnection, scope: Scope, correction_id: UUID
    ) -> tuple[UUID, Correction] | None:
        """The correction and its tenant; None if there is none within the scope."""
        statement = _with_reverts().where(corrections.c.id == correction_id, within(corrections, scope))
        row = (await transaction.execute(statement)).mappings().first()
        return (row["tenant_id"], _correction(row)) if row else None


def _with_reverts() -> Select[Any]:
    reverts = [column.label(f"revert_{column.name}") for column in correction_reverts.c]
    joined = corrections.outerjoin(correction_reverts, correction_reverts.c.correction_id == corrections.c.id)
    return select(corrections, *reverts).select_from(joined)


def _correction(row: Any) -> Correction:  # noqa: ANN401 - a row by names
    reverted = None
    if row["revert_id"]:
        said = (row["revert_reason"], row["revert_actor"], row["revert_at"])
        reverted = Revert(row["revert_id"], row["id"], *said)
    return Correction(
        id=row["id"],
        attendance_id=row["attendance_id"],
        type=CorrectionType(row["type"]),
        reason=row["reason"],
        original=row["original"],
        corrected=row["corrected"],
        actor=row["actor"],
        at=row["at"],
        reverted=reverted,
    )
