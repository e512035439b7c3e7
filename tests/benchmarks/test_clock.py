"""The clock beside looptime, aiotools and trio's MockClock: interleaved rounds, medians, ratios.

The peers are measured where they are installed and left out by name where they are not. They are not in the ``dev``
extra: looptime brings a pytest plugin that patches loops. Put them in a folder of their own and name it:
``pip install --target=PEERS looptime aiotools trio`` and ``PYTHONPATH=PEERS make bench``.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import socket
import statistics
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from importlib.util import find_spec
from typing import Any

import psycopg
import pytest

from pytest_smartattend.engine.dice import Stream
from pytest_smartattend.loop.clock import LoopClock
from pytest_smartattend.postgres.server import Database

SLEEPS = 20_000
ROUNDS = 5
ROUND_TRIPS = 1000
CONNECTIONS = 10

# The peers leave loops and sockets open when a query of theirs is cut off.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

Run = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


def ours(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    LoopClock().run(main())


def looptime_runner() -> Run:
    looptime = importlib.import_module("looptime")

    def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        with asyncio.Runner(loop_factory=lambda: looptime.patch_event_loop(asyncio.SelectorEventLoop())) as runner:
            runner.run(main())

    return run


def aiotools_runner() -> Run:
    aiotools = importlib.import_module("aiotools")

    def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def patched() -> None:
            with aiotools.VirtualClock().patch_loop():
                await main()

        asyncio.run(patched())

    return run


def asyncio_peers() -> dict[str, Run]:
    found: dict[str, Run] = {"ours": ours}
    if find_spec("looptime"):
        found["looptime"] = looptime_runner()
    if find_spec("aiotools"):
        found["aiotools.VirtualClock"] = aiotools_runner()
    return found


def absent() -> str:
    names = [name for name in ("looptime", "aiotools", "trio") if not find_spec(name)]
    return f"\nNot installed, and left out: {', '.join(names)}.\n" if names else ""


async def one_task() -> None:
    for _ in range(SLEEPS):
        await asyncio.sleep(1)


async def a_hundred_tasks() -> None:
    async def some() -> None:
        for _ in range(SLEEPS // 100):
            await asyncio.sleep(1)

    await asyncio.gather(*(some() for _ in range(100)))


def trio_sleeps(tasks: int, sleeps: int, threshold: float) -> Callable[[], None]:
    trio = importlib.import_module("trio")
    testing = importlib.import_module("trio.testing")

    async def main() -> None:
        async def some() -> None:
            for _ in range(sleeps // tasks):
                await trio.sleep(1)

        async with trio.open_nursery() as nursery:
            for _ in range(tasks):
                nursery.start_soon(some)

    return lambda: trio.run(main, clock=testing.MockClock(autojump_threshold=threshold))


def rates(run: Callable[[], None], sleeps: int) -> tuple[float, float]:
    """Sleeps in a second of this process's time, and of the wall's: other work on the machine slows the second only."""
    began, worked = time.perf_counter(), time.process_time()
    run()
    return sleeps / (time.process_time() - worked), sleeps / (time.perf_counter() - began)


def test_virtual_sleeps_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    cases: dict[tuple[str, str], tuple[Callable[[], None], int]] = {}
    for name, run in asyncio_peers().items():
        for shape, main in (("1 task", one_task), ("100 tasks", a_hundred_tasks)):
            cases[name, shape] = (lambda run=run, main=main: run(main)), SLEEPS  # type: ignore[misc]
    if find_spec("trio"):
        for shape, tasks in (("1 task", 1), ("100 tasks", 100)):
            cases["trio MockClock, threshold 0", shape] = trio_sleeps(tasks, SLEEPS, 0), SLEEPS
        cases["trio MockClock, threshold 1 ms", "1 task"] = trio_sleeps(1, 500, 0.001), 500
    seen: dict[tuple[str, str], list[tuple[float, float]]] = {case: [] for case in cases}
    for _ in range(ROUNDS):
        for case, (sleep, sleeps) in cases.items():
            seen[case].append(rates(sleep, sleeps))
    lines = [
        "| clock | shape | sleeps in a CPU second, median | min - max | to ours | in a second on the wall, median |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for (name, shape), pairs in seen.items():
        cpu, wall = (sorted(column) for column in zip(*pairs, strict=True))
        to_ours = statistics.median(cpu) / statistics.median(pair[0] for pair in seen["ours", shape])
        lines.append(
            f"| {name} | {shape} | {statistics.median(cpu):,.0f} | {cpu[0]:,.0f} - {cpu[-1]:,.0f} | {to_ours:.2f} "
            f"| {statistics.median(wall):,.0f} |"
        )
    with capsys.disabled():
        print("\n\n" + "\n".join(lines) + "\n" + absent())


def round_trips(dsn: str, failed: list[int]) -> Callable[[], Coroutine[Any, Any, None]]:
    """1,000 queries that take 0 to 50 ms each, ten at a time, with a virtual minute between tens, each within 5 s."""
    delays = Stream(1, "server delay")

    async def ask(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
        try:
            async with asyncio.timeout(5):
                await connection.execute("select pg_sleep(%s)", [delays.uniform() * 0.05])
        except (TimeoutError, psycopg.Error):
            failed.append(1)

    async def main() -> None:
        connect = psycopg.AsyncConnection.connect
        connections = [await connect(dsn, autocommit=True) for _ in range(CONNECTIONS)]
        for _ in range(ROUND_TRIPS // CONNECTIONS):
            await asyncio.sleep(60)
            await asyncio.gather(*map(ask, connections))
        for connection in connections:
            await connection.close()

    return main


def trio_round_trips(threshold: float, failed: list[int]) -> Callable[[], None]:
    """The same through trio, which has no driver for PostgreSQL: an echoing socket that takes as long to answer."""
    trio = importlib.import_module("trio")
    testing = importlib.import_module("trio.testing")
    delays = Stream(1, "server delay")
    listening = socket.create_server(("127.0.0.1", 0), backlog=64)

    def answer(connection: Any) -> None:
        with connection, contextlib.suppress(OSError):
            while connection.recv(1):
                threading.Event().wait(delays.uniform() * 0.05)
                connection.sendall(b"!")

    def accept() -> None:
        for _ in range(CONNECTIONS):
            peer, _ = listening.accept()
            threading.Thread(target=answer, args=(peer,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()

    async def ask(stream: Any) -> None:
        with trio.move_on_after(5) as scope:
            await stream.send_all(b"?")
            await stream.receive_some(1)
        if scope.cancelled_caught:
            failed.append(1)

    async def main() -> None:
        streams = [await trio.open_tcp_stream(*listening.getsockname()) for _ in range(CONNECTIONS)]
        for _ in range(ROUND_TRIPS // CONNECTIONS):
            await trio.sleep(60)
            async with trio.open_nursery() as nursery:
                for stream in streams:
                    nursery.start_soon(ask, stream)
        for stream in streams:
            await stream.aclose()

    def run() -> None:
        with listening:
            trio.run(main, clock=testing.MockClock(autojump_threshold=threshold))

    return run


def test_a_thousand_round_trips_between_virtual_sleeps(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["| clock | spurious timeouts of 1,000 | wall, s |", "| --- | ---: | ---: |"]
    for name, run in asyncio_peers().items():
        failed: list[int] = []
        began = time.perf_counter()
        try:
            run(round_trips(database.dsn, failed))
            outcome = str(len(failed))
        except (TimeoutError, psycopg.Error, OSError) as problem:
            outcome = f"{len(failed)}, then {type(problem).__name__}"
        lines.append(f"| {name}, psycopg | {outcome} | {time.perf_counter() - began:.1f} |")
        if name == "ours":
            assert not failed
    if find_spec("trio"):
        for threshold in (0, 0.001, 0.01, 0.05):
            failed = []
            began = time.perf_counter()
            trio_round_trips(threshold, failed)()
            took = time.perf_counter() - began
            lines.append(
                f"| trio MockClock, threshold {threshold * 1000:g} ms, TCP echo | {len(failed)} | {took:.1f} |"
            )
    gc.collect()  # what the peers left open, while it is not an error
    with capsys.disabled():
        print("\n\n" + "\n".join(lines) + "\n" + absent())


def test_twelve_stages_of_four_hours_on_the_loop_and_a_database(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    def run() -> float:
        clock = LoopClock()

        async def main() -> float:
            async with await psycopg.AsyncConnection.connect(database.dsn, autocommit=True) as connection:
                began = time.perf_counter()
                for _ in range(12):
                    await clock.sleep(timedelta(minutes=20))
                    async with asyncio.timeout(5):
                        await connection.execute("select 1")
                return time.perf_counter() - began

        took = clock.run(main())
        assert clock.elapsed == timedelta(hours=4)
        return took

    seconds = sorted(run() for _ in range(30))
    median = statistics.median(seconds)
    with capsys.disabled():
        print(
            f"\n\n4 h in 12 stages, one query each: median {median * 1000:.1f} ms ({seconds[0] * 1000:.1f} - "
            f"{seconds[-1] * 1000:.1f}), {4 * 3600 / median:,.0f} times real time\n"
        )


@pytest.mark.parametrize("factor", [60, 600])
def test_lateness_of_timers_on_a_scaled_clock(factor: int, capsys: pytest.CaptureFixture[str]) -> None:
    clock = LoopClock(mode="scaled", factor=factor)
    late: list[float] = []

    async def wait(moment: Callable[[], Awaitable[None]], due: timedelta) -> None:
        await moment()
        late.append((clock.elapsed - due).total_seconds())

    async def main() -> None:
        dice = Stream(1, "timers")
        dues = [timedelta(seconds=1 + dice.uniform() * 2 * factor) for _ in range(200)]
        await asyncio.gather(*(wait(lambda due=due: clock.sleep_until(clock.start + due), due) for due in dues))  # type: ignore[misc]

    clock.run(main())
    late.sort()
    with capsys.disabled():
        print(
            f"\n\n{factor}x, 200 timers in 2 s: simulated seconds late, median {statistics.median(late):.3f}, "
            f"p95 {late[int(len(late) * 0.95)]:.3f}, most {late[-1]:.3f}\n"
        )
