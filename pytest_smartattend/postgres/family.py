"""A server's processes: the postmaster and what it started. Killed, stopped and continued together."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from pytest_smartattend.errors import ServerFailed
from pytest_smartattend.postgres import keeper

_PATIENCE = 30.0  # seconds until a process that was killed is gone


def children(parent: int) -> list[int]:
    """The live processes that `parent` started."""
    return sorted(pid for pid, of in _parents() if of == parent and keeper.is_running(pid))


def _parents() -> Iterator[tuple[int, int]]:
    if Path("/proc/self").exists():
        for name in os.listdir("/proc"):  # noqa: PTH208
            if name.isdigit():
                with contextlib.suppress(OSError, IndexError):
                    words = Path(f"/proc/{name}/stat").read_bytes().rpartition(b")")[2].split()
                    yield int(name), int(words[1])
        return
    said = subprocess.run(["/bin/ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    for line in said.stdout.splitlines():
        pid, parent = line.split()
        yield int(pid), int(parent)


def send(postmaster: int, number: signal.Signals) -> list[int]:
    """Send a signal to the postmaster and to all of its processes, so that none acts while others are gone.

    Args:
        postmaster: its process id.
        number: SIGKILL, SIGSTOP or SIGCONT.

    Returns:
        the process ids, the postmaster's first. After SIGKILL they are all gone.

    Raises:
        ServerFailed: the postmaster is not running, or a killed process does not go.
    """
    try:
        # First the postmaster stands still, so that it starts nobody and mourns nobody meanwhile.
        os.kill(postmaster, signal.SIGSTOP)
    except ProcessLookupError as problem:
        raise ServerFailed(f"No server runs as process {postmaster}: it is gone already. Start it first.") from problem
    family = [postmaster, *children(postmaster)]
    for pid in reversed(family):  # the postmaster last: continued first, it would meet children that stand still
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    if number == signal.SIGKILL:
        _await_end(family)
    return family


def _await_end(pids: list[int]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while left := [pid for pid in pids if keeper.is_running(pid)]:
        if time.monotonic() > deadline:
            raise ServerFailed(f"Processes {left} were killed and are still there. Do they wait for a dead disk?")
        time.sleep(0.0005)
