"""Put tenants and users into a database: for the first superadmin of an installation, and for tests.

The API has no endpoint for accounts. This writes as whoever `dsn` names: the owner or a superuser, for the
application's role may only read accounts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import psycopg

from pytest_smartattend.reference.domain.actors import User


@dataclass(frozen=True, slots=True)
class Tenant:
    """A school or a corporate."""

    id: UUID
    name: str
    kind: Literal["school", "corporate"]


@dataclass(frozen=True, slots=True)
class Account:
    """A user and the hash of the password (`api.passwords`); without one, nobody can log in as that user."""

    user: User
    password_hash: str | None = None


def seed(dsn: str, *, tenants: Iterable[Tenant] = (), accounts: Iterable[Account] = (), at: datetime) -> None:
    """Insert tenants, then accounts, in one transaction.

    Args:
        dsn: libpq URL or conninfo of the database of tenants and users, as its owner or a superuser.
        tenants: new tenants.
        accounts: new users; their addresses are stored in lower case.
        at: the time of creation, aware.

    Raises:
        psycopg.Error: something is there already, or the tenant of a user is not; nothing was written.
    """
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.superadmin', 'on', true)")
        cursor.executemany(
            "INSERT INTO tenants (id, name, kind, created_at) VALUES (%s, %s, %s, %s)",
            [(tenant.id, tenant.name, tenant.kind, at) for tenant in tenants],
        )
        cursor.executemany(
            "INSERT INTO users (id, tenant_id, role, email, name, password_hash, created_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [
                (user.id, user.tenant_id, user.role.value, user.email.lower(), user.name, account.password_hash, at)
                for account in accounts
                for user in [account.user]
            ],
        )
