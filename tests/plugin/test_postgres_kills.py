"""Whatever is killed, nothing is left but the cache. Real processes, real signals."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_smartattend.evidence import run_directory

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc")

HOLDING = """
    import json, os, pathlib, time

    def test_holds(postgres, database):
        told = {"place": postgres.running().place, "server": postgres.running().pid, "worker": os.getpid()}
        pathlib.Path("told.tmp").write_text(json.dumps(told))
        os.rename("told.tmp", "told.json")
        while not os.path.exists("go on"):
            time.sleep(0.02)
        with postgres.connect(database.name) as connection:
            connection.execute("SELECT 1")
"""
USING = "def test_uses(database): assert database.name"


def until(seen: Callable[[], Any], what: str, about: Callable[[], str] = str) -> Any:
    deadline = time.monotonic() + 120
    while not (found := seen()):
        assert time.monotonic() < deadline, f"waited in vain: {what} {about()}"
        time.sleep(0.02)
    return found


def running(word: str) -> dict[int, str]:
    """Live processes that have `word` in their command line, or work in a folder of that name.

    Not the keepers of other runs, however long those last, that were told to remove a folder of that name.
    """
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            where = str((folder / "cwd").readlink()) if words else ""
            own = words.partition(" -- ")[0]  # a keeper's words behind it are dead runs' folders
            if words and (word in own or word in where):
                found[int(folder.name)] = words
    return found


class Started:
    """A pytest run that holds a database until it is told to go on."""

    def __init__(self, folder: Path, words: list[str], environment: dict[str, str]) -> None:
        self.folder = folder
        self.output = folder / "output"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words],
                cwd=folder,
                env={**os.environ, **environment},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        told = until(self._told, "a test that has its database")
        self.place = Path(told["place"])
        self.server: int = told["server"]
        self.worker: int = told["worker"]
        self.run = self.place.name
        self.keeper = until(
            lambda: [pid for pid, words in running(self.run).items() if "keeper.py" in words], "keeper"
        )[0]

    def _told(self) -> Any:
        assert self.process.poll() is None, self.output.read_text()
        with contextlib.suppress(FileNotFoundError):
            return json.loads((self.folder / "told.json").read_text())
        return None

    def go_on(self) -> int:
        (self.folder / "go on").touch()
        return self.process.wait(120)

    def expect_nothing_left(self) -> None:
        until(lambda: not self.place.exists(), f"{self.place} to go")
        until(lambda: not running(self.run), f"processes of {self.run} to end: {running(self.run)}")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    temporary = tmp_path / "t"
    temporary.mkdir()
    return {"TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture
def start(pytester: pytest.Pytester, environment: dict[str, str]) -> Iterator[Callable[..., Started]]:
    made: list[Started] = []

    def begin(*words: str) -> Started:
        pytester.makepyfile(test_holds=HOLDING)
        made.append(Started(pytester.path, list(words), environment))
        return made[-1]

    yield begin
    for one in made:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(one.process.pid, signal.SIGKILL)
        one.process.wait()


@pytest.mark.parametrize("words", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_an_ended_run_leaves_nothing(start: Callable[..., Started], words: tuple[str, ...]) -> None:
    run = start(*words)
    assert run.go_on() == 0, run.output.read_text()
    assert not run.place.exists()
    assert run.server not in running(str(run.place))  # pytest itself ends it and waits for that
    run.expect_nothing_left()


@pytest.mark.parametrize("words", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_killed_controller_leaves_nothing(start: Callable[..., Started], words: tuple[str, ...]) -> None:
    run = start(*words)
    run.process.kill()
    run.process.wait()
    (run.folder / "go on").touch()
    run.expect_nothing_left()


def test_a_killed_group_leaves_nothing(start: Callable[..., Started]) -> None:
    run = start("-n", "2")
    os.killpg(run.process.pid, signal.SIGKILL)
    run.process.wait()
    run.expect_nothing_left()


def test_an_interrupted_run_leaves_nothing(start: Callable[..., Started]) -> None:
    run = start()
    os.killpg(run.process.pid, signal.SIGINT)
    assert run.process.wait(120) == pytest.ExitCode.INTERRUPTED
    run.expect_nothing_left()


def test_a_killed_worker_takes_nothing_down_with_it(start: Callable[..., Started], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_other="def test_other(database, postgres): assert postgres.connect(database.name).info.dbname"
    )
    run = start("-n", "1")
    os.kill(run.worker, signal.SIGKILL)  # which still waits for the word, so it dies in this test
    run.process.wait(120)
    output = run.output.read_text()
    assert "crashed while running" in output
    assert "1 passed" in output  # by the worker that came after, on the server that the dead one had started
    run.expect_nothing_left()


def test_a_killed_server_fails_its_tests_and_leaves_nothing(start: Callable[..., Started]) -> None:
    run = start()
    os.kill(run.server, signal.SIGKILL)
    until(lambda: run.server not in running(str(run.place)), "the server to end")
    assert run.go_on() == pytest.ExitCode.TESTS_FAILED
    assert "does not answer" in run.output.read_text()
    run.expect_nothing_left()


def test_a_killed_keeper_is_not_missed(start: Callable[..., Started]) -> None:
    run = start("-n", "2")
    os.kill(run.keeper, signal.SIGKILL)
    assert run.go_on() == 0, run.output.read_text()
    run.expect_nothing_left()


@pytest.fixture
def apart(pytester: pytest.Pytester) -> Iterator[None]:
    """Runs of this test have a base of their own: in the common one any run, of any other test, removes what is left."""
    base = Path(tempfile.mkdtemp(prefix=".apart-", dir=run_directory.bases()[0]))
    base.chmod(0o711)  # root's server may have to run as another user
    pytester.makeconftest(
        f"""
        from pathlib import Path
        from pytest_smartattend.evidence import run_directory

        run_directory.bases = lambda: (Path({str(base)!r}),)
        """
    )
    yield
    while base.exists():  # the next run's cluster may still be unpacked into it
        shutil.rmtree(base, ignore_errors=True)


@pytest.mark.usefixtures("apart")
def test_what_a_killed_keeper_and_controller_leave_is_removed_by_the_next_run(
    start: Callable[..., Started], pytester: pytest.Pytester, environment: dict[str, str]
) -> None:
    run = start()
    os.kill(run.keeper, signal.SIGKILL)
    until(lambda: run.keeper not in running(run.run), "the keeper to end")
    os.killpg(run.process.pid, signal.SIGKILL)
    run.process.wait()
    assert run.server in running(str(run.place))
    pytester.makepyfile(test_uses=USING)
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_uses.py"]
    done = subprocess.run(words, cwd=run.folder, env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    run.expect_nothing_left()


def test_no_shared_memory_is_left_by_a_killed_server(start: Callable[..., Started]) -> None:
    older = set(segments())  # process ids come again: a segment that somebody left long ago may bear the server's
    run = start()
    (segment,) = segments_of(run.server) - older
    os.kill(run.server, signal.SIGKILL)
    run.go_on()
    run.expect_nothing_left()
    until(lambda: segment not in segments(), "the segment to go", lambda: about(segment, run))


def segments() -> dict[str, str]:
    """System V shared memory: what the kernel says of each segment, by its id."""
    rows = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    return {row.split()[1]: row for row in rows}


def segments_of(maker: int) -> set[str]:
    """Segments that the process `maker` made; other tests' servers have theirs."""
    return {id_ for id_, row in segments().items() if row.split()[4] == str(maker)}


def about(segment: str, run: Started) -> str:
    """Everything that tells who left a segment behind, or still holds it."""
    holders = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(f" {segment} " in row and "/SYSV" in row for row in (folder / "maps").read_text().splitlines()):
                holders[folder.name] = (folder / "status").read_text()
    return f"{segments().get(segment)}\nheld by: {holders}\nthe run said:\n{run.output.read_text()}"
