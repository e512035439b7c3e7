"""Two databases, either of which may be gone, be silent, or be another than it was."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from unittest.mock import AsyncMock

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus

from pytest_smartattend.postgres.server import Server
from pytest_smartattend.reference.api.health import _ask
from pytest_smartattend.reference.domain.actors import Role, Scope
from pytest_smartattend.reference.settings import Settings
from pytest_smartattend.reference.store.accounts import Accounts
from pytest_smartattend.reference.store.sessions import StoreUnreachable
from pytest_smartattend.target.reference_schema import ReferenceSchema

if TYPE_CHECKING:
    from tests.contract.reference.conftest import World

REPORT = {"title": "It is down", "severity": "low"}


@contextlib.contextmanager
def silence() -> Iterator[str]:
    """The conninfo of a server that never says a word: its kernel takes connections, and nobody asks for them."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        port = listener.getsockname()[1]
        yield f"postgresql://smartattend_app@127.0.0.1:{port}/x?sslmode=disable&gssencmode=disable"


class Wire:
    """A path to a real server that can fall silent in mid-conversation."""

    def __init__(self, server: Server) -> None:
        self._address = server.address
        self.is_silent = asyncio.Event()
        self.silent_at = b"\0 nobody says this"
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        if isinstance(self._address, str):
            upstream = await asyncio.open_unix_connection(self._address)
        else:
            upstream = await asyncio.open_connection(*self._address)
        self._writers.append(upstream[1])
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
    """Deadlines short enough to wait for, and long enough for a busy machine to answer within where it should."""
    short = timedelta(seconds=2)
    return replace(settings, health_deadline=short, connect_timeout=short, store_deadline=timedelta(seconds=3))


@pytest.mark.asyncio
async def test_health_names_the_part_that_is_silent_and_does_not_hang(world: World) -> None:
    with silence() as dsn:
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
async def test_a_health_check_that_ends_with_the_platform_closes_its_connection(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await world.platform.database.connect()
    ask = connection.execute
    monkeypatch.setattr(connection, "execute", lambda _: ask("SELECT pg_sleep(60)"))
    monkeypatch.setattr(world.platform.database, "connect", AsyncMock(return_value=connection))
    asking = asyncio.create_task(_ask(world.platform.database, []))
    while connection.pgconn.transaction_status != TransactionStatus.ACTIVE:  # noqa: ASYNC110 - libpq tells nobody
        await asyncio.sleep(0.01)
    asking.cancel()
    await asyncio.wait({asking})
    assert connection.closed


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
    await idle.execute("BEGIN; SELECT pg_advisory_lock(1)")  # at once, or it may have been ended in between
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
