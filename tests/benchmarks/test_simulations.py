"""Simulations on the reference platform in this process, over a real PostgreSQL, and the database's clock."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from datetime import timedelta

import psycopg
import pytest

from pytest_smartattend.loop.clock import LoopClock
from pytest_smartattend.postgres.database_clock import DatabaseClock
from pytest_smartattend.postgres.server import Database, Server
from pytest_smartattend.target.client import Operation
from pytest_smartattend.target.in_process import InProcessPlatform
from pytest_smartattend.target.reference_schema import ReferenceSchema
from pytest_smartattend.trials.week import WEEK, Week

RUNS = 20
INCIDENTS = 10
REPEATED = 50
STAGES = 12
READINGS = 1000
CALLS = 100_000


def ignored(_operation: Operation) -> None:
    pass


def spread(seconds: list[float]) -> str:
    """Median and range in milliseconds."""
    return f"{statistics.median(seconds) * 1000:.0f} ms ({min(seconds) * 1000:.0f} - {max(seconds) * 1000:.0f})"


def test_four_hours_in_twelve_stages_over_the_api(postgres: Server, capsys: pytest.CaptureFixture[str]) -> None:
    wall, cpu = [], []
    for _ in range(RUNS):
        clock = LoopClock()
        platform = InProcessPlatform(postgres.pool(ReferenceSchema()).take(), clock)
        tenant = platform.seed("school", ignored)
        began, worked = time.perf_counter(), time.process_time()
        incident = tenant.staff.report(severity="low").must()
        for stage in range(1, STAGES):
            platform.sleep_until(clock.start + stage * timedelta(hours=4) / (STAGES - 1))
            tenant.admin.part(incident["id"], "sla").must()
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - worked)
        assert clock.elapsed == timedelta(hours=4)
        platform.close()
    with capsys.disabled():
        print(
            f"\n\n4 h in {STAGES} stages over the API in process, two workers: {spread(wall)} on the wall, {spread(cpu)} of "
            f"this process; {4 * 3600 / statistics.median(wall):,.0f} times real time. Aim: 100 ms.\n"
        )


def test_fifty_runs_give_the_same_digest(postgres: Server, capsys: pytest.CaptureFixture[str]) -> None:
    week, digests, wall = Week(INCIDENTS, 1), set(), []
    for seed in range(REPEATED):
        clock = LoopClock(seed=seed)
        platform = InProcessPlatform(postgres.pool(ReferenceSchema()).take(), clock)
        tenant = platform.seed("school", ignored)
        began = time.perf_counter()
        ids = week.live(platform, tenant)
        wall.append(time.perf_counter() - began)
        digests.add(week.digest(week.timelines(platform, tenant, ids)))
        assert clock.elapsed > WEEK
        platform.close()
    with capsys.disabled():
        print(
            f"\n\nA week of {INCIDENTS} incidents, {len(week.deeds)} requests: {len(digests)} digest of {REPEATED} runs "
            f"under as many seeds; {spread(wall)}\n"
        )


def test_all_simulations_together(capsys: pytest.CaptureFixture[str]) -> None:
    words = [sys.executable, "-m", "pytest", "--pyargs", "pytest_smartattend.suites.simulations", "-q", "-n0"]
    words += ["--smartattend-target=reference", "--durations=0", "-p", "no:cacheprovider"]
    began = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    assert done.returncode == 0, done.stdout[-2000:]
    calls = [line for line in done.stdout.splitlines() if " call " in line]
    inside = sum(float(line.split("s ")[0]) for line in calls)
    with capsys.disabled():
        print(f"\n\nAll {len(calls)} simulations: {inside:.1f} s, {took:.1f} s with pytest's start. Aim: 5 s.\n")
        print("\n".join(calls))


def test_the_databases_clock(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    names = ("now()", "statement_timestamp()", "clock_timestamp()")

    def cost(connection: psycopg.Connection[tuple[object, ...]], name: str) -> float:
        """Microseconds of one call, less what counting alone takes."""
        found = []
        for moment in (name, "'epoch'::timestamptz"):
            counting = f"select count(*) from generate_series(1, {CALLS}) g where {moment} <> to_timestamp(g)"
            began = time.perf_counter()
            connection.execute(counting.encode())
            found.append(time.perf_counter() - began)
        return (found[0] - found[1]) / CALLS * 1e6

    clock = LoopClock()
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        before = {name: cost(connection, name) for name in names}
        began = time.perf_counter()
        with DatabaseClock(database, clock).following():
            installed = time.perf_counter() - began
            moves, largest = 0.0, timedelta()
            for _ in range(READINGS):
                began = time.perf_counter()
                clock.advance(timedelta(seconds=7, microseconds=13))
                moves += time.perf_counter() - began
                row = connection.execute("select now(), clock_timestamp()").fetchone()
                assert row is not None
                largest = max(largest, *(abs(told - clock.now()) for told in row))
            after = {name: cost(connection, name) for name in names}
    with capsys.disabled():
        print(
            f"\n\nThe database's clock: {largest / timedelta(microseconds=1):.0f} µs from the application's at most in "
            f"{READINGS} readings; {installed * 1000:.0f} ms to begin, {moves / READINGS * 1e6:.0f} µs a move\n\n"
            "| call | PostgreSQL's own, µs | virtual, µs |\n| --- | ---: | ---: |\n"
            + "\n".join(f"| {name} | {before[name]:.2f} | {after[name]:.2f} |" for name in names)
            + "\n"
        )
