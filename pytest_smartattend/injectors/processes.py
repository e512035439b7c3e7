"""The processes that a process started, and what they are doing: from /proc, or where there is none from ``ps``."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final, NamedTuple

_PROC: Final = Path("/proc")
_PS: Final = ("ps", "-A", "-o", "pid=", "-o", "ppid=", "-o", "state=")


class Process(NamedTuple):
    """One process; `state` is one letter: ``T`` stopped, ``Z`` ended and not yet waited for, others alive."""

    pid: int
    parent: int
    state: str


def children_of(parent: int) -> list[int]:
    """The living children of `parent`, oldest first as far as their numbers tell."""
    return sorted(each.pid for each in _all() if each.parent == parent and each.state != "Z")


def is_stopped(pid: int) -> bool:
    """Whether the process stands still."""
    return any(each.pid == pid and each.state == "T" for each in _all())


def _all() -> list[Process]:
    if (_PROC / "self" / "stat").exists():
        found = (_read(folder) for folder in _PROC.iterdir() if folder.name.isdigit())
        return [each for each in found if each is not None]
    done = subprocess.run(_PS, capture_output=True, text=True, check=True)
    lines = (line.split() for line in done.stdout.splitlines())
    return [Process(int(pid), int(parent), state[:1]) for pid, parent, state in lines]


def _read(folder: Path) -> Process | None:
    try:
        text = (folder / "stat").read_text()
    except OSError:  # it ended
        return None
    state, parent = text.rpartition(")")[2].split()[:2]  # a name may hold anything, also ")"
    return Process(int(folder.name), int(parent), state.upper())
