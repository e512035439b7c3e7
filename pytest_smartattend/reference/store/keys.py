"""What is done once: idempotency keys with their first answers, and alarms about drifting devices."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, insert, select, text
from sqlalchemy.dialects.postgresql import insert as insert_or_leave
from sqlalchemy.ext.asyncio import AsyncConnection

from pytest_smartattend.reference.domain.idempotency import Kept, Key
from pytest_smartattend.reference.store.sessions import Store
from pytest_smartattend.reference.store.tables import drift_alarms, idempotency_keys

_WITHIN = text("SELECT * FROM answer_within(:tenant, :asked)")
_HOLD = text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))")


class IdempotencyKeys:
    """First answers by key. The answer is kept in the transaction that did what it tells.

    Whoever asks with the same key at the same moment waits until the first has committed, or has gone: the lock ends
    with its transaction, so a worker that dies leaves neither a lock nor half an answer.
    """

    async def hold(self, transaction: AsyncConnection, tenant_id: UUID, key: Key) -> None:
        """Let nobody else work under this key until the transaction ends."""
        await transaction.execute(_HOLD, {"key": f"{tenant_id} {key.text}"})

    def owned(self, tenant_id: UUID) -> ColumnElement[bool]:
        """Whose keys."""
        return idempotency_keys.c.tenant_id == tenant_id

    async def look(self, store: Store, tenant_id: UUID, key: Key) -> Kept | None:
        """What was answered under the key; None if it is new, or is being answered now. One round trip."""
        return _kept(await store.first(_WITHIN, {"tenant": tenant_id, "asked": key.text}))

    async def find(self, transaction: AsyncConnection, tenant_id: UUID, key: Key) -> Kept | None:
        """What was answered under the key; None if it is new."""
        statement = select(idempotency_keys).where(self.owned(tenant_id), idempotency_keys.c.key == key.text)
        return _kept((await transaction.execute(statement)).first())

    async def keep(
        self, transaction: AsyncConnection, tenant_id: UUID, key: Key, answer: Kept, *, at: datetime
    ) -> None:
        """Keep the first answer."""
        values = {
            "tenant_id": tenant_id,
            "key": key.text,
            "digest": answer.digest,
            "status": answer.status,
            "answer": dict(answer.body),
            "at": at,
        }
        await transaction.execute(insert(idempotency_keys), values)


def _kept(row: Any) -> Kept | None:  # noqa: ANN401 - a row by names
    return Kept(row.digest, row.status, row.answer) if row else None


class DriftAlarms:
    """One incident per tenant, device and hour."""

    async def raised(
        self, transaction: AsyncConnection, tenant_id: UUID, device: str, *, hour: datetime, incident_id: UUID
    ) -> UUID:
        """The incident of this device and hour: the one given, or the one that was given first."""
        names = {"tenant_id": tenant_id, "device": device, "hour": hour}
        statement = insert_or_leave(drift_alarms).values({**names, "incident_id": incident_id})
        await transaction.execute(statement.on_conflict_do_nothing())
        which = (drift_alarms.c[name] == value for name, value in names.items())
        first: UUID = (await transaction.execute(select(drift_alarms.c.incident_id).where(*which))).scalar_one()
        return first
