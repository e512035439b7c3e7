"""Folders of one run, which do not outlive it.

A run has at most one folder per base (tmpfs for what must be fast, the temporary folder for the rest). Its owner, the
pytest controller, holds an flock on the file ``alive`` in it; the kernel releases that lock however the owner ends, so
whoever finds the lock free may remove the folder. Nothing is guessed from process ids, which are reused.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO

_PREFIX = "smartattend-"


def bases() -> tuple[Path, ...]:
    """Where folders of runs may lie: tmpfs first where there is one, then the temporary folder."""
    found = [Path("/dev/shm"), Path(tempfile.gettempdir())]  # noqa: S108
    return tuple(base for base in dict.fromkeys(found) if os.access(base, os.W_OK | os.X_OK))


def folder_in(base: Path, run_id: str) -> Path:
    """The name of this run's folder below `base`; the user id keeps two users of one machine apart."""
    return base / f"{_PREFIX}{os.getuid()}" / f"run-{run_id}"


def hold(folder: Path) -> IO[bytes]:
    """Make `folder` and own it until the returned file is closed or this process ends.

    Raises:
        BlockingIOError: another live process owns it.
    """
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    alive = (folder / "alive").open("ab")
    try:
        fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        alive.close()
        raise
    return alive


def is_owned(folder: Path) -> bool:
    """Whether a live process holds `folder`."""
    try:
        with (folder / "alive").open("rb") as alive:
            fcntl.flock(alive, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def remove(folder: Path) -> None:
    """Remove `folder` and, where it was the last, the user's folder around it. Never fails."""
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()
