"""The container provider on a real engine; `.ci/container-lane.sh` brings one up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_smartattend.errors import NoServerFound, ServerFailed
from pytest_smartattend.postgres.choosing import Wanted, choose
from pytest_smartattend.postgres.container import lacks
from pytest_smartattend.postgres.schema import SqlFiles
from pytest_smartattend.postgres.standalone import throwaway

CONTAINER = Wanted(postgres="container")


@pytest.fixture
def _engine() -> None:
    if (lack := lacks()) is not None:
        pytest.skip(f"container lane: no engine ({lack})")


def containers() -> set[str]:
    import docker

    client = docker.from_env()
    try:
        return {
            found.name
            for found in client.containers.list(all=True, ignore_removed=True, filters={"label": "smartattend.run"})
        }
    finally:
        client.close()


def test_no_engine_is_said_with_the_address_that_was_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/engine.sock")
    with pytest.raises(NoServerFound, match=r"container: no engine answers at unix:///nowhere/engine\.sock"):
        choose(CONTAINER)


def test_an_engine_on_another_machine_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://engine.example.org:2375")
    with pytest.raises(NoServerFound, match=r"engine\.example\.org is not on this machine"):
        choose(CONTAINER)


@pytest.mark.usefixtures("_engine")
def test_a_container_serves_fresh_databases_and_is_gone_afterwards(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("CREATE TABLE person (name text); INSERT INTO person VALUES ('Ada');")
    with throwaway(CONTAINER) as server:
        pool = server.pool(SqlFiles((tmp_path / "a.sql",)))
        first, second = pool.take(), pool.take()
        with server.connect(first.name) as connection:
            connection.execute("DELETE FROM person")
        with server.connect(second.name) as connection:
            assert connection.execute("SELECT name FROM person").fetchall() == [("Ada",)]
        said = server.describe()
        assert said["provider"] == "container"
        assert server.major == int(str(said["version"]).split(".")[0])
        address = server.address
        assert isinstance(address, tuple)
        assert address[0] == "127.0.0.1"
    assert not containers()


@pytest.mark.usefixtures("_engine")
def test_a_missing_image_is_an_error_that_names_it() -> None:
    with (
        throwaway(Wanted(postgres="container", image="smartattend-no-such-image:1")) as server,
        pytest.raises(ServerFailed, match="smartattend-no-such-image:1"),
    ):
        server.dsn("postgres")


@pytest.mark.usefixtures("_engine")
def test_a_container_that_ends_at_once_shows_its_log() -> None:
    with (
        throwaway(Wanted(postgres="container", locale="xx_NOWHERE")) as server,
        pytest.raises(ServerFailed, match=r"(?s)ended.*invalid locale name"),
    ):
        server.dsn("postgres")
    assert not containers()


@pytest.mark.usefixtures("_engine")
def test_an_image_of_another_version_is_refused() -> None:
    with (
        throwaway(Wanted(postgres="container", version=">=99")) as server,
        pytest.raises(ServerFailed, match="not >=99"),
    ):
        server.dsn("postgres")


@pytest.mark.usefixtures("_engine")
def test_a_killed_run_leaves_no_container(pytester: pytest.Pytester) -> None:
    kill = "import os, signal\ndef test_ends(database): os.kill(os.getpid(), signal.SIGKILL)"
    pytester.makepyfile(test_kill=kill)
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--smartattend-postgres=container"]
    done = subprocess.run(words, cwd=pytester.path, capture_output=True, check=False)
    assert done.returncode == -9
    deadline = time.monotonic() + 120
    while containers():
        assert time.monotonic() < deadline, containers()


@pytest.mark.usefixtures("_engine")
def test_a_container_of_a_run_without_keeper_is_removed_by_the_next_run(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_kill="""
        import contextlib, os, pathlib, signal
        def test_ends(database, postgres):
            for entry in pathlib.Path("/proc").iterdir():
                with contextlib.suppress(OSError):
                    words = (entry / "cmdline").read_bytes()
                    if b"keeper.py" in words and postgres.prefix[len("smartattend_"):-1].encode() in words:
                        os.kill(int(entry.name), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        """,
        test_uses="def test_uses(database): assert database.name",
    )
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--smartattend-postgres=container"]
    subprocess.run([*words, "test_kill.py"], cwd=pytester.path, capture_output=True, check=False)
    assert len(containers()) == 1
    done = subprocess.run([*words, "test_uses.py"], cwd=pytester.path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    deadline = time.monotonic() + 120
    while containers():
        assert time.monotonic() < deadline, containers()


@pytest.mark.usefixtures("_engine")
def test_a_failed_tests_database_is_kept_from_a_container_too(pytester: pytest.Pytester, tmp_path: Path) -> None:
    pytester.makepyfile(
        test_fails="""
        def test_fails(database, postgres):
            postgres.connect(database.name).execute("CREATE TABLE seen AS SELECT 1 AS a")
            assert not "kept"
        """
    )
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--smartattend-postgres=container"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(words, cwd=pytester.path, capture_output=True, text=True, check=False, env=environment)
    assert "smartattend db open test_fails.py::test_fails" in done.stdout
    about = next((tmp_path / "pytest-smartattend" / "kept").glob("*/about.json"))
    assert json.loads(about.read_text())["check"] == "test_fails.py::test_fails"
