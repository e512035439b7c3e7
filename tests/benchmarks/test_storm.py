"""The storm generator beside wrk and httpx: one run, rounds interleaved, medians. Printed, never asserted.

The figures go to ``docs/reference/benchmarks-storms.md``.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from pytest_smartattend.engine.units import MILLISECOND
from pytest_smartattend.postgres.pool import Database
from pytest_smartattend.trials.requests import Request
from pytest_smartattend.trials.storm import Storm

ROUNDS = 9
CONNECTIONS = 50
STORMS = 20
DUPLICATES = 10_000
BODY = '{"name": "the same every time"}'
LUA = f"""
wrk.method = "POST"
wrk.body = '{BODY}'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Idempotency-Key"] = "k"
"""


@contextmanager
def platform(dsn: str, workers: int) -> Iterator[str]:
    """`storm_platform` with `workers` processes; its URL once it answers."""
    program = Path(__file__).parents[1] / "contract" / "storm_platform.py"
    with subprocess.Popen(
        [sys.executable, str(program), dsn, str(workers)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            url = f"http://127.0.0.1:{process.stdout.readline().strip()}"
            Storm(url).closed([submission("noop")] * 500, workers=CONNECTIONS)
            yield url
        finally:
            process.terminate()


def submission(kind: str) -> Request:
    name = uuid.uuid4().hex
    return Request("POST", f"/{kind}", body={"name": name}, key=name, idempotency_key=name)


def rate_of_ours(url: str, cpu: list[float]) -> float:
    count = 4_000
    began = time.process_time()
    result = Storm(url).closed([submission("noop")] * count, workers=CONNECTIONS)
    cpu.append((time.process_time() - began) / count * 1e6)
    assert result.replies == {"201": count}
    return count / result.seconds


def rate_of_wrk(url: str, script: Path) -> float:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", "-d1s", "-s", str(script), f"{url}/api/noop"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"Requests/sec:\s+([\d.]+)", ran.stdout)
    assert found is not None
    return float(found[1])


def rate_of_httpx(url: str) -> float:
    count = 200

    async def ask() -> float:
        async with httpx.AsyncClient(base_url=url, limits=httpx.Limits(max_connections=CONNECTIONS)) as http:
            headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
            began = time.perf_counter()
            await asyncio.gather(
                *(http.post("/api/noop", content=BODY, headers=headers, timeout=60) for _ in range(count))
            )
            return count / (time.perf_counter() - began)

    return asyncio.run(ask())


def test_the_rate_beside_wrk_and_httpx(database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "post.lua"
    script.write_text(LUA)
    cpu: list[float] = []
    with platform(database.dsn, 1) as url:
        ways: dict[str, Callable[[], float]] = {"smartattend": lambda: rate_of_ours(url, cpu)}
        if shutil.which("wrk"):
            ways["wrk"] = lambda: rate_of_wrk(url, script)
        ways["httpx"] = lambda: rate_of_httpx(url)
        names = list(ways)
        seen: dict[str, list[float]] = {name: [] for name in names}
        for turn in range(ROUNDS):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                seen[name].append(ways[name]())
    with capsys.disabled():
        print(f"\nMedians of {ROUNDS} interleaved rounds, {CONNECTIONS} connections, one process of uvicorn.")
        print("| generator | requests/s | best round | ours ÷ it |\n| --- | ---: | ---: | ---: |")
        for name, rates in seen.items():
            ratio = statistics.median(a / b for a, b in zip(seen["smartattend"], rates, strict=True))
            print(f"| {name} | {statistics.median(rates):.0f} | {max(rates):.0f} | {ratio:.2f} |")
        print(f"Our CPU: {statistics.median(cpu):.0f} µs a request, {min(cpu):.0f} in the best round.")
        if "wrk" not in ways:
            print("wrk is not installed (Debian: apt-get install wrk): not measured")


def test_how_many_are_inside_at_once(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    with platform(database.dsn, 3) as url:
        results = [Storm(url).last_byte([submission("noop")] * 200) for _ in range(STORMS)]
    inside = [result.inside for result in results]
    seconds = statistics.median(result.seconds for result in results)
    with capsys.disabled():
        print(f"\nInside at once, of 200, in {STORMS} storms: {sorted(set(inside), key=str)}; {seconds:.3f} s a storm.")


def test_how_often_a_race_is_found(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    def found(send: Callable[[Request], object], kind: str) -> int:
        caught = 0
        for _ in range(STORMS):
            request = submission(kind)
            send(request)
            row = connection.execute("select count(*) from records where name = %s", (request.key,)).fetchone()
            caught += row is not None and row[0] > 1
        return caught

    with platform(database.dsn, 3) as url, psycopg.connect(database.dsn, autocommit=True) as connection:
        storm = Storm(url)
        ways: dict[str, Callable[[Request], object]] = {
            "last byte": lambda request: storm.last_byte([request] * 50),
            "closed, 50 workers": lambda request: storm.closed([request] * 50, workers=50),
            "one by one": lambda request: storm.closed([request] * 50, workers=1),
        }
        kinds = ("select-then-insert", "key-before-body")
        rows = [(name, [found(send, kind) for kind in kinds]) for name, send in ways.items()]
    with capsys.disabled():
        print(f"\nStorms of 50 duplicates that found the race, of {STORMS}; no fault on the path to the database.")
        print(f"| way | {' | '.join(kinds)} |\n| --- | ---: | ---: |")
        for name, caught in rows:
            print(f"| {name} | {' | '.join(map(str, caught))} |")


def test_ten_thousand_duplicates(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    with platform(database.dsn, 2) as url:
        results = [Storm(url).closed([submission("sound")] * DUPLICATES, CONNECTIONS) for _ in range(3)]
    seconds = sorted(result.seconds for result in results)
    with capsys.disabled():
        print(f"\n{DUPLICATES} duplicates to one row: {seconds[1]:.1f} s, best {seconds[0]:.1f} s of 3.")


def test_how_late_an_open_storm_is(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    with platform(database.dsn, 1) as url:
        result = Storm(url).open([submission("noop")] * 1_000, per_second=500)
    late = [result.late.percentile(percent) / MILLISECOND for percent in (50, 99)]
    with capsys.disabled():
        print(
            f"\nOpen storm, 500/s: begun {late[0]:.2f} ms late (p50), {late[1]:.2f} ms (p99); {result.dropped} dropped."
        )
