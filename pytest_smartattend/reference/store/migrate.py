"""Bring the databases to the newest schema: roles first, then both histories, owned by ``smartattend_owner``.

Run it with a superuser, or with a role that has CREATEROLE and may create in the databases' schema ``public``.
Both roles are made without a password unless ``SMARTATTEND_OWNER_PASSWORD`` and ``SMARTATTEND_APP_PASSWORD`` give one;
without, the server's ``pg_hba.conf`` decides whether they can log in (``trust``, ``peer``, ``cert``).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from psycopg import sql

FOLDER = Path(__file__).parent / "migrations"

OWNER = "smartattend_owner"
APP = "smartattend_app"

#: role → the variable that may hold its password
PASSWORDS: Mapping[str, str] = {OWNER: "SMARTATTEND_OWNER_PASSWORD", APP: "SMARTATTEND_APP_PASSWORD"}

#: any number, the same in every process that migrates
_MIGRATION_LOCK = 7_305_002


def migrate(platform_dsn: str, incidents_dsn: str, environment: Mapping[str, str] = os.environ) -> None:
    """Apply all migrations that are missing. Harmless when none is, and when two processes do it at once.

    Args:
        platform_dsn: libpq URL or conninfo of the database of tenants and users.
        incidents_dsn: the same of the incident store; may be the same database.
        environment: where passwords for the two roles may stand.

    Raises:
        psycopg.Error: the roles could not be made; nothing was migrated.
        sqlalchemy.exc.DBAPIError: a migration failed; that history's database is as it was.
    """
    for dsn, history in ((platform_dsn, "platform"), (incidents_dsn, "incidents")):
        with psycopg.connect(dsn, autocommit=True) as connection:
            for role, variable in PASSWORDS.items():
                _ensure_role(connection, role, environment.get(variable))
            _become_owner(connection)
        _upgrade(dsn, history)


def _ensure_role(connection: psycopg.Connection, role: str, password: str | None) -> None:
    """Make a role that can log in and nothing else; roles belong to the whole server, so others may race us."""
    name = sql.Identifier(role)
    if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone() is None:
        with contextlib.suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE").format(name))
    if password:
        connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(name, sql.Literal(password)))


def _become_owner(connection: psycopg.Connection) -> None:
    """Let whoever migrates act as the owner, and the owner create in this database."""
    # Since 16 whoever makes a role is its member for administration only; being able to become it is asked by SET.
    how = "SET" if connection.info.server_version >= 160_000 else "MEMBER"
    row = connection.execute("SELECT pg_has_role(current_user, %s, %s)", [OWNER, how]).fetchone()
    if row is None or not row[0]:
        connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(OWNER)))
    # In one transaction under a lock: two sessions that grant at once fail with "tuple concurrently updated".
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_MIGRATION_LOCK])
        connection.execute(sql.SQL("GRANT USAGE, CREATE ON SCHEMA public TO {}").format(sql.Identifier(OWNER)))
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(sql.Identifier(APP)))
        connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")


def _upgrade(dsn: str, history: str) -> None:
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(dsn), poolclass=sqlalchemy.NullPool
    )
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("version_locations", str(FOLDER / history).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        connection.execute(sqlalchemy.text(f"SET LOCAL ROLE {OWNER}"))
        config.attributes.update(connection=connection, version_table=f"{history}_version")
        command.upgrade(config, "head")
