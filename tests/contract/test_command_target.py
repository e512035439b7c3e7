"""A platform by its command and by its URL: each way in which it can fail to come up is told with step, output and remedy."""

from __future__ import annotations

import json
import random
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pytest_smartattend.errors import NotOffered, TargetFailed, UnsafeTarget, UsageError
from pytest_smartattend.postgres.server import Server
from pytest_smartattend.target import command_platform
from pytest_smartattend.target.adapter import REFERENCE, Adapter, Start, Url, read
from pytest_smartattend.target.client import Operation
from pytest_smartattend.target.command_platform import CommandPlatform
from pytest_smartattend.target.reference_schema import ReferenceSchema
from pytest_smartattend.target.url_platform import UrlPlatform

REFERENCE_COMMAND = f"{sys.executable} -m pytest_smartattend.reference.serve"


def ignored(_operation: Operation) -> None:
    pass


@pytest.fixture
def start(postgres: Server, tmp_path: Path) -> Iterator[Callable[..., CommandPlatform]]:
    with ExitStack() as closing:

        def make(command: str, *, within: float = 60, **start: Any) -> CommandPlatform:
            adapter = read("reference", tmp_path)
            given = Start.model_validate({**adapter.start.model_dump(), "ready_within_s": within, **start})
            platform = CommandPlatform(
                command,
                adapter.model_copy(update={"start": given}),
                postgres,
                postgres.pool(ReferenceSchema()).take(),
                tmp_path,
                tmp_path / "scratch",
            )
            closing.callback(platform.stop)
            return platform

        yield make


def script(program: str) -> str:
    return f'{sys.executable} -c "{program}"'


def test_the_reference_by_its_command_answers_and_is_seen_in_its_database(
    start: Callable[..., CommandPlatform],
) -> None:
    platform = start(REFERENCE_COMMAND)
    incident = platform.seed("school", ignored).staff.report("A title").must()
    row = platform.observer.incident(incident["id"])
    assert row is not None
    assert row["title"] == "A title"


def test_it_is_killed_and_restarted_at_the_same_address(start: Callable[..., CommandPlatform]) -> None:
    platform = start(REFERENCE_COMMAND)
    tenant = platform.seed("school", ignored)
    incident = tenant.staff.report().must()["id"]
    platform.kill()
    assert tenant.staff.incident(incident).operation.outcome == "failed"
    platform.start()
    assert tenant.staff.incident(incident).must()["id"] == incident
    assert platform.restart() == []
    assert tenant.staff.incident(incident).must()["id"] == incident


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has names of sockets without files")
def test_no_two_platforms_are_given_one_port_though_neither_listens_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random.SystemRandom, "sample", lambda _self, ports, _size: ports[:2])
    with ExitStack() as first, ExitStack() as second:
        assert {command_platform._free_port(each) for each in (first, second)} == {*command_platform.PORTS[:2]}


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("print('no database'); raise SystemExit(3)", r"ended with status 3 after .* before GET http.*no database"),
        ("import time; print('thinking', flush=True); time.sleep(600)", r"not answered with 2xx within 5 s; .*thinking"),
        ("import os, time; os.fork() and os._exit(0); time.sleep(600)", r"ended with status 0.*other processes, which were ended: python"),
    ],
    ids=["ends", "hangs", "forks and leaves"],
)  # fmt: skip
def test_a_command_that_does_not_come_up_is_told_with_its_output_and_a_remedy(
    start: Callable[..., CommandPlatform], program: str, told: str
) -> None:
    began = time.monotonic()
    with pytest.raises(TargetFailed, match=rf"(?s)Starting the platform.*{told}.*Let it stay in the foreground"):
        start(script(program), within=5)
    assert time.monotonic() - began < 40


def test_a_command_that_answers_wrongly_is_told_by_its_last_answer(start: Callable[..., CommandPlatform]) -> None:
    program = (
        "import os; from http.server import *;"
        "HTTPServer(('127.0.0.1', int(os.environ['PORT'])), SimpleHTTPRequestHandler).serve_forever()"
    )
    with pytest.raises(TargetFailed, match=r"the last answer was 404"):
        start(script(program), within=5, ready="/nowhere")


def test_words_that_are_no_command_are_refused(start: Callable[..., CommandPlatform]) -> None:
    with pytest.raises(UsageError, match="names no program"):
        start("  ")
    with pytest.raises(UsageError, match="No closing quotation"):
        start("node 'server.js")


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        how = self.path.split("/")[1]
        if how == "closes":
            self.close_connection = True
            self.connection.close()
            return
        if how == "slow":
            self.server.hold.wait(30)  # type: ignore[attr-defined]
        self.send_response({"redirects": 302, "sick": 503}.get(how, 200))
        self.send_header("location", "https://login.example.test/")
        self.send_header("content-type", "text/html" if how == "html" else "application/json")
        self.end_headers()
        self.wfile.write(b"<html>Welcome</html>" if how == "html" else b'{"status": "sick"}')

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def elsewhere() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    server.hold = threading.Event()  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.hold.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


