"""Two databases, either of which may be gone, be silent, or be another than it was."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from psycopg.conninfo import make_conninfo
from sqlalchemy import MetaData, NullPool, create_engine

from pytest_smartattend.postgres.server import Database, Server
from pytest_smartattend.reference.domain.actors import Role, Scope
from pytest_smartattend.reference.settings import Settings
from pytest_smartattend.reference.store.accounts import Accounts
from pytest_smartattend.reference.store.migrate import migrate
from pytest_smartattend.reference.store.sessions import StoreUnreachable
from pytest_smartattend.reference.store.tables import INCIDENTS, PLATFORM
from pytest_smartattend.target.reference_schema import ReferenceSchema

if TYPE_CHECKING:
    from tests.contract.reference.conftest import World

REPORT = {"title": "It is down", "severity": "low"}


@contextlib.asynccontextmanager
async def silence() -> AsyncIterator[str]:
    """The conninfo of a server that accepts and never says a word."""
    held = []

    def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield f"postgresql://smartattend_app@127.0.0.1:{port}/x?sslmode=disable&gssencmode=disable"
    server.close()
    for _ in range(3):  # what was accepted just now becomes a connection
        await asyncio.sleep(0)
    for writer in held:
        writer.close()
    await server.wait_closed()


class Wire:
    """A path to a real server that can fall silent in mid-conversation."""

    def __init__(self, server: Server) -> None:
        self._address = server.address
        self.is_silent = asyncio.Event()
        self.silent_at = b"\0 nobody says this"
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if isinstance(self._address, str):
            upstream = await asyncio.open_unix_connection(self._address)
        else:
            upstream = await asyncio.open_connection(*self._address)
        self._writers += [writer, upstream[1]]
        for source, sink in ((reader, upstream[1]), (upstream[0], writer)):
            task = asyncio.create_task(self._carry(source, sink))
            self._tasks.add(task)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            if self.silent_at in data:
                self.is_silent.set()
            if self.is_silent.is_set():
                continue
            sink.write(data)
            await sink.drain()
        if not self.is_silent.is_set():  # a silent network does not tell of an end either
            sink.close()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[int]:
        listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        yield int(listener.sockets[0].getsockname()[1])
        listener.close()
        for writer in self._writers:
            writer.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def quick(settings: Settings) -> Settings:
    """Deadlines short enough to wait for."""
    half = timedelta(milliseconds=500)
    return replace(settings, health_deadline=half, connect_timeout=half, store_deadline=timedelta(seconds=1))


@pytest.mark.asyncio
async def test_health_names_the_part_that_is_silent_and_does_not_hang(world: World) -> None:
    async with silence() as dsn:
        app = world.start(replace(quick(world.settings), incidents_database_url=dsn))
        answers = await asyncio.gather(*(world.client(None, app=app).get("/health") for _ in range(5)))
        assert {answer.status_code for answer in answers} == {503}
        assert answers[0].json()["code"] == "unhealthy"
        assert answers[0].json()["parts"] == {"database": "ok", "incidents_database": "timeout"}
        reported = await world.client("staff", app=app).post("/incidents", json=REPORT)
        assert (reported.status_code, reported.json()["code"]) == (503, "unavailable")
        assert reported.json()["part"] == "incidents_database"
        assert (await world.client("staff", app=app).get("/auth/me")).status_code == 200


@pytest.mark.asyncio
async def test_health_names_the_part_that_is_gone(world: World) -> None:
    gone = "postgresql://smartattend_app@127.0.0.1:1/x"
    app = world.start(replace(quick(world.settings), database_url=gone))
    answer = await world.client(None, app=app).get("/health")
    assert (answer.status_code, answer.json()["parts"]) == (
        503,
        {"database": "unreachable", "incidents_database": "ok"},
    )
    login = await world.client(None, app=app).post("/auth/login", json={"email": "a", "password": "b"})
    assert (login.status_code, login.json()["part"]) == (503, "database")


@pytest.mark.asyncio
async def test_a_server_that_falls_silent_in_mid_conversation_is_given_up_and_found_again(
    world: World, postgres: Server
) -> None:
    wire = Wire(postgres)
    async with wire.open() as port:
        dsn = make_conninfo(world.settings.database_url, host="127.0.0.1", port=port)
        app = world.start(replace(quick(world.settings), database_url=dsn, incidents_database_url=dsn))
        staff = world.client("staff", app=app)
        assert (await staff.post("/incidents", json=REPORT)).status_code == 201
        wire.is_silent.set()
        silent = await asyncio.gather(staff.post("/incidents", json=REPORT), staff.get("/health"))
        assert [answer.status_code for answer in silent] == [503, 503]
        assert silent[1].json()["parts"]["database"] == "timeout"
        wire.is_silent.clear()
        assert (await staff.get("/health")).status_code == 200
        assert (await staff.post("/incidents", json=REPORT)).status_code == 201
        await app.state.platform.close()


@pytest.mark.asyncio
async def test_a_health_check_that_was_given_up_leaves_nothing_waiting(world: World, postgres: Server) -> None:
    wire = Wire(postgres)
    wire.silent_at = b"SELECT 1"  # the connection comes up, and only then there is silence
    async with wire.open() as port:
        dsn = make_conninfo(world.settings.database_url, host="127.0.0.1", port=port)
        app = world.start(replace(quick(world.settings), database_url=dsn))
        answer = await world.client(None, app=app).get("/health")
        assert answer.json()["parts"] == {"database": "timeout", "incidents_database": "ok"}
        asking = [task for task in asyncio.all_tasks() if "_ask" in repr(task.get_coro())]
        if asking:
            _, left = await asyncio.wait(asking, timeout=20)
            assert not left


@pytest.mark.asyncio
async def test_connections_that_died_while_unused_are_replaced_without_anybody_noticing(world: World) -> None:
    staff = world.client("staff")
    reports = [staff.post("/incidents", json=REPORT) for _ in range(4)]  # each on a connection of its own
    assert [answer.status_code for answer in await asyncio.gather(*reports)] == [201] * 4
    with world.sql() as connection:
        killed = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'smartattend_app'"
            " AND datname = current_database()"
        )
        assert killed.fetchall()
    assert (await staff.post("/incidents", json=REPORT)).status_code == 201


@pytest.mark.asyncio
async def test_an_account_is_seen_within_its_scope_alone_and_leaves_nothing_behind(world: World) -> None:
    store, person = world.platform.database, world.people["here", Role.STAFF]
    find = Accounts().within
    assert await find(store, Scope(tenant_id=world.tenants["here"]), person.id) == person
    assert await find(store, Scope(everywhere=True, login_email="me@x"), person.id) == person
    assert await find(store, Scope(tenant_id=world.tenants["there"]), person.id) is None
    assert await find(store, Scope(), person.id) is None
    async with store.transaction(Scope()) as transaction:  # a connection that was asked is bound to nobody
        bound = await transaction.exec_driver_sql("SELECT current_setting('app.tenant_id', true)")
        assert bound.scalar_one() == ""
    assert await asyncio.gather(*(find(store, person.scope, person.id) for _ in range(40))) == [person] * 40
    open_now = world.rows("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND xact_start < now()")
    assert open_now == []


@pytest.mark.asyncio
async def test_who_asks_for_an_account_waits_no_longer_than_the_deadline(world: World) -> None:
    app = world.start(quick(world.settings))
    store, person = app.state.platform.database, world.people["here", Role.STAFF]
    with world.sql() as connection, connection.transaction():
        connection.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StoreUnreachable):
            await Accounts().within(store, person.scope, person.id)
    assert await Accounts().within(store, person.scope, person.id) == person


@pytest.mark.asyncio
async def test_health_is_well_while_all_connections_of_the_pool_are_busy(world: World) -> None:
    incident = await world.incident()
    app = world.start(replace(world.settings, pool_size=1))
    clients = [world.client(app=app) for _ in range(6)]
    with world.sql() as connection, connection.transaction():
        connection.execute("SELECT * FROM incidents WHERE id = %s FOR UPDATE", [incident])
        waiting = [asyncio.create_task(client.post(f"/incidents/{incident}/acknowledge")) for client in clients]
        assert (await world.client(None, app=app).get("/health")).status_code == 200
        assert not any(task.done() for task in waiting)
    answers = await asyncio.gather(*waiting)
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409, 409]


@pytest.mark.asyncio
async def test_nobody_waits_for_ever_for_a_lock_that_another_holds(world: World) -> None:
    incident = await world.incident()
    app = world.start(quick(world.settings))
    with world.sql() as connection, connection.transaction():
        connection.execute("SELECT * FROM incidents WHERE id = %s FOR UPDATE", [incident])
        answer = await world.client(app=app).post(f"/incidents/{incident}/acknowledge")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert [row["kind"] for row in world.rows("SELECT kind FROM timeline")] == ["created"]


@pytest.mark.asyncio
async def test_the_server_itself_ends_what_outlives_the_deadline(world: World) -> None:
    """For a worker that was stopped, and could not cut its connection itself."""
    store = world.start(replace(world.settings, store_deadline=timedelta(milliseconds=300))).state.platform.database
    async with await store.connect() as working:
        with pytest.raises(psycopg.errors.QueryCanceled):
            await working.execute("SELECT pg_sleep(30)")
    idle = await store.connect()
    await idle.execute("BEGIN")
    await idle.execute("SELECT pg_advisory_lock(1)")
    with world.sql() as connection:
        connection.execute("SET statement_timeout = '20s'")
        connection.execute("SELECT pg_advisory_lock(1)")  # held until the idle transaction has been ended
    await idle.close()


@pytest.mark.asyncio
async def test_a_superuser_is_refused_because_no_policy_would_bind_it(world: World) -> None:
    app = world.start(replace(world.settings, database_url=world.database.dsn))
    answer = await world.client(None, app=app).get("/health")
    assert answer.json()["parts"] == {"database": "unreachable", "incidents_database": "ok"}


@pytest.mark.asyncio
async def test_incidents_live_where_their_url_says_and_nothing_spans_both(world: World, postgres: Server) -> None:
    second = postgres.pool(ReferenceSchema()).take()
    url = second.dsn_as("smartattend_app")
    admin = world.client(app=world.start(replace(world.settings, incidents_database_url=url)))
    made = await admin.post("/incidents", json=REPORT)
    assert (await admin.post(f"/incidents/{made.json()['id']}/acknowledge")).status_code == 200
    assert world.rows("SELECT * FROM incidents") == []
    with psycopg.connect(second.dsn) as connection:
        assert connection.execute("SELECT count(*) FROM timeline").fetchone() == (2,)
        assert connection.execute("SELECT count(*) FROM users").fetchone() == (0,)


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
