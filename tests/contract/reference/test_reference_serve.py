"""The platform as processes: it says where it is, loses no request when it stops, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from pytest_smartattend.postgres.server import Database

#: generous: it only bounds how long a failure takes
PATIENCE = 30.0


class Served:
    """A running platform."""

    def __init__(self, database: Database, folder: Path, **environment: str) -> None:
        self.ready = folder / "ready"
        self.log = folder / "log"
        dsn = database.dsn_as("smartattend_app")
        given = {"DATABASE_URL": dsn, "TOKEN_SECRET": "s" * 32, "PORT": "0", "SMARTATTEND_READY_FILE": str(self.ready)}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pytest_smartattend.reference.serve"],
                env={"PATH": os.environ["PATH"], **given, **environment},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()

    @property
    def url(self) -> str:
        until(lambda: self.ready.exists() and self.ready.read_text().endswith("\n"), self)
        told = json.loads(self.ready.read_text())
        assert told["pid"] == self.process.pid
        return f"http://{told['host']}:{told['port']}/api"

    def workers(self) -> list[int]:
        task = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in task.read_text().split()]


def until(seen: Callable[[], object], served: Served) -> None:
    """Wait for what is to be seen."""
    deadline = time.monotonic() + PATIENCE
    while not seen():
        assert time.monotonic() < deadline, served.log.read_text()
        with contextlib.suppress(subprocess.TimeoutExpired):
            served.process.wait(timeout=0.02)


def is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.fixture
def served(reference_database: Database, tmp_path: Path) -> Iterator[Served]:
    with Served(reference_database, tmp_path, WORKERS="2") as running:
        yield running


needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@needs_proc
def test_it_says_once_where_it_answers_and_answers_there(served: Served) -> None:
    url = served.url
    assert httpx.get(f"{url}/health").json() == {
        "status": "ok",
        "parts": {"database": "ok", "incidents_database": "ok"},
    }
    until(lambda: len(served.workers()) == 2, served)
    assert served.ready.read_text().count("\n") == 1


@needs_proc
def test_a_worker_that_dies_is_replaced_and_the_platform_goes_on(served: Served) -> None:
    url = served.url
    until(lambda: len(served.workers()) == 2, served)
    first, second = served.workers()
    os.kill(first, signal.SIGKILL)
    until(lambda: len(set(served.workers()) - {first}) == 2, served)
    assert second in served.workers()
    assert httpx.get(f"{url}/health").status_code == 200
    assert served.ready.read_text().count("\n") == 1


@needs_proc
def test_no_worker_survives_a_master_that_was_killed(served: Served) -> None:
    assert served.url
    until(lambda: len(served.workers()) == 2, served)
    workers = served.workers()
    served.process.kill()
    until(lambda: not any(map(is_alive, workers)), served)


def test_a_request_under_way_is_finished_before_it_stops(served: Served) -> None:
    url = httpx.URL(served.url)
    body = b'{"email": "nobody@here.test", "password": "correct horse"}'
    head = (
        f"POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    )
    assert url.port is not None
    with socket.create_connection((url.host, url.port), PATIENCE) as connection:
        # the connection was accepted and the request has begun before the signal comes
        connection.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert connection.recv(1024).startswith(b"HTTP/1.1 100")
        served.process.terminate()
        until(lambda: refuses(url.host, url.port), served)
        connection.sendall(body)
        assert connection.recv(1024).startswith(b"HTTP/1.1 401")
    assert served.process.wait(PATIENCE) == 0


def refuses(host: str, port: int | None) -> bool:
    try:
        socket.create_connection((host, port or 0), 1).close()
    except OSError:
        return True
    return False


def test_the_end_of_its_standard_input_is_its_end_when_asked_for(reference_database: Database, tmp_path: Path) -> None:
    with Served(reference_database, tmp_path, STOP_WITH_STDIN="1", WORKERS="1") as running:
        assert running.url
        assert running.process.stdin is not None
        running.process.stdin.close()
        assert running.process.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("DATABASE_URL", "", "DATABASE_URL is not set"),
        ("TOKEN_SECRET", "short", "TOKEN_SECRET has 5 bytes; give at least 32"),
        ("PORT", "http", "PORT is 'http'; give a whole number from 0"),
        ("PORT", "65536", "PORT is '65536'; give a whole number from 0 to 65535"),
        ("WORKERS", "0", "WORKERS is '0'; give a whole number from 1"),
        ("HEALTH_DEADLINE_MS", "-1", "HEALTH_DEADLINE_MS"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(
    reference_database: Database, tmp_path: Path, variable: str, value: str, said: str
) -> None:
    with Served(reference_database, tmp_path, **{variable: value}) as running:
        assert running.process.wait(PATIENCE) == 1
    log = running.log.read_text()
    assert said in log
    assert "Traceback" not in log
    assert log.count("\n") == 1
