"""`now()` of a real database on a virtual clock: in every session, without a change to the SQL."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import psycopg
import pytest

from pytest_smartattend.errors import ClockError
from pytest_smartattend.loop.clock import LoopClock
from pytest_smartattend.postgres.choosing import Wanted
from pytest_smartattend.postgres.database_clock import DatabaseClock
from pytest_smartattend.postgres.pool import Database
from pytest_smartattend.postgres.schema import EmptySchema
from pytest_smartattend.postgres.server import Server
from pytest_smartattend.postgres.standalone import throwaway
from pytest_smartattend.target.reference_schema import ReferenceSchema

HOUR = timedelta(hours=1)
#: every way in which a row can get its time from the database
STAMPED = """
create table stamped (
  who text not null,
  by_default timestamptz not null default now(),
  by_word timestamptz not null default current_timestamp,
  to_the_second timestamptz(0) not null default current_timestamp(0),
  local timestamp not null default localtimestamp,
  day date not null default current_date + 1,
  hour time not null default localtime,
  by_trigger timestamptz,
  by_function timestamptz
);
create function stamp() returns trigger language plpgsql as $$
begin
  new.by_trigger := now();
  new.by_function := clock_timestamp();
  return new;
end $$;
create trigger stamp before insert on stamped for each row execute function stamp();
create view since as select who, now() - by_default as age from stamped;
create domain moment as timestamptz default current_timestamp;
"""
READINGS = "select now(), transaction_timestamp(), statement_timestamp(), clock_timestamp()"


@pytest.fixture
def reference_database(postgres: Server) -> Database:
    return postgres.pool(ReferenceSchema()).take()


@contextmanager
def session(database: Database, user: str | None = None) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database.dsn_as(user) if user else database.dsn, autocommit=True) as connection:
        yield connection


def one(connection: psycopg.Connection[Any], query: LiteralString) -> Any:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row if len(row) > 1 else row[0]


def test_all_readings_are_the_clocks_to_the_microsecond_in_sessions_old_and_new(database: Database) -> None:
    clock = LoopClock(datetime(1969, 12, 31, 23, 59, 59, 999_983, tzinfo=UTC))
    with session(database) as old:
        for _ in range(8):  # long enough for psycopg to prepare it, with the server's own clock in its plan
            assert one(old, "select now()").year >= 2026
        made = DatabaseClock(database, clock)
        clock.advance(HOUR)
        with made.following() as followed:
            for step in (timedelta(), timedelta(microseconds=1), HOUR, timedelta(days=20_000)):
                clock.advance(step)
                with session(database) as new:
                    assert {*one(old, READINGS), *one(new, READINGS)} == {clock.now()}
                assert one(old, "select now()") == followed.now() == clock.now()
            assert one(old, "select extract(year from timeofday()::timestamptz)::int") == clock.now().year
            midnight = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
            assert one(old, f"select age('{midnight - timedelta(days=3)}'::timestamptz)") == timedelta(days=3)


def test_defaults_triggers_views_and_copy_follow_and_words_in_defaults_are_rewritten(database: Database) -> None:
    clock = LoopClock()
    with session(database) as connection:
        connection.execute(STAMPED)
        with DatabaseClock(database, clock).following() as followed:
            clock.advance(HOUR + timedelta(microseconds=250))
            connection.execute("insert into stamped (who) values ('inserted')")
            with connection.cursor().copy("copy stamped (who) from stdin") as copy:
                copy.write_row(["copied"])
            columns = "by_default, by_word, to_the_second, local, day, hour, by_trigger, by_function"
            now = clock.now()
            local = now.replace(tzinfo=None)
            assert connection.execute(f"select {columns} from stamped").fetchall() == [
                (now, now, now.replace(microsecond=0), local, (now + timedelta(days=1)).date(), local.time(), now, now)
            ] * 2  # fmt: skip
            clock.advance(HOUR)
            assert connection.execute("select distinct age from since").fetchall() == [(HOUR,)]
            connection.execute("create temp table one (at moment)")
            assert one(connection, "insert into one values (default) returning at") == clock.now()
    assert set(followed.rewritten) == {
        "moment", "stamped.by_word", "stamped.to_the_second", "stamped.local", "stamped.day", "stamped.hour",
    }  # fmt: skip


def test_the_unprivileged_role_follows_also_in_a_session_of_before(reference_database: Database) -> None:
    clock = LoopClock()
    with (
        session(reference_database, "smartattend_app") as old,
        DatabaseClock(reference_database, clock).following(),
        session(reference_database, "smartattend_app") as new,
    ):
        clock.advance(HOUR)
        assert {*one(old, READINGS), *one(new, READINGS)} == {clock.now()}
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            old.execute("select setval('smartattend_clock.reading', 1)")


@pytest.mark.parametrize("isolation", list(psycopg.IsolationLevel))
def test_within_a_transaction_now_is_what_it_was_at_its_begin(
    database: Database, isolation: psycopg.IsolationLevel
) -> None:
    clock = LoopClock()
    with session(database) as connection, DatabaseClock(database, clock).following():
        connection.isolation_level = isolation
        clock.advance(HOUR)
        with connection.transaction():
            began = one(connection, "select now()")
            for _ in range(3):
                clock.advance(HOUR)
                said = one(
                    connection, "select now(), transaction_timestamp(), statement_timestamp(), clock_timestamp()"
                )
                assert said == (began, began, clock.now(), clock.now())
        assert began == clock.start + HOUR
        assert one(connection, "select now()") == clock.start + 4 * HOUR


@pytest.mark.asyncio
async def test_application_and_database_never_differ_while_many_act(database: Database, clock: LoopClock) -> None:
    differences: list[timedelta] = []

    async def act(connection: psycopg.AsyncConnection[Any], pause: int) -> None:
        for _ in range(20):
            await asyncio.sleep(pause)
            row = await (await connection.execute(READINGS)).fetchone()
            differences.extend(reading - clock.now() for reading in row or ())

    with DatabaseClock(database, clock).following():
        connect = psycopg.AsyncConnection.connect
        connections = [await connect(database.dsn, autocommit=True) for _ in range(7)]
        await asyncio.gather(*(act(each, 7 + number) for number, each in enumerate(connections)))
        for each in connections:
            await each.close()
    assert differences == [timedelta()] * 7 * 20 * 4


def test_in_60x_it_runs_as_fast_as_the_clock(database: Database) -> None:
    clock = LoopClock(mode="scaled", factor=60)
    with session(database) as connection, DatabaseClock(database, clock).following() as followed:
        for _ in range(5):
            before, told, after = clock.now(), one(connection, READINGS), clock.now()
            assert before - timedelta(seconds=3) < min(told) <= max(told) < after + timedelta(seconds=3)
            connection.execute("select pg_sleep(0.05)")
        assert followed.now() > clock.start + timedelta(seconds=15)
        with connection.transaction():
            assert one(connection, "select now()") == one(connection, "select now()")


def test_in_real_time_nothing_is_changed(database: Database) -> None:
    with DatabaseClock(database, LoopClock(mode="real")).following() as followed, session(database) as connection:
        assert one(connection, "select to_regnamespace('smartattend_clock')") is None
        assert followed.unfollowed() == []


def test_who_is_no_superuser_is_refused_with_advice(reference_database: Database) -> None:
    unprivileged = dataclasses.replace(reference_database, dsn=reference_database.dsn_as("smartattend_app"))
    with pytest.raises(
        ClockError, match=r"only be replaced by a superuser, and smartattend_app is none\. Give a server"
    ):
        DatabaseClock(unprivileged, LoopClock())


def test_a_second_clock_on_one_database_is_refused(database: Database) -> None:
    with DatabaseClock(database, LoopClock()).following(), pytest.raises(ClockError, match="Take a fresh database"):
        DatabaseClock(database, LoopClock())


ASKING = """
create table "Odd name" (at timestamptz, day date, check (day <= current_date));
alter table "Odd name" enable row level security;
create policy recent on "Odd name" using (at > localtimestamp);
create view today as select current_date as day;
create function asks() returns timestamptz language sql as 'select /* now() */ current_timestamp';
create function asks_by_string() returns timestamptz language plpgsql as $$ begin return 'now'::timestamptz; end $$;
create function behaves() returns timestamptz language sql as $$ select now() -- not current_timestamp $$;
create function stamp() returns trigger language plpgsql as 'begin return new; end';
create trigger late before insert on "Odd name" for each row when (new.day > current_date) execute function stamp();
"""


def test_what_asks_the_servers_own_clock_is_found_by_name(database: Database) -> None:
    with session(database) as connection, DatabaseClock(database, LoopClock()).following() as followed:
        assert followed.unfollowed() == []
        connection.execute(ASKING)
        connection.execute("create table later (at timestamptz default current_timestamp)")  # after the rewriting
        assert followed.unfollowed() == [
            """constraint "Odd name_day_check" of "Odd name": CURRENT_DATE""",
            "default of later.at: CURRENT_TIMESTAMP",
            "function asks(): CURRENT_TIMESTAMP",
            "function asks_by_string(): 'now'",
            """policy recent of "Odd name": LOCALTIMESTAMP""",
            """trigger late of "Odd name": CURRENT_DATE""",
            "view today: CURRENT_DATE",
        ]


def test_statements_that_asked_it_are_found_where_the_server_counts_them() -> None:
    with throwaway(Wanted(extensions=("pg_stat_statements",))) as server:
        database = server.pool(EmptySchema()).take()
        with session(database) as connection, DatabaseClock(database, LoopClock()).following() as followed:
            for name in ("a", "b"):
                connection.execute(f"select '{name}',  current_timestamp - interval '1 day'".encode())
            connection.execute("select now()")
            assert followed.unfollowed() == ["query 'select $1, current_timestamp - interval $2': CURRENT_TIMESTAMP"]
            assert one(connection, "select to_regclass('pg_stat_statements')") is None
