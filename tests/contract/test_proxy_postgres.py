"""The TCP proxy before a real PostgreSQL: what a driver sees, and the lost acknowledgement of a commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import psycopg
import pytest

from pytest_smartattend.engine.faults import AckLoss, Down, Fault, Latency, Silence, Slicer
from pytest_smartattend.engine.units import MILLISECOND
from pytest_smartattend.errors import FaultNeverFired
from pytest_smartattend.injectors.probes import postgres_answers
from pytest_smartattend.injectors.tcp_proxy import TcpProxy
from pytest_smartattend.postgres.pool import Database
from pytest_smartattend.postgres.server import Server

Connection = psycopg.Connection[tuple[object, ...]]
Insert = Callable[[Connection, int], None]


@pytest.fixture
def proxy(postgres: Server) -> Iterator[TcpProxy]:
    with TcpProxy(postgres.address, name="database", seed=5, exchange=postgres_answers) as proxy:
        yield proxy


@pytest.fixture
def truth(database: Database) -> Iterator[Connection]:
    """A connection that does not pass the proxy."""
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute("create table kept (id integer primary key, text text)")
        yield connection


@pytest.fixture
def through(proxy: TcpProxy, database: Database) -> Callable[[], Connection]:
    """Open a connection through the proxy."""
    host, port = proxy.address

    def connect() -> Connection:
        return psycopg.connect(database.dsn, host=host, port=port, autocommit=True, connect_timeout=10)

    return connect


def simple(connection: Connection, number: int) -> None:
    connection.execute(f"insert into kept values ({number})".encode(), prepare=False)


def extended(connection: Connection, number: int) -> None:
    connection.execute("insert into kept values (%s) returning id", [number]).fetchone()


def prepared(connection: Connection, number: int) -> None:
    connection.execute("insert into kept values (%s)", [number], prepare=True)


def in_a_transaction(connection: Connection, number: int) -> None:
    with connection.transaction():
        connection.execute("insert into kept values (%s)", [number])
        connection.execute("update kept set text = 'x' where id = %s", [number])


def in_a_pipeline(connection: Connection, number: int) -> None:
    with connection.pipeline():
        connection.execute("insert into kept values (%s)", [number])


def in_one_query(connection: Connection, number: int) -> None:
    connection.execute(f"begin; insert into kept values ({number}); commit".encode())


WAYS: list[Insert] = [simple, extended, prepared, in_a_transaction, in_a_pipeline, in_one_query]


def ids(truth: Connection) -> list[object]:
    return [row[0] for row in truth.execute("select id from kept order by id")]


@pytest.mark.parametrize("insert", WAYS)
def test_a_lost_acknowledgement_leaves_a_committed_row(
    insert: Insert, proxy: TcpProxy, through: Callable[[], Connection], truth: Connection
) -> None:
    with closing(through()) as opened:
        insert(opened, 1)
        with proxy.fault(AckLoss()) as held:
            with pytest.raises(psycopg.OperationalError):
                insert(opened, 2)
            with closing(through()) as new, pytest.raises(psycopg.OperationalError):
                insert(new, 3)
            assert ids(truth) == [1, 2, 3]
            assert held.fired == 2
    with closing(through()) as after:
        insert(after, 4)
    assert ids(truth) == [1, 2, 3, 4]


def test_what_was_not_committed_is_answered(
    proxy: TcpProxy, through: Callable[[], Connection], truth: Connection
) -> None:
    with proxy.fault(AckLoss(), may_not_fire=True) as held, closing(through()) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (0,)
        with suppress(ZeroDivisionError), connection.transaction():
            connection.execute("insert into kept values (1)")
            raise ZeroDivisionError
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("insert into kept values (1), (1)")
        rows = connection.execute("select repeat('COMMIT', n) from generate_series(1, 2000) n").fetchall()
        assert [len(str(row[0])) for row in rows] == [6 * n for n in range(1, 2001)]
    assert held.fired == 0
    assert ids(truth) == []


def test_with_times_the_retry_comes_through(
    proxy: TcpProxy, through: Callable[[], Connection], truth: Connection
) -> None:
    with proxy.fault(AckLoss(times=1)):
        with closing(through()) as first, pytest.raises(psycopg.OperationalError):
            extended(first, 1)
        with closing(through()) as retry, pytest.raises(psycopg.errors.UniqueViolation):
            extended(retry, 1)
    assert ids(truth) == [1]


def test_other_faults_in_front_do_not_hide_the_acknowledgement(
    proxy: TcpProxy, through: Callable[[], Connection], truth: Connection
) -> None:
    with (
        proxy.fault(Slicer(3, direction="both")),
        proxy.fault(AckLoss()),
        closing(through()) as connection,
        pytest.raises(psycopg.OperationalError),
    ):
        extended(connection, 1)
    assert ids(truth) == [1]


def test_a_fault_that_lost_nothing_says_what_may_be_in_its_way(
    proxy: TcpProxy, through: Callable[[], Connection]
) -> None:
    with pytest.raises(FaultNeverFired, match="sslmode=disable"), proxy.fault(AckLoss()):
        through().close()


@pytest.mark.parametrize("fault", [Down(), Silence(100 * MILLISECOND)], ids=lambda fault: fault.kind)
def test_a_driver_loses_its_connection_and_gets_a_new_one_afterwards(
    fault: Fault, proxy: TcpProxy, through: Callable[[], Connection], truth: Connection
) -> None:
    with closing(through()) as opened:
        simple(opened, 1)
        with proxy.fault(fault):
            with pytest.raises(psycopg.OperationalError):
                simple(opened, 2)
            with pytest.raises(psycopg.OperationalError):
                through()
    with closing(through()) as again:
        simple(again, 3)
    assert ids(truth) == [1, 3]


def test_a_silent_database_is_felt_by_a_driver_with_a_deadline(
    proxy: TcpProxy, through: Callable[[], Connection], truth: Connection
) -> None:
    with closing(through()) as opened, proxy.fault(Silence()):
        host, port = proxy.address
        with pytest.raises(psycopg.OperationalError, match="timeout"):
            psycopg.connect(host=host, port=port, user="postgres", connect_timeout=2)
        opened.close()
    assert ids(truth) == []


def test_a_hundred_thousand_rows_pass_unharmed_through_slices_and_delay(
    proxy: TcpProxy, through: Callable[[], Connection], truth: Connection
) -> None:
    assert ids(truth) == []
    with proxy.fault(Latency(MILLISECOND, MILLISECOND)), proxy.fault(Slicer(1000)), closing(through()) as connection:
        rows = connection.execute("select n, md5(n::text) from generate_series(1, 100000) n").fetchall()
        sums = connection.execute(
            "select md5(string_agg(md5(n::text), '')) from generate_series(1, 100000) n"
        ).fetchone()
        again = connection.execute("select md5(%s)", ["".join(str(row[1]) for row in rows)]).fetchone()
    assert sums == again
