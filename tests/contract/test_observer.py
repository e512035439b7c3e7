"""The observer tells what was left behind from what is merely under way."""

from __future__ import annotations

import threading

import psycopg
import pytest

from pytest_smartattend import Database
from pytest_smartattend.target import observer as observing
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
