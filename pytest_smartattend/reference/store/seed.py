"""Put tenants, users and rosters into a database: for the first superadmin of an installation, and for tests.

The API has no endpoint for them. This writes as whoever `dsn` names: the owner or a superuser, for the
application's role may only read them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal
from uuid import UUID

import psycopg

from pytest_smartattend.reference.domain.actors import User
from pytest_smartattend.reference.domain.drift import Thresholds, milliseconds


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


@dataclass(frozen=True, slots=True)
class ClassSession:
    """What the students of a school attend, on any date."""

    id: UUID
    tenant_id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class Shift:
    """When an employee of a corporate works."""

    id: UUID
    tenant_id: UUID
    employee_id: UUID
    shift_date: date


@dataclass(frozen=True, slots=True)
class Rosters:
    """Who may attend what, and how far clocks may be off in tenants that do not keep to the usual limits."""

    class_sessions: Iterable[ClassSession] = ()
    shifts: Iterable[Shift] = ()
    thresholds: Mapping[UUID, Thresholds] = field(default_factory=dict)


def seed(
    dsn: str,
    *,
    tenants: Iterable[Tenant] = (),
    accounts: Iterable[Account] = (),
    rosters: Rosters | None = None,
    at: datetime,
) -> None:
    """Insert tenants, then accounts, then rosters, in one transaction.

    Args:
        dsn: libpq URL or conninfo of the database of tenants and users, as its owner or a superuser.
        tenants: new tenants.
        accounts: new users; their addresses are stored in lower case.
        rosters: what the tenants' people may attend; nothing if None.
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
        _roster(cursor, rosters or Rosters())


def _roster(cursor: psycopg.Cursor, rosters: Rosters) -> None:
    cursor.executemany(
        "INSERT INTO class_sessions (id, tenant_id, name) VALUES (%s, %s, %s)",
        [(one.id, one.tenant_id, one.name) for one in rosters.class_sessions],
    )
    cursor.executemany(
        "INSERT INTO shifts (id, tenant_id, employee_id, shift_date) VALUES (%s, %s, %s, %s)",
        [(one.id, one.tenant_id, one.employee_id, one.shift_date) for one in rosters.shifts],
    )
    cursor.executemany(
        "INSERT INTO tenant_settings (tenant_id, drift_accepted_ms, drift_flagged_ms, drift_blocked_ms)"
        " VALUES (%s, %s, %s, %s)",
        [
            (tenant_id, *(round(milliseconds(limit)) for limit in (one.accepted, one.flagged, one.blocked)))
            for tenant_id, one in rosters.thresholds.items()
        ],
    )
