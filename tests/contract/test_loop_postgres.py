"""The clock and a real PostgreSQL: no round trip is jumped past, and runs repeat."""

from __future__ import annotations

import asyncio
import select
import time
from datetime import timedelta

import psycopg
import pytest

from pytest_smartattend.engine.deadlines import Ties
from pytest_smartattend.engine.dice import Stream
from pytest_smartattend.errors import ClockStall
from pytest_smartattend.evidence.stopwatch import monotonic_ns
from pytest_smartattend.loop import idle
from pytest_smartattend.loop.clock import LoopClock
from pytest_smartattend.loop.driven import GUARD
from pytest_smartattend.postgres.server import Database
from tests.contract.loop_peer import SECOND_NS

ROUND_TRIPS = 1000
CONNECTIONS = 10


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a busy machine does not answer within a second is not silent."""
    monkeypatch.setattr(idle, "_PATIENCE_NS", 30 * SECOND_NS)


def test_a_thousand_slow_answers_between_virtual_sleeps_never_run_into_a_timeout(database: Database) -> None:
    clock = LoopClock()
    delays = Stream(1, "server delay")

    async def ask(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
        async with asyncio.timeout(5):
            await connection.execute("select pg_sleep(%s)", [delays.uniform() * 0.05])

    async def main() -> None:
        connect = psycopg.AsyncConnection.connect
        connections = [await connect(database.dsn, autocommit=True) for _ in range(CONNECTIONS)]
        for _ in range(ROUND_TRIPS // CONNECTIONS):
            await asyncio.sleep(60)
            await asyncio.gather(*map(ask, connections))
        for connection in connections:
            await connection.close()

    clock.run(main())
    assert clock.elapsed == timedelta(minutes=ROUND_TRIPS // CONNECTIONS)


@pytest.mark.asyncio
async def test_a_query_takes_no_virtual_time(database: Database, clock: LoopClock) -> None:
    async with await psycopg.AsyncConnection.connect(database.dsn, autocommit=True) as connection:
        await clock.sleep(timedelta(hours=1))
        before = clock.now_ns()
        await connection.execute("select pg_sleep(0.35)")  # longer than psycopg waits before it looks up
        assert clock.now_ns() == before


@pytest.mark.asyncio
async def test_what_is_due_right_behind_waits_for_the_query_however_slow_it_is(
    database: Database, clock: LoopClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle, "_PATIENCE_NS", 3 * SECOND_NS)  # more than one of the queries takes, and less than all
    woken: list[timedelta] = []

    async def sleep(duration: timedelta, *, last: bool) -> None:
        await clock.sleep(duration, last=last)
        woken.append(clock.elapsed)

    async with await psycopg.AsyncConnection.connect(database.dsn, autocommit=True) as connection:
        hour, soon = timedelta(hours=1), timedelta(microseconds=1)
        began = clock.elapsed
        async with asyncio.TaskGroup() as sleepers:
            sleepers.create_task(sleep(hour + soon, last=True))
            sleepers.create_task(sleep(hour + 2 * soon, last=False))
            await clock.sleep(hour)
            for _ in range(4):
                await connection.execute("select pg_sleep(0.9)")
            assert clock.elapsed - began == hour
    assert [at - began for at in woken] == [hour + soon, hour + 2 * soon]


@pytest.mark.asyncio
async def test_a_machine_that_stood_still_takes_nobody_for_silent(
    database: Database, clock: LoopClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    stood: list[float] = []
    wait = select.select

    def stand_still(reading: list[int], _writing: object, _failing: object, seconds: float) -> object:
        if seconds < 0.5 or stood:
            return wait(reading, [], [], seconds)
        stood.append(seconds)
        time.sleep(seconds + 0.6)
        return [], [], []

    monkeypatch.setattr(select, "select", stand_still)
    async with await psycopg.AsyncConnection.connect(database.dsn, autocommit=True) as connection:
        behind = asyncio.create_task(clock.sleep(timedelta(hours=1, microseconds=1)))
        await clock.sleep(timedelta(hours=1))
        began = clock.elapsed
        await connection.execute("select pg_sleep(2)")
        assert stood
        assert clock.elapsed == began
        await behind


@pytest.mark.asyncio
async def test_a_timer_from_before_the_query_is_its_timeout_when_it_stays_silent(
    database: Database, clock: LoopClock
) -> None:
    async with await psycopg.AsyncConnection.connect(database.dsn, autocommit=True) as connection:

        async def an_hour_later() -> None:
            await clock.sleep(timedelta(hours=1))
            await connection.execute("select pg_sleep(3600)")

        began = monotonic_ns()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(an_hour_later(), 3600.2)
        assert 1_000_000_000 <= monotonic_ns() - began < 25_000_000_000  # and not the guard's thirty seconds


@pytest.mark.asyncio
async def test_a_query_that_never_answers_runs_into_its_timeout_in_real_time(
    database: Database, clock: LoopClock
) -> None:
    async with await psycopg.AsyncConnection.connect(database.dsn, autocommit=True) as connection:
        began, virtual = monotonic_ns(), clock.elapsed
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await connection.execute("select pg_sleep(3600)")
        assert monotonic_ns() - began >= 500_000_000
        # psycopg asks the server to cancel, which is a round trip too and takes none of the clock's time
        assert timedelta(seconds=0.5) <= clock.elapsed - virtual < timedelta(seconds=5)


@pytest.mark.asyncio
async def test_a_query_that_never_answers_and_has_no_timeout_is_a_stall_that_names_it(
    database: Database, clock: LoopClock
) -> None:
    stalled = LoopClock()

    async def main() -> None:
        async with await psycopg.AsyncConnection.connect(database.dsn, autocommit=True) as connection:
            stalled.guard = timedelta(seconds=0.5)  # a busy server may take longer to let somebody in
            await connection.execute("select pg_sleep(3600) as forever")

    def run() -> None:
        with asyncio.Runner(loop_factory=stalled.new_loop) as runner:
            try:
                runner.run(main())
            finally:
                stalled.guard = GUARD  # or to cancel what it does

    with pytest.raises(ClockStall, match=r"(?s)socket \d+ .*to be read from.*main.*select pg_sleep\(3600\) as forever"):
        await asyncio.to_thread(run)


@pytest.mark.asyncio
async def test_a_connection_that_listens_is_idle_when_it_is_declared_so(database: Database, clock: LoopClock) -> None:
    heard: list[str] = []

    async def listen(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
        with clock.passive(connection):
            heard.extend([notice.payload async for notice in connection.notifies(stop_after=1)])

    async with (
        await psycopg.AsyncConnection.connect(database.dsn, autocommit=True) as listener,
        await psycopg.AsyncConnection.connect(database.dsn, autocommit=True) as speaker,
    ):
        await listener.execute("listen bell")
        listening = asyncio.create_task(listen(listener))
        await clock.sleep(timedelta(days=1))
        assert clock.elapsed >= timedelta(days=1)
        await speaker.execute("notify bell, 'rung'")
        with clock.busy("the bell is on its way"):
            await listening
    assert heard == ["rung"]


def run_of(database: Database, seed: int, ties: Ties = "seeded") -> tuple[list[str], list[str]]:
    """What seven actors did in four hours, in the order that they and the database saw."""
    clock = LoopClock(seed=seed, ties=ties)
    seen: list[str] = []

    async def actor(connection: psycopg.AsyncConnection[tuple[object, ...]], name: str) -> None:
        for step in range(1, 5):
            await clock.sleep_until(clock.start + timedelta(hours=step))
            await connection.execute("insert into events (who) values (%s)", [f"{name}{step}"])
            seen.append(f"{name}{step}")
            await asyncio.sleep(1)
            await connection.execute("insert into events (who) values (%s)", [f"{name}{step}+1"])
            seen.append(f"{name}{step}+1")

    async def main() -> list[str]:
        connect = psycopg.AsyncConnection.connect
        async with await connect(database.dsn, autocommit=True) as first:
            await first.execute("drop table if exists events")
            await first.execute("create table events (seq bigserial primary key, who text not null)")
            others = [await connect(database.dsn, autocommit=True) for _ in "abcdefg"]
            async with asyncio.TaskGroup() as actors:
                for connection, name in zip(others, "abcdefg", strict=True):
                    actors.create_task(actor(connection, name))
            for connection in others:
                await connection.close()
            rows = await (await first.execute("select who from events order by seq")).fetchall()
            return [str(row[0]) for row in rows]

    return seen, clock.run(main())


@pytest.mark.usefixtures("unhurried")
def test_fifty_runs_happen_in_the_same_order_in_the_application_and_in_the_database(database: Database) -> None:
    runs = {str(run_of(database, seed=7)) for _ in range(50)}
    assert len(runs) == 1
    application, stored = run_of(database, seed=7)
    assert application == stored
    assert len(stored) == 7 * 4 * 2


@pytest.mark.usefixtures("unhurried")
def test_another_seed_tries_another_order(database: Database) -> None:
    assert run_of(database, seed=7) != run_of(database, seed=8)
    as_set = run_of(database, seed=7, ties="as-set")
    assert as_set == run_of(database, seed=8, ties="as-set")
