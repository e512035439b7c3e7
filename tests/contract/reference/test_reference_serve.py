"""The platform as processes: it says where it is, loses no request when it stops, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from pytest_smartattend.postgres.server import Database

if TYPE_CHECKING:
    from tests.contract.reference.conftest import Served

#: generous: it only bounds how long a failure takes
PATIENCE = 30.0


def is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@needs_proc
def test_it_says_once_where_it_answers_and_answers_there(served: Served) -> None:
    url = served.url
    assert httpx.get(f"{url}/health").json() == {
        "status": "ok",
        "parts": {"database": "ok", "incidents_database": "ok"},
    }
    served.until(lambda: len(served.workers()) == 2)
    assert served.ready.read_text().count("\n") == 1


@needs_proc
def test_a_worker_that_dies_is_replaced_and_the_platform_goes_on(served: Served) -> None:
    url = served.url
    served.until(lambda: len(served.workers()) == 2)
    first, second = served.workers()
    os.kill(first, signal.SIGKILL)
    served.until(lambda: len(set(served.workers()) - {first}) == 2)
    assert second in served.workers()
    assert httpx.get(f"{url}/health").status_code == 200
    assert served.ready.read_text().count("\n") == 1


@needs_proc
def test_no_worker_survives_a_master_that_was_killed(served: Served) -> None:
    assert served.url
    served.until(lambda: len(served.workers()) == 2)
    workers = served.workers()
    served.process.kill()
    served.until(lambda: not any(map(is_alive, workers)))


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
        served.until(lambda: refuses(url.host, url.port))
        connection.sendall(body)
        assert connection.recv(1024).startswith(b"HTTP/1.1 401")
    assert served.process.wait(PATIENCE) == 0


@needs_proc
def test_a_signal_to_all_of_it_ends_workers_that_are_only_just_being_made() -> None:
    slow = (
        "import time; from pytest_smartattend.reference import serve; begin = serve.Worker.init_process;"
        f"serve.Worker.init_process = lambda self: (time.sleep({PATIENCE}), begin(self)); serve.serve()"
    )
    given = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "TOKEN_SECRET": "s" * 32, "PORT": "0"}
    process = subprocess.Popen(
        [sys.executable, "-c", slow], env={"PATH": os.environ["PATH"], **given}, start_new_session=True
    )
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        deadline = time.monotonic() + PATIENCE
        while len(children.read_text().split()) < 2:
            assert time.monotonic() < deadline
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(PATIENCE / 2) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


ASK = b"GET /api/time/sync HTTP/1.1\r\nHost: x\r\n\r\n"


def answered(connection: socket.socket) -> bytes:
    """One whole answer; short where the connection was closed on us."""
    said = b""
    while b"\r\n\r\n" not in said and (part := connection.recv(4096)):
        said += part
    head, _, body = said.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
    while len(body) < length and (part := connection.recv(4096)):
        said, body = said + part, body + part
    return said


def test_connections_that_are_kept_or_were_only_just_accepted_are_served_after_the_signal(served: Served) -> None:
    url = httpx.URL(served.url)
    assert url.port is not None
    with contextlib.ExitStack() as stack:
        fresh, kept = [stack.enter_context(socket.create_connection((url.host, url.port), PATIENCE)) for _ in range(2)]
        kept.sendall(ASK)
        assert answered(kept).startswith(b"HTTP/1.1 200")
        served.process.terminate()
        served.until(lambda: refuses(url.host, url.port))
        for connection in (fresh, kept):
            connection.sendall(ASK)
            answer = answered(connection)
            assert answer.startswith(b"HTTP/1.1 200")
            assert b"\r\nconnection: close\r\n" in answer.lower()
            assert connection.recv(1) == b""
    assert served.process.wait(PATIENCE) == 0


def test_a_client_that_keeps_a_connection_and_never_uses_it_does_not_hold_up_the_end(
    reference_database: Database, tmp_path: Path, serving: type[Served]
) -> None:
    with serving(reference_database, tmp_path, WORKERS="1", DRAIN_IDLE_MS="200") as running:
        url = httpx.URL(running.url)
        assert url.port is not None
        with socket.create_connection((url.host, url.port), PATIENCE):
            running.process.terminate()
            assert running.process.wait(PATIENCE) == 0


def test_two_instances_serve_one_address_and_either_may_end(
    reference_database: Database, tmp_path: Path, serving: type[Served]
) -> None:
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        instances = []
        for name in ("a", "b"):
            folder = tmp_path / name
            folder.mkdir()
            number = listening.fileno()
            one = serving(reference_database, folder, (number,), LISTEN_FD=str(number), WORKERS="1")
            instances.append(stack.enter_context(one))
        assert instances[0].url == instances[1].url
        for one in instances:
            assert httpx.get(f"{one.url}/time/sync").status_code == 200
        instances[0].process.terminate()
        assert instances[0].process.wait(PATIENCE) == 0
        assert httpx.get(f"{instances[1].url}/time/sync").status_code == 200


@pytest.mark.parametrize(("path", "status"), [("incidents", 401), ("auth/login", 413)])
def test_who_sends_far_too_much_still_gets_to_read_the_answer(served: Served, path: str, status: int) -> None:
    url = httpx.URL(served.url)
    headers = {"Content-Type": "application/json", "Connection": "close"}
    for _ in range(3):
        # this client, as most, sends all before it reads anything
        client = http.client.HTTPConnection(url.host, url.port, timeout=PATIENCE)
        with contextlib.closing(client):
            client.request("POST", f"/api/{path}", body=b" " * 10_000_000, headers=headers)
            assert client.getresponse().status == status


def refuses(host: str, port: int | None) -> bool:
    try:
        socket.create_connection((host, port or 0), 1).close()
    except OSError:
        return True
    return False


def test_the_end_of_its_standard_input_is_its_end_when_asked_for(
    reference_database: Database, tmp_path: Path, serving: type[Served]
) -> None:
    with serving(reference_database, tmp_path, STOP_WITH_STDIN="1", WORKERS="1") as running:
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
        ("SPOOL_FOLDER", "spool", "SPOOL_FOLDER is 'spool'; give the whole path of a folder"),
        ("ALERT_WEBHOOK_URL", "ftp://x", "ALERT_WEBHOOK_URL is not a web address; give one that begins with https://"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(
    reference_database: Database, tmp_path: Path, serving: type[Served], variable: str, value: str, said: str
) -> None:
    with serving(reference_database, tmp_path, (), **{variable: value}) as running:
        assert running.process.wait(PATIENCE) == 1
    log = running.log.read_text()
    assert said in log
    assert "Traceback" not in log
    assert log.count("\n") == 1
