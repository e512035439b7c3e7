"""People and tenants, as far as the platform reads them."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import ColumnElement, Row, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from pytest_smartattend.reference.domain.actors import Role, Scope, User
from pytest_smartattend.reference.store.sessions import Store, settings_of
from pytest_smartattend.reference.store.tables import one_of, tenants, users

_WITHIN = text("SELECT * FROM account_within(:account, :tenant, :superadmin)")


class Accounts:
    """Reads users and tenants. Every method but `within` takes a transaction that is bound to a scope already."""

    async def within(self, store: Store, scope: Scope, user_id: UUID) -> User | None:
        """The user; None if there is none within the scope. One round trip: every request asks."""
        tenant, superadmin, _ = settings_of(scope)
        row = await store.first(_WITHIN, {"account": user_id, "tenant": tenant, "superadmin": superadmin})
        return _user(row) if row else None

    async def by_email(self, transaction: AsyncConnection, email: str) -> tuple[User, str | None] | None:
        """The user with this lower-case address, and the hash of the password; None if there is none."""
        row = await self._one(transaction, users.c.email == email)
        return (_user(row), row.password_hash) if row else None

    async def by_id(self, transaction: AsyncConnection, user_id: UUID) -> User | None:
        """The user; None if there is none within the scope."""
        row = await self._one(transaction, users.c.id == user_id)
        return _user(row) if row else None

    async def by_ids(self, transaction: AsyncConnection, user_ids: Iterable[UUID]) -> list[User]:
        """Those of `user_ids` that there are within the scope."""
        return [
            _user(row) for row in await transaction.execute(select(users).where(one_of(users.c.id, list(user_ids))))
        ]

    async def names(self, transaction: AsyncConnection, user_ids: Iterable[UUID]) -> dict[str, str]:
        """Id → name and address of those of the users who exist within the scope."""
        rows = await transaction.execute(select(users).where(one_of(users.c.id, list(user_ids))))
        return {str(row.id): f"{row.name} <{row.email}>" for row in rows}

    async def has_tenant(self, transaction: AsyncConnection, tenant_id: UUID) -> bool:
        """Whether the tenant exists within the scope."""
        found = await transaction.execute(select(tenants.c.id).where(tenants.c.id == tenant_id))
        return found.first() is not None

    async def _one(self, transaction: AsyncConnection, which: ColumnElement[bool]) -> Row[tuple[object, ...]] | None:
        return (await transaction.execute(select(users).where(which))).first()


def login_scope(email: str) -> Scope:
    """What somebody who is not logged in yet may see: the one account that is claimed."""
    return Scope(login_email=email)


def _user(row: Row[tuple[object, ...]]) -> User:
    return User(id=row.id, tenant_id=row.tenant_id, role=Role(row.role), email=row.email, name=row.name)
