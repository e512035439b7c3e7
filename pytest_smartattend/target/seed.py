"""Makes tenants, people and rosters in the reference platform's database: the one way in which suites write by SQL."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import psycopg

from pytest_smartattend.errors import UsageError
from pytest_smartattend.reference.api.passwords import hash_password
from pytest_smartattend.target.observer import OURS
from pytest_smartattend.target.people import Account, Roster

PASSWORD = "correct horse battery staple"  # noqa: S105 - of accounts that live as long as a check
#: when everything that is seeded was made: before any check, the same in every run
SEEDED_AT = datetime(2026, 1, 1, tzinfo=UTC)
#: dates on which every class session is held, and on which every employee has a shift
DAYS = tuple(SEEDED_AT.date() + timedelta(days=day) for day in range(28))
_USER = (
    "insert into users (id, tenant_id, role, email, name, password_hash, created_at)"
    " values (%s, %s, %s, %s, %s, %s, %s) on conflict do nothing"
)


@cache
def _hash(password: str) -> str:
    return hash_password(password, rounds=2)


class Seeder:
    """A connection that seeds. Each tenant is committed as a whole.

    Args:
        dsn: a libpq URL of the platform's database, as a superuser.
    """

    def __init__(self, dsn: str) -> None:
        self._connection = psycopg.connect(dsn, autocommit=True, application_name=OURS)
        self._superadmins: dict[str, Account] = {}

    def tenant(self, kind: str) -> tuple[str, dict[str, Account], Roster]:
        """A new tenant: its id, role → account, and what its people may attend. Superadmins are the same for all.

        For ``admin`` and ``superadmin`` there is also a ``next`` one, who takes over from them.
        """
        if not self._superadmins:
            self._superadmins = {role: _account("superadmin", None) for role in ("superadmin", "next superadmin")}
            self._insert([*self._superadmins.values()])
        tenant_id = str(uuid.uuid4())
        roles = ("member", "staff", "admin", "next admin")
        accounts = {role: _account(role.removeprefix("next "), tenant_id) for role in roles}
        other = _account("member", tenant_id)
        sessions = tuple(str(uuid.uuid4()) for _ in range(2)) if kind == "school" else ()
        roster = Roster(kind, accounts["member"].user_id, other.user_id, sessions, DAYS)
        with self._connection.transaction():
            self._connection.execute(
                "insert into tenants (id, name, kind, created_at) values (%s, %s, %s, %s)",
                (tenant_id, f"A {kind} {tenant_id[:8]}", kind, SEEDED_AT),
            )
            self._insert([*accounts.values(), other])
            self._enrol(tenant_id, roster)
        return tenant_id, {**accounts, **self._superadmins}, roster

    def stage(self, tenant_id: str) -> tuple[Account, Roster]:
        """A new member in a tenant that is there, whom nobody can log in as, with slots of their own.

        Raises:
            UsageError: there is no such tenant.
        """
        row = self._connection.execute("select kind from tenants where id = %s", [tenant_id]).fetchone()
        if row is None:
            raise UsageError(f"there is no tenant {tenant_id}. Log in as an admin of one.")
        member, other = (replace(_account("member", tenant_id), password=secrets.token_hex(16)) for _ in range(2))
        sessions = tuple(str(uuid.uuid4()) for _ in range(2)) if row[0] == "school" else ()
        roster = Roster(row[0], member.user_id, other.user_id, sessions, DAYS)
        with self._connection.transaction():
            self._insert([member, other])
            self._enrol(tenant_id, roster)
        return member, roster

    def person(self, role: str, tenant_id: str) -> Account:
        """One more person of a tenant's in `role`; a superadmin is of none."""
        account = _account(role, None if role == "superadmin" else tenant_id)
        self._insert([account])
        return account

    def drift_limits(self, tenant_id: str, limits: Mapping[str, timedelta]) -> None:
        """Hold the clocks of a tenant's clients to limits of its own; see `seeding.Seeding`."""
        self._connection.execute(
            "insert into tenant_settings (tenant_id, drift_accepted_ms, drift_flagged_ms, drift_blocked_ms)"
            " values (%(tenant_id)s, %(accepted_ms)s, %(flagged_ms)s, %(blocked_ms)s)",
            {"tenant_id": tenant_id, **in_milliseconds(limits)},
        )

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _enrol(self, tenant_id: str, roster: Roster) -> None:
        cursor = self._connection.cursor()
        cursor.executemany(
            "insert into class_sessions (id, tenant_id, name) values (%s, %s, %s)",
            [(session, tenant_id, f"Class {session[:8]}") for session in roster.class_session_ids],
        )
        if roster.kind == "corporate":
            cursor.executemany(
                "insert into shifts (id, tenant_id, employee_id, shift_date) values (%s, %s, %s, %s)",
                [
                    (str(uuid.uuid4()), tenant_id, employee, day)
                    for employee in (roster.person_id, roster.other_id)
                    for day in roster.days
                ],
            )

    def _insert(self, accounts: list[Account]) -> None:
        rows = [
            (one.user_id, one.tenant_id, one.role, one.email, f"The {one.role}", _hash(one.password), SEEDED_AT)
            for one in accounts
        ]
        self._connection.cursor().executemany(_USER, rows)


def in_milliseconds(limits: Mapping[str, timedelta]) -> dict[str, int]:
    """What a step that sets a tenant's limits is given: ``accepted_ms``, ``flagged_ms`` and ``blocked_ms``."""
    return {f"{band}_ms": limit // timedelta(milliseconds=1) for band, limit in limits.items()}


def _account(role: str, tenant_id: str | None) -> Account:
    user_id = str(uuid.uuid4())
    return Account(user_id, tenant_id, role, f"{role}-{user_id[:8]}@example.test", PASSWORD)