def adapter_for(url: str, **changes: Any) -> Adapter:
    return read("reference", REFERENCE.parent).model_copy(update={"url": Url(disposable=(url,)), **changes})


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("redirects", r"redirects to 'https://login.example.test/' \(302\)"),
        ("html", r"text/html, not JSON: '<html>Welcome"),
        ("closes", r"Looking at the platform, GET .*/closes/api/health: \w+"),
        ("slow", r"no answer within 0.5 s"),
        ("sick", r"answered 503: .*sick"),
    ],
)
def test_a_url_behind_which_no_platform_answers_is_told_by_what_came(
    elsewhere: str, monkeypatch: pytest.MonkeyPatch, how: str, told: str
) -> None:
    monkeypatch.setattr("pytest_smartattend.target.url_platform.PATIENCE", 0.5 if how == "slow" else 10)
    url = f"{elsewhere}/{how}"
    with pytest.raises(TargetFailed, match=told):
        UrlPlatform(url, adapter_for(url))


def test_a_url_at_which_nothing_listens_is_told() -> None:
    with socket.socket() as taken:  # and that nobody else is given meanwhile
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(TargetFailed, match=r"ConnectError.*Is it up, and is the URL right"):
            UrlPlatform(url, adapter_for(url))


def test_nothing_is_written_where_nobody_said_that_it_may_be() -> None:
    with pytest.raises(UnsafeTarget, match=r'\[url\] disposable = \["http://127.0.0.1:9"\]'):
        UrlPlatform("http://127.0.0.1:9", adapter_for("http://127.0.0.1:8"))
    with pytest.raises(UnsafeTarget, match=r"--smartattend-allow-host=api.example.test"):
        UrlPlatform("https://api.example.test", adapter_for("https://api.example.test"))


Behind = Callable[..., UrlPlatform]


@pytest.fixture
def behind_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Behind]:
    """The same platform once more, as somebody meets it who knows its URL and one tenant."""
    with ExitStack() as closing:

        def make(platform: CommandPlatform, *, token: str = "", database: str = "") -> UrlPlatform:
            tenant = platform.seed("school", ignored)
            accounts = {}
            for role in ("member", "staff", "admin"):
                person = tenant.actor(role)
                monkeypatch.setenv(f"TOKEN_{role.upper()}", token or person.token or "")
                accounts[role] = {"user_id": person.user_id, "token": f"{{env:TOKEN_{role.upper()}}}"}
            listed = {"tenant_id": tenant.id, "kind": "school", "accounts": accounts}
            (tmp_path / "tenants.json").write_text(json.dumps([listed]))
            text = REFERENCE.read_text().replace('kind = "jwt"', 'kind = "given"')
            text = text.replace('kind = "reference"', 'kind = "file"\ntenants = "tenants.json"')
            text += f'[url]\ndisposable = ["{platform.base_url}"]\ndatabase = "{database}"\n'
            (tmp_path / "adapter.toml").write_text(text)
            there = UrlPlatform(platform.base_url, read("adapter.toml", tmp_path))
            closing.callback(there.stop)
            return there

        yield make


def test_behind_a_url_tokens_come_from_the_environment_and_the_rest_is_not_offered_by_name(
    start: Callable[..., CommandPlatform], behind_url: Behind
) -> None:
    there = behind_url(start(REFERENCE_COMMAND))
    tenant = there.seed("school", ignored)
    assert tenant.staff.report("Elsewhere").must()["status"] == "open"
    lacking: dict[str, Callable[[], object]] = {
        "a look at its records": lambda: there.observer,
        "a path 'database'": lambda: there.path_to("database"),
        "another school that no check has used": lambda: there.seed("school", ignored),
        "a person of role superadmin": lambda: tenant.superadmin,
        "a token that is expired": lambda: tenant.forged("expired"),
        "SQL as app": lambda: there.sql_as("app", None).__enter__(),
    }
    for said, ask in lacking.items():
        with pytest.raises(NotOffered, match=f"not run: the target does not offer {said}"):
            ask()
    forged = {"authorization": tenant.forged("unsigned")}
    assert tenant.nobody.call("GET", "/auth/me", headers=forged).status == 401


def test_tokens_that_the_platform_refuses_are_told_before_the_first_check(
    start: Callable[..., CommandPlatform], behind_url: Behind
) -> None:
    there = behind_url(start(REFERENCE_COMMAND), token="stale")
    with pytest.raises(TargetFailed, match=r"token of the member.*401 unauthenticated.*Correct \[tokens\]"):
        there.seed("school", ignored)


def test_a_database_that_cannot_be_reached_is_told_at_the_start(
    start: Callable[..., CommandPlatform], behind_url: Behind
) -> None:
    with pytest.raises(TargetFailed, match=r"records live cannot be reached"):
        behind_url(start(REFERENCE_COMMAND), database="postgresql://nobody@127.0.0.1:9/none")
