"""The observer tells what was left behind from what is merely under way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import psycopg
import pytest

from pytest_smartattend import Database
from pytest_smartattend.errors import NotOffered
from pytest_smartattend.target import observer as observing
from pytest_smartattend.target.adapted import AdaptedObserver
from pytest_smartattend.target.observer import Observer


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observing, "PATIENCE", 0.5)


@pytest.mark.usefixtures("patient")
def test_a_transaction_that_stays_open_is_left_behind(database: Database) -> None:
    observer = Observer(database.dsn)
    with psycopg.connect(database.dsn) as forgotten:
        forgotten.execute("select 1")
        (left,) = observer.leftovers()
        assert (left["pid"], left["state"]) == (forgotten.info.backend_pid, "idle in transaction")
    observer.close()


@pytest.mark.usefixtures("patient")
def test_a_lock_that_stays_waited_for_is_left_behind(database: Database) -> None:
    observer = Observer(database.dsn)
    with psycopg.connect(database.dsn) as holder, psycopg.connect(database.dsn) as waiter:
        holder.execute("select pg_advisory_xact_lock(1)")
        thread = threading.Thread(target=waiter.execute, args=("select pg_advisory_xact_lock(1)",))
        thread.start()
        while len(observer._open_transactions()) < 2:
            observer.value("select pg_sleep(0.01)")
        left = observer.leftovers()
        holder.rollback()
        thread.join()
        waiter.rollback()
    assert "Lock" in {row["wait_event_type"] for row in left}
    observer.close()


def test_one_transaction_after_another_leaves_nothing_behind(database: Database) -> None:
    observer = Observer(database.dsn)
    done = threading.Event()

    def busy() -> None:
        with psycopg.connect(database.dsn) as connection:
            while not done.is_set():
                connection.execute("select 1")
                connection.rollback()

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        assert [observer.leftovers() for _ in range(20)] == [[]] * 20
    finally:
        done.set()
        thread.join()
        observer.close()


def test_at_a_gate_writers_wait_and_readers_pass(database: Database) -> None:
    observer = Observer(database.dsn)
    with psycopg.connect(database.dsn, autocommit=True) as writer, psycopg.connect(database.dsn) as reader:
        writer.execute("create table records (name text)")
        thread = threading.Thread(target=writer.execute, args=("insert into records values ('one')",))
        with observer.gate("records") as gathered:
            thread.start()
            assert gathered(1) == 1
            assert reader.execute("select count(*) from records").fetchone() == (0,)
            assert thread.is_alive()
        thread.join()
    assert observer.value("select count(*) from records") == 1
    observer.close()


def test_who_may_only_read_has_no_gate_and_waits_for_nobody(database: Database) -> None:
    with psycopg.connect(database.dsn, autocommit=True) as owner:
        owner.execute("create table records (name text)")
    observer = Observer(database.dsn)
    observer._connection.execute("set role pg_monitor")
    with observer.gate("records") as gathered, psycopg.connect(database.dsn, autocommit=True) as writer:
        writer.execute("insert into records values ('one')")
        assert gathered(2) == 0
    observer.close()


@pytest.fixture
def adapted(database: Database) -> Iterator[Callable[[dict[str, str]], AdaptedObserver]]:
    """Of a database in which the platform's cases lie beside what a migration tool keeps, by the real time."""
    with psycopg.connect(database.dsn, autocommit=True) as owner, ExitStack() as closing:
        owner.execute("create table cases (ref int, raised timestamptz)")
        owner.execute("insert into cases values (1, '2026-03-02T08:00:00Z')")
        owner.execute("create table migrations (name text, applied timestamptz default now())")
        owner.execute("insert into migrations values ('0001')")

        def make(records: dict[str, str]) -> AdaptedObserver:
            observer = AdaptedObserver(database.dsn, records)
            closing.callback(observer.close)
            return observer

        yield make


CASES = {"incidents": "select ref as id, raised as created_at from cases"}
MORNING = datetime(2026, 3, 2, 8, tzinfo=UTC)


def test_no_gate_is_offered_before_a_table_that_the_adapter_does_not_show(
    adapted: Callable[[dict[str, str]], AdaptedObserver],
) -> None:
    observer = adapted(CASES)
    with pytest.raises(NotOffered, match='does not offer records: relation "attendance" does not exist'):
        observer.gate("attendance").__enter__()
    assert observer.value("select count(*) from incidents") == 1, "the connection is good for more"


def test_a_gate_before_a_table_of_other_names_holds_its_writers(
    database: Database, adapted: Callable[[dict[str, str]], AdaptedObserver]
) -> None:
    observer = adapted(CASES)
    with psycopg.connect(database.dsn, autocommit=True) as writer:
        thread = threading.Thread(target=writer.execute, args=("insert into cases values (2, now())",))
        with observer.gate("incidents") as gathered:
            thread.start()
            assert gathered(1) == 1
        thread.join()


def test_moments_of_an_adapted_platform_are_those_of_its_records_alone(
    database: Database, adapted: Callable[[dict[str, str]], AdaptedObserver]
) -> None:
    assert adapted(CASES).moments() == {"incidents.created_at": [MORNING]}
    with psycopg.connect(database.dsn, autocommit=True) as owner:
        owner.execute("create table incidents (at timestamptz)")
        owner.execute("insert into incidents values ('2026-03-02T08:00:00Z')")
    assert adapted(CASES).moments() == {"incidents.created_at": [MORNING]}, "not what lies hidden under the name"
    assert adapted({}).moments() == {"incidents.at": [MORNING]}, "where the tables are the contract's own"
    whole = Observer(database.dsn)
    assert set(whole.moments()) == {"cases.raised", "incidents.at", "migrations.applied"}
    whole.close()


def test_records_without_any_moment_cannot_show_one_clock(
    adapted: Callable[[dict[str, str]], AdaptedObserver],
) -> None:
    with pytest.raises(NotOffered, match="records: a column of type timestamp with time zone"):
        adapted({"incidents": "select ref as id, raised::text as created_at from cases"}).moments()
