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
