"""One database: its connections, and transactions that see one tenant's rows and never wait for ever."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import Executable, Row, exc
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from pytest_smartattend.reference.domain.actors import Scope

log = logging.getLogger(__name__)

T = TypeVar("T")

_BIND = sql.SQL(
    "SELECT set_config('app.tenant_id', {}, true), set_config('app.superadmin', {}, true),"
    " set_config('app.login_email', {}, true)"
)
_BEGIN = "BEGIN; "
_BEGIN_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "

#: what a server says of pages and indexes that are not what was written
DAMAGE = (psycopg.errors.DataCorrupted, psycopg.errors.IndexCorrupted)


class StoreUnreachable(Exception):
    """A database did not answer, or not in time. What was under way may or may not have been committed.

    Attributes:
        part: which one: ``database`` or ``incidents_database``.
    """

    def __init__(self, part: str) -> None:
        super().__init__(f"{part} cannot be reached; try again when /api/health says that it is back")
        self.part = part


class StoreDamaged(StoreUnreachable):
    """A database answered that what it holds is damaged. Waiting does not help: it must be restored."""


class Store:
    """A database as the application's role. Connections are made on first use, so that a fork can come before.

    Attributes:
        on_failure: is told of every transaction that failed because of the database: part, and what it said. A damaged
            one comes as `psycopg.errors.DataCorrupted` or `IndexCorrupted`.

    Args:
        part: how the health check and problems call it.
        dsn: libpq URL or conninfo.
        connect_timeout: how long a connection may take to come up.
        deadline: how long a transaction may take in all; then its connection is cut.
        pool_size: connections kept, and as many more while there is need.
    """

    def __init__(self, part: str, dsn: str, *, connect_timeout: timedelta, deadline: timedelta, pool_size: int) -> None:
        self.part = part
        self.dsn = dsn
        self.connect_timeout = connect_timeout
        self.deadline = deadline
        self.on_failure: Callable[[str, BaseException], None] = lambda _part, _why: None
        self._pool_size = pool_size
        self._engine: AsyncEngine | None = None

    @contextlib.asynccontextmanager
    async def transaction(self, scope: Scope, *, snapshot: bool = False) -> AsyncIterator[AsyncConnection]:
        """A transaction within `scope`; committed at the end of the block, rolled back if it raises.

        Args:
            scope: whose rows it may touch.
            snapshot: only reads, and all its statements see the database at the same moment.

        Raises:
            StoreUnreachable: see there.
        """
        begin = (_BEGIN_SNAPSHOT if snapshot else _BEGIN) + _bound_to(scope)
        async with self._session(lambda connection: _run(connection, begin)) as (connection, _):
            yield connection
            await connection.commit()

    async def first(self, statement: Executable, values: Mapping[str, object]) -> Row[Any] | None:
        """The first row of a statement that binds itself and is a transaction of its own, in one round trip.

        Args:
            statement: it only reads: it may be sent twice.
            values: of its parameters.

        Raises:
            StoreUnreachable: see there.
        """
        async with self._session(lambda connection: connection.execute(statement, values)) as (_, result):
            return result.first()

    @contextlib.asynccontextmanager
    async def _session(
        self, first: Callable[[AsyncConnection], Awaitable[T]]
    ) -> AsyncIterator[tuple[AsyncConnection, T]]:
        """A connection on which `first` was done, and what it returned; cut at the deadline."""
        ends = asyncio.get_running_loop().time() + self.deadline.total_seconds()
        try:
            connection, timer, result = await self._begin(first, ends)
            try:
                yield connection, result
            finally:
                timer.cancel()
                await connection.close()
        except (exc.OperationalError, exc.InterfaceError, exc.TimeoutError, psycopg.OperationalError, OSError) as why:
            raise self._failed(why) from why
        except exc.DBAPIError as why:
            if isinstance(why.orig, psycopg.errors.ReadOnlySqlTransaction):
                # A server that has become read-only, a standby or a fenced one, cannot be written to, whatever else it
                # says. The pool would stay with it for ever: it answers.
                await self.close()
            elif not (why.connection_invalidated or isinstance(why.orig, DAMAGE)):
                raise
            raise self._failed(why.orig or why) from why

    def _failed(self, why: BaseException) -> StoreUnreachable:
        log.warning("%s: %s", self.part, why)
        self.on_failure(self.part, why)
        return StoreDamaged(self.part) if isinstance(why, DAMAGE) else StoreUnreachable(self.part)

    async def bind(self, connection: AsyncConnection, scope: Scope) -> None:
        """Tell row-level security whose rows these statements may touch; holds until the transaction ends."""
        await _run(connection, _bound_to(scope))

    async def connect(self) -> psycopg.AsyncConnection:
        """A new connection of its own, outside the pool.

        Raises:
            psycopg.OperationalError, OSError: the server does not answer, or the role is not bound by its policies.
        """
        seconds = self.connect_timeout.total_seconds()
        conninfo = self._conninfo()
        async with asyncio.timeout(seconds):
            connection = await psycopg.AsyncConnection.connect(conninfo, autocommit=True)
        if connection.pgconn.parameter_status(b"is_superuser") == b"on":
            await connection.close()
            raise psycopg.OperationalError(
                f"{self.part} was opened as a superuser, whom row-level security does not bind; "
                "connect as smartattend_app"
            )
        return connection

    async def close(self) -> None:
        """Close all connections. The store can be used again afterwards."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.dispose()

    def _conninfo(self) -> str:
        # The server itself ends what outlives us: a worker that was stopped in mid-transaction holds its locks no longer.
        millis = int(self.deadline.total_seconds() * 1000)
        limits = f"-c statement_timeout={millis} -c idle_in_transaction_session_timeout={millis}"
        given = conninfo_to_dict(self.dsn)
        options = f"{given.get('options') or ''} {limits}".strip()
        return make_conninfo(self.dsn, options=options, application_name=given.get("application_name") or "smartattend")

    def _pool(self) -> AsyncEngine:
        if self._engine is None:
            self._engine = create_async_engine(
                "postgresql+psycopg://",
                async_creator=self.connect,
                pool_size=self._pool_size,
                max_overflow=self._pool_size,
                pool_timeout=self.deadline.total_seconds(),
                hide_parameters=True,
            )
        return self._engine

    async def _begin(
        self, first: Callable[[AsyncConnection], Awaitable[T]], ends: float
    ) -> tuple[AsyncConnection, asyncio.TimerHandle, T]:
        """Check a connection out and do what comes first on it.

        A pooled connection may have died since it was used; that shows here, before anything was done, and once
        it may be tried again without doing anything twice.
        """
        loop = asyncio.get_running_loop()
        for last in (False, True):
            connection = await self._pool().connect()
            timer = loop.call_at(ends, cut, await _driver_of(connection))
            try:
                result = await first(connection)
            except exc.DBAPIError as why:
                timer.cancel()
                await connection.close()
                if last or not why.connection_invalidated or loop.time() >= ends:
                    raise
            except BaseException:
                timer.cancel()
                await connection.close()
                raise
            else:
                return connection, timer, result
        raise AssertionError("the second round returns or raises")


def settings_of(scope: Scope) -> tuple[str, str, str]:
    """What the policies read of a scope: app.tenant_id, app.superadmin, app.login_email."""
    return str(scope.tenant_id or ""), "on" if scope.everywhere else "off", scope.login_email or ""


def _bound_to(scope: Scope) -> str:
    return _BIND.format(*settings_of(scope)).as_string()


async def _run(connection: AsyncConnection, statements: str) -> None:
    """Several statements in one round trip: they go without parameters, whose values are quoted in them already."""
    await connection.exec_driver_sql(statements, execution_options={"no_parameters": True})


def cut(connection: psycopg.AsyncConnection) -> None:
    """End a connection from outside: whoever waits on it sees the server gone.

    Cancelling the waiting task instead would make psycopg ask the server to cancel and wait for its answer, which
    a silent server never gives.
    """
    if connection.closed:
        return
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.pgconn.socket)) as duplicate:
        duplicate.shutdown(socket.SHUT_RDWR)


async def _driver_of(connection: AsyncConnection) -> psycopg.AsyncConnection:
    raw = await connection.get_raw_connection()
    driver = raw.driver_connection
    assert isinstance(driver, psycopg.AsyncConnection)
    return driver
