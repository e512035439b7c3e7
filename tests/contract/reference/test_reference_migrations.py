"""The schema: who may migrate, how often, and that the application knows the tables that it makes."""

from __future__ import annotations

import subprocess
import sys

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, NullPool, create_engine

from pytest_smartattend.postgres.server import Database, Server
from pytest_smartattend.reference.store.migrate import migrate
from pytest_smartattend.reference.store.tables import INCIDENTS, PLATFORM


@pytest.fixture
def empty(postgres: Server) -> Database:
    from pytest_smartattend.postgres.schema import EmptySchema

    return postgres.pool(EmptySchema()).take()


def tables_of(dsn: str) -> set[str]:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return {row[0] for row in rows}


PLATFORM_TABLES = {
    "platform_version",
    "alerts",
    "tenants",
    "users",
    "tenant_settings",
    "class_sessions",
    "shifts",
    "attendance",
    "attendance_history",
    "corrections",
    "correction_reverts",
    "attendance_refusals",
    "idempotency_keys",
    "drift_alarms",
    "metrics",
}
INCIDENT_TABLES = {
    "incidents_version",
    "incidents",
    "timeline",
    "audit_heads",
    "escalations",
    "root_causes",
    "handoffs",
    "handoff_endings",
    "handoff_refusals",
    "refusals",
    "exports",
}


def test_each_history_goes_into_its_own_database(empty: Database, postgres: Server) -> None:
    from pytest_smartattend.postgres.schema import EmptySchema

    second = postgres.pool(EmptySchema()).take()
    migrate(empty.dsn, second.dsn)
    assert (tables_of(empty.dsn), tables_of(second.dsn)) == (PLATFORM_TABLES, INCIDENT_TABLES)


def test_migrating_again_changes_nothing(reference_database: Database) -> None:
    before = tables_of(reference_database.dsn)
    migrate(reference_database.dsn, reference_database.dsn)
    assert tables_of(reference_database.dsn) == before == PLATFORM_TABLES | INCIDENT_TABLES


def test_two_processes_may_migrate_at_once(empty: Database) -> None:
    program = "import sys; from pytest_smartattend.reference.store.migrate import migrate; migrate(*sys.argv[1:] * 2)"
    both = [subprocess.Popen([sys.executable, "-c", program, empty.dsn]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert tables_of(empty.dsn) == PLATFORM_TABLES | INCIDENT_TABLES


@pytest.mark.usefixtures("reference_database")  # with it the roles are there, whatever ran before
def test_no_superuser_is_needed_to_migrate(empty: Database) -> None:
    with psycopg.connect(empty.dsn, autocommit=True) as connection:
        name = f"deployer_{empty.name}"
        connection.execute(f'CREATE ROLE "{name}" LOGIN CREATEROLE'.encode())
        connection.execute(f'ALTER DATABASE "{empty.name}" OWNER TO "{name}"'.encode())
        connection.execute(f'GRANT smartattend_owner, smartattend_app TO "{name}" WITH ADMIN OPTION'.encode())
    migrate(empty.dsn_as(name), empty.dsn_as(name))
    assert tables_of(empty.dsn) == PLATFORM_TABLES | INCIDENT_TABLES
    with psycopg.connect(empty.dsn) as connection:
        owners = connection.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert owners == [("smartattend_owner",)]


@pytest.mark.parametrize(("tables", "version"), [(PLATFORM, "platform_version"), (INCIDENTS, "incidents_version")])
def test_the_tables_that_the_application_knows_are_those_that_the_migrations_make(
    reference_database: Database, tables: MetaData, version: str
) -> None:
    def ours(_: object, name: str | None, kind: str, *__: object) -> bool:
        return kind == "column" or (kind == "table" and name in {*tables.tables})

    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(reference_database.dsn), poolclass=NullPool
    )
    with engine.connect() as connection:
        options = {"include_object": ours, "compare_type": True, "version_table": version}
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), tables)
    assert differences == []


def test_the_roles_can_log_in_and_nothing_else(reference_database: Database) -> None:
    with psycopg.connect(reference_database.dsn) as connection:
        roles = connection.execute(
            "SELECT rolname, rolcanlogin, rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication"
            " FROM pg_roles WHERE rolname IN ('smartattend_app', 'smartattend_owner') ORDER BY 1"
        ).fetchall()
    assert roles == [("smartattend_app", True, False), ("smartattend_owner", True, False)]
