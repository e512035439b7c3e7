"""The storm has the power to find races, keeps what is known of each operation, and does not pass where nothing is."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pytest_smartattend.engine.checkers import exactly_once, nothing_invented, nothing_lost, same_id
from pytest_smartattend.engine.faults import Latency
from pytest_smartattend.engine.units import MILLISECOND
from pytest_smartattend.engine.verdicts import Verdict
from pytest_smartattend.errors import TargetFailed, UsageError
from pytest_smartattend.injectors.tcp_proxy import TcpProxy
from pytest_smartattend.postgres.schema import EmptySchema
from pytest_smartattend.postgres.server import Server
from pytest_smartattend.trials.overlap import release_together
from pytest_smartattend.trials.requests import Request
from pytest_smartattend.trials.retries import Retries
from pytest_smartattend.trials.storm import Storm
from pytest_smartattend.trials.storm_result import StormResult

STORMS = 20
DUPLICATES = 50
WORKERS = 3
BROKEN = ("select-then-insert", "key-before-body")
Rows = list[tuple[str, int]]


class Platform:
    """`storm_platform`, served by several processes over a database of its own."""

    def __init__(self, base_url: str, proxy: TcpProxy, connection: psycopg.Connection) -> None:
        self.base_url = base_url
        self.proxy = proxy
        self._connection = connection

    def rows(self, name: str) -> Rows:
        """What is stored under `name`, in either table."""
        found = self._connection.execute(
            "select name, id from records where name = %s union all select name, id from unique_records where name = %s",
            (name, name),
        )
        return [(key, row_id) for key, row_id in found]


@pytest.fixture(scope="module")
def platform(postgres: Server) -> Iterator[Platform]:
    pool = postgres.pool(EmptySchema())
    database = pool.take()
    with ExitStack() as closing:
        proxy = closing.enter_context(TcpProxy(postgres.address, name="database"))
        host, port = proxy.address
        dsn = make_conninfo(database.dsn, host=host, port=port, sslmode="disable", gssencmode="disable")
        program = [sys.executable, str(Path(__file__).with_name("storm_platform.py")), dsn, str(WORKERS)]
        process = closing.enter_context(subprocess.Popen(program, stdout=subprocess.PIPE, text=True))
        assert process.stdout is not None
        try:
            base_url = f"http://127.0.0.1:{process.stdout.readline().strip()}"
            with psycopg.connect(database.dsn, autocommit=True) as connection:
                Storm(base_url).closed([one("sound")], workers=1)  # the port listens before the workers are there
                yield Platform(base_url, proxy, connection)
        finally:
            process.terminate()
            process.wait()
    pool.give_back(database)


def one(kind: str) -> Request:
    """A submission of a record that nobody has asked for yet."""
    name = uuid.uuid4().hex
    return Request("POST", f"/{kind}", body={"name": name}, key=name, idempotency_key=name)


def rows_after_last_byte(platform: Platform, kind: str) -> int:
    request = one(kind)
    result = Storm(platform.base_url).last_byte([request] * DUPLICATES)
    assert result.inside == DUPLICATES
    rows = platform.rows(request.key)
    assert exactly_once(result.history, rows).holds is (len(rows) == 1)
    return len(rows)


def rows_after_one_by_one(platform: Platform, kind: str) -> int:
    request = one(kind)
    Storm(platform.base_url).closed([request] * DUPLICATES, workers=1)
    return len(platform.rows(request.key))


def test_last_byte_finds_a_select_before_an_insert_in_every_storm(platform: Platform) -> None:
    # a slower database keeps the race open until all are let go, on a machine that is busy elsewhere too
    with platform.proxy.fault(Latency(20 * MILLISECOND)):
        rows = [rows_after_last_byte(platform, "select-then-insert") for _ in range(STORMS)]
    assert all(count > 1 for count in rows), rows


def test_last_byte_finds_a_key_looked_up_before_the_body_in_every_storm(platform: Platform) -> None:
    assert [rows_after_last_byte(platform, "key-before-body") for _ in range(STORMS)] == [DUPLICATES] * STORMS


@pytest.mark.parametrize("kind", BROKEN)
def test_one_by_one_finds_the_race_in_no_storm(platform: Platform, kind: str) -> None:
    assert [rows_after_one_by_one(platform, kind) for _ in range(5)] == [1] * 5


def test_a_sound_platform_passes_every_storm(platform: Platform) -> None:
    assert [rows_after_last_byte(platform, "sound") for _ in range(STORMS)] == [1] * STORMS


def judged(platform: Platform, result: StormResult, request: Request) -> list[Verdict]:
    rows, history = platform.rows(request.key), result.history
    judgements = [exactly_once(history, rows), nothing_lost(history, rows), nothing_invented(history, rows)]
    return [each.verdict for each in [*judgements, same_id(history)]]


def test_retries_bring_every_operation_through_and_store_one_record(platform: Platform) -> None:
    request = one("shed")
    patient = Retries(attempts=12, first=1 * MILLISECOND, longest=5 * MILLISECOND)
    result = Storm(platform.base_url, retries=patient).closed([request] * 60, workers=12)
    assert {operation.outcome for operation in result.history} == {"ok"}
    assert result.replies["503"] > 0
    assert result.attempts == 60 + result.replies["503"]
    assert judged(platform, result, request) == [Verdict.TRUE] * 4


def test_an_open_storm_keeps_its_rate_and_every_operation(platform: Platform) -> None:
    request = one("sound")
    result = Storm(platform.base_url).open([request] * 60, per_second=200)
    assert len(result.history) + result.dropped == 60
    assert result.seconds >= 59 / 200
    assert result.late.count == len(result.history) == result.latency.count
    assert judged(platform, result, request) == [Verdict.TRUE] * 4


def test_answers_of_requests_released_together_stand_in_their_order(platform: Platform) -> None:
    requests = [one("sound") for _ in range(8)]
    answers = release_together(platform.base_url, requests)
    assert [answer.summary for answer in answers] == ["201"] * 8
    stored = [platform.rows(request.key)[0][1] for request in requests]
    assert [answer.body["id"] for answer in answers] == stored


@pytest.fixture
def down() -> Iterator[str]:
    """A target at whose port nobody listens, and that is given to nobody else meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_a_storm_against_a_target_that_is_down_says_so(down: str) -> None:
    storm = Storm(down, retries=Retries())
    request = one("sound")
    with pytest.raises(TargetFailed, match="refuses connections"):
        storm.closed([request] * 10_000, workers=4)
    with pytest.raises(TargetFailed, match="refuses connections"):
        storm.open([request] * 10_000, per_second=1)
    with pytest.raises(TargetFailed, match="refuses every connection"):
        storm.last_byte([request] * 4)
    with pytest.raises(TargetFailed, match="refuses every connection"):
        release_together(storm.base_url, [request] * 4)


def test_more_at_once_than_open_files_is_refused_before_anything_is_sent(down: str) -> None:
    limit = int(os.sysconf("SC_OPEN_MAX"))
    with pytest.raises(UsageError, match="ulimit -n"):
        Storm(down).last_byte([one("sound")] * limit)
