"""Commands that behave as commands do: they end, hang, flood, do not listen, and fork away. Nothing is left of any."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pytest_smartattend.errors import TargetFailed
from pytest_smartattend.target.command_process import KEPT, CommandProcess

Start = Callable[..., CommandProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as closing:

        def make(program: str) -> CommandProcess:
            process = CommandProcess([sys.executable, "-c", program], dict(os.environ), tmp_path)
            closing.callback(process.stop, 0)
            return process

        yield make


def until(holds: Callable[[], object], what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        os.sched_yield()


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def said(process: CommandProcess) -> str:
    return process.output.since(0)


def test_a_command_that_ends_tells_its_status_and_its_output(start: Start) -> None:
    process = start("print('no such table'); raise SystemExit(3)")
    until(lambda: process.ended() is not None, "the end")
    assert process.ended() == 3
    process.stop(0)
    assert "no such table" in process.output.tail()


def test_a_command_that_is_asked_to_end_ends_and_nothing_had_to_be_killed(start: Start) -> None:
    process = start(
        "import signal, sys; signal.signal(15, lambda *_: sys.exit(0)); print('up', flush=True); signal.pause()"
    )
    until(lambda: "up" in said(process), "its first line")
    assert process.stop(20) == []
    assert process.ended() == 0


def test_a_command_that_ignores_sigterm_is_ended_after_its_grace(start: Start) -> None:
    process = start(
        "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True)\nwhile True: signal.pause()"
    )
    until(lambda: "up" in said(process), "its first line")
    began = time.monotonic()
    assert process.stop(0.3)
    assert 0.3 <= time.monotonic() - began < 20
    assert process.ended() == -signal.SIGKILL


FORKS = """
import os, sys, time
if os.fork():
    {parent}
os.setsid()
if os.fork():
    os._exit(0)
print(os.getpid(), flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives orphans to whoever asks for them")
@pytest.mark.parametrize("parent", ["os._exit(0)", "time.sleep(600)"], ids=["and leaves", "and stays"])
def test_a_command_that_forks_a_daemon_away_leaves_nothing_behind(start: Start, parent: str) -> None:
    process = start(FORKS.format(parent=parent))
    until(lambda: said(process).endswith("\n"), "the daemon's own line")
    daemon = int(said(process))
    assert runs(daemon)
    assert process.stop(0.2)
    assert not runs(daemon)


def test_a_flood_of_output_takes_neither_the_memory_nor_the_end(start: Start) -> None:
    process = start("import os\nwhile True: os.write(1, b'x' * 65536)")
    until(lambda: process.output.mark > 64 * KEPT, "a flood")
    assert len(said(process)) < KEPT + 100
    assert "bytes before this are not kept" in said(process)
    process.stop(0.2)
    assert process.ended() == -signal.SIGTERM


def test_output_is_told_from_a_mark_on(start: Start) -> None:
    process = start("print('first', flush=True); input_ = open(0).read(); print('second', flush=True)")
    until(lambda: "second\n" in said(process), "its lines")
    mark = process.output.mark
    assert process.output.since(mark) == ""
    assert process.output.since(mark - len("second\n")).endswith("second\n")


def test_a_program_that_is_not_there_is_named_with_its_folder(tmp_path: Path) -> None:
    with pytest.raises(TargetFailed, match=r"'no-such-program --port' cannot be run in .*: .*Is the program installed"):
        CommandProcess(["no-such-program", "--port"], {}, tmp_path)


def test_it_can_be_put_away_where_who_holds_it_has_ended_by_itself(start: Start) -> None:
    process = start("input()")
    os.kill(process._holder.pid, signal.SIGKILL)
    process._holder.wait()
    process.stop()


OWNER = """
import os, sys
from pathlib import Path
from pytest_smartattend.target.command_process import CommandProcess
process = CommandProcess([sys.executable, "-c", {program!r}], dict(os.environ), Path("."))
while "\\n" not in process.output.since(0):
    pass
print(process.output.since(0).strip(), flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives orphans to whoever asks for them")
def test_nothing_outlives_an_owner_that_was_killed(tmp_path: Path) -> None:
    program = "import os, time\npid = os.fork() or os.setsid()\nprint(os.getpid(), flush=True) if pid else time.sleep(600)\ntime.sleep(600)"
    owner = subprocess.run(
        [sys.executable, "-c", OWNER.format(program=program)], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert owner.returncode == -signal.SIGKILL, owner.stderr
    pid = int(owner.stdout)
    until(lambda: not runs(pid), "the end of what a killed owner had started")
