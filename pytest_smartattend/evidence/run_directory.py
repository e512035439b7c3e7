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
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

_PREFIX = "smartattend-"
_ALIVE = "alive"
_YOUNG = 60.0  # seconds for which a folder that nobody owns may still be in the making
_LONG = 40  # bytes; the name of a socket has about 50 more, and 103 in all on macOS


def bases() -> tuple[Path, ...]:
    """Where folders of runs may lie: tmpfs first where there is one, then the temporary folder.

    Where the temporary folder's path is too long for a socket below it (macOS), ``/tmp`` comes last. A base that is missing, read-only or closed to us, or in which somebody else took our name, is left out. The answer
    is the same in the controller and its workers.
    """
    temporary = Path(tempfile.gettempdir())
    found = [Path("/dev/shm"), temporary]  # noqa: S108
    if len(os.fsencode(temporary)) > _LONG:
        found.append(Path("/tmp"))  # noqa: S108
    return tuple(base for base in dict.fromkeys(found) if os.access(base, os.W_OK | os.X_OK) and _is_ours(base))


def user_folder(base: Path) -> Path:
    """Our folder below `base`; the user id keeps two users of one machine apart."""
    return base / f"{_PREFIX}{os.getuid()}"


def folder_in(base: Path, run_id: str) -> Path:
    """The name of this run's folder below `base`."""
    return user_folder(base) / f"run-{run_id}"


def _is_ours(base: Path) -> bool:
    # A name in a shared folder can be taken by anyone beforehand: a link, or a folder that others may write to.
    try:
        found = user_folder(base).lstat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022


def make_user_folder(base: Path) -> Path:
    """Make our folder below `base` where it is missing.

    Raises:
        OSError: it cannot be made, or somebody else took its name.
    """
    folder = user_folder(base)
    # Root's server may have to run as another user, who must pass through here; nobody may look around.
    with contextlib.suppress(FileExistsError):  # not `exist_ok`: that fails where a run that ends removes it just then
        folder.mkdir(mode=0o711 if os.getuid() == 0 else 0o700)
    if not _is_ours(base):
        raise PermissionError(f"{folder} belongs to somebody else or is open to others. Remove it, or set TMPDIR.")
    return folder


def hold(folder: Path) -> IO[bytes]:
    """Make `folder` and own it until the returned file is closed or this process ends.

    It appears under its name only once it is owned, so that nobody takes it for a dead run's in between.

    Raises:
        BlockingIOError: another live process owns it.
        OSError: it cannot be made: no space, no permission.
    """
    made = folder if folder.exists() else _new(folder)
    try:
        alive = (made / _ALIVE).open("ab")
    except OSError:
        _discard(made, folder)
        raise
    try:
        # Of a new folder nobody else is the owner; but who looks for abandoned ones has its lock for an instant.
        fcntl.flock(alive, fcntl.LOCK_EX | (0 if made != folder else fcntl.LOCK_NB))
        if made != folder:
            made.chmod(folder.parent.stat().st_mode & 0o777)
            made.rename(folder)
    except OSError:
        alive.close()
        _discard(made, folder)
        raise
    return alive


def _new(folder: Path) -> Path:
    for _ in range(20):  # a run that ends may remove the user's folder, empty by then, just as we begin
        with contextlib.suppress(FileNotFoundError):
            return Path(tempfile.mkdtemp(prefix=".new-", dir=make_user_folder(folder.parent.parent)))
    raise FileNotFoundError(
        f"{folder.parent} vanishes as soon as it is made. Does something clean {folder.parent.parent}?"
    )


def _discard(made: Path, folder: Path) -> None:
    if made != folder:
        shutil.rmtree(made, ignore_errors=True)


def is_owned(folder: Path) -> bool:
    """Whether a live process holds `folder`."""
    try:
        with (folder / _ALIVE).open("rb") as alive:
            fcntl.flock(alive, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def abandoned() -> Iterator[Path]:
    """Folders of runs whose owner is gone, below every base. Whoever removes one first ends the processes in it."""
    for base in bases():
        with contextlib.suppress(OSError):
            for folder in sorted(user_folder(base).iterdir()):
                named = folder.name.startswith("run-") or (folder.name.startswith(".new-") and not _is_young(folder))
                if named and not is_owned(folder):
                    yield folder


def _is_young(made: Path) -> bool:
    # Between making a folder and owning it there is a moment, and a loaded machine makes it long.
    with contextlib.suppress(FileNotFoundError):
        return time.time() - made.stat().st_mtime < _YOUNG
    return True


def remove(folder: Path) -> None:
    """Remove `folder` and, where it was the last, the user's folder around it. Never fails."""
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()
