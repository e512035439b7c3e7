"""`smartattend serve --database`: on somebody's own database it works, or says what to do. Old jobs' folders go."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
import pytest

from pytest_smartattend.errors import ServerFailed
from pytest_smartattend.postgres import given
from pytest_smartattend.postgres.choosing import Wanted
from pytest_smartattend.postgres.server import Server
from pytest_smartattend.postgres.standalone import throwaway
from pytest_smartattend.service import command, jobs
from pytest_smartattend.target.seed import Seeder
from tests.contract.service.conftest import PATIENCE, Serve

PASSWORD = "of the application, which the server asks for"


@pytest.fixture
def theirs() -> Iterator[Server]:
    """Somebody's server, with a marked database and a superuser of theirs."""
    with throwaway(Wanted()) as server, server.connect() as connection:
        connection.execute("CREATE DATABASE marked")
        connection.execute(f"COMMENT ON DATABASE marked IS '{given.MARK}'")
        connection.execute("CREATE ROLE maker LOGIN SUPERUSER")
        yield server


def url(theirs: Server, user: str = "maker") -> str:
    assert isinstance(theirs.address, str)
    return f"postgresql://{user}@{quote(str(Path(theirs.address).parent), safe='')}:5432/marked"


def ask_for_the_password(theirs: Server) -> None:
    """Let the server take nobody's word that they are the application."""
    with theirs.connect() as connection:
        (file,) = connection.execute("SHOW hba_file").fetchone() or ("",)
        path = Path(file)
        path.write_text("local all smartattend_app scram-sha-256\n" + path.read_text())
        connection.execute("SELECT pg_reload_conf()")


@contextmanager
def serving(*words: str, **variables: str) -> Iterator[str]:
    """The command line, until it has said where it answers; it must end in order."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SMARTATTEND_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest_smartattend.cli", "serve", "--port=0", *words],
        env={**kept, **variables}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        assert said.startswith("smartattend serves on "), said + process.stdout.read()
        yield said.removeprefix("smartattend serves on ").partition(";")[0]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
        process.stdout.close()
    assert process.returncode in {0, -signal.SIGTERM}


def logged_in(api: str, dsn: str, role: str) -> httpx.Client:
    seeder = Seeder(dsn)
    account = seeder.tenant("school")[1][role]
    seeder.close()
    words = {"email": account.email, "password": account.password}
    answer = httpx.post(f"{api}/auth/login", json=words, timeout=PATIENCE).raise_for_status().json()
    return httpx.Client(base_url=api, headers={"Authorization": f"Bearer {answer['access_token']}"}, timeout=PATIENCE)


def test_it_serves_and_simulates_on_a_marked_database_whose_server_asks_for_a_password(
    theirs: Server, tmp_path: Path
) -> None:
    ask_for_the_password(theirs)
    words = (f"--database={url(theirs)}", f"--state={tmp_path / 'state'}")
    with serving(*words, SMARTATTEND_APP_PASSWORD=PASSWORD) as api, logged_in(api, url(theirs), "admin") as http:
        assert http.get("/health").status_code == 200
        job = http.post("/simulations/duplicate-storm", json={"duplicates": 5}).raise_for_status().json()["job"]["id"]
        with http.stream("GET", f"/validation/jobs/{job}/events") as stream:
            assert any('"result"' in line for line in stream.iter_lines())
        assert http.get(f"/validation/jobs/{job}").json()["job"]["status"] == "ready"
    with serving(*words, SMARTATTEND_APP_PASSWORD=PASSWORD) as api:  # once more, on what is migrated already
        assert httpx.get(f"{api}/validation/health", timeout=PATIENCE).status_code == 200


def of_another_shape(theirs: Server) -> None:
    with psycopg.connect(url(theirs), autocommit=True) as connection:
        connection.execute("CREATE TABLE tenants (a int)")


def a_visitor(theirs: Server) -> None:
    with theirs.connect() as connection:
        connection.execute("CREATE ROLE visitor LOGIN CREATEDB")


@pytest.mark.parametrize(
    ("prepare", "user", "told"),
    [
        (
            ask_for_the_password,
            "maker",
            r"the application's role cannot log in: .*Set SMARTATTEND_APP_PASSWORD.*pg_hba.conf",
        ),
        (of_another_shape, "maker", r"(?s)cannot be migrated: .*tenants.*is the database empty"),
        (a_visitor, "visitor", r"is no superuser.*Give a superuser's URL"),
        (lambda _: None, "stranger", r"cannot be migrated: .*stranger.*Is the server up"),
    ],
    ids=["no password", "tables of others", "no superuser", "no such user"],
)
def test_a_database_on_which_it_cannot_serve_is_told_with_a_remedy(
    theirs: Server, monkeypatch: pytest.MonkeyPatch, prepare: Callable[[Server], object], user: str, told: str
) -> None:
    monkeypatch.delenv("SMARTATTEND_APP_PASSWORD", raising=False)
    prepare(theirs)
    with pytest.raises(ServerFailed, match=told):
        command.prepare(url(theirs, user), ())


def test_of_ended_jobs_only_the_newest_folders_are_kept(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "FOLDERS", 2)
    old: list[Path] = []
    for number in range(4):  # of a service before this one, each older than the next
        old.append(tmp_path / "state" / "jobs" / f"old-{number}")
        (old[-1] / "report").mkdir(parents=True)
        os.utime(old[-1], (number, number))
    running: Any = serve()
    assert [one.exists() for one in old] == [False, False, True, True]
    job = running.start("/simulations/duplicate-storm", "admin", body={"duplicates": 2})
    running.outcome(job)
    kept = {one.name for one in (tmp_path / "state" / "jobs").iterdir()}
    assert kept == {"old-3", job}
