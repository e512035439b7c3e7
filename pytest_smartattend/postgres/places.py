"""Where on this machine a cluster lies: in memory where there is room, else on disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_smartattend.errors import ServerFailed

#: a cluster takes 28 MB, each database made from a template of a usual size 8 to 12
ROOM = 512 * 2**20
LEAST = 120 * 2**20
_LONGEST_SOCKET = 100  # bytes; the kernel takes 107 on Linux and 103 on macOS


@dataclass(frozen=True)
class Place:
    """A run's folder with room for a server.

    Attributes:
        folder: one of the run's folders.
        sockets: one of the run's folders whose path is short enough for a socket below it.
        notes: what was passed over, and why.
    """

    folder: Path
    sockets: Path
    notes: tuple[str, ...]


def free(folder: Path) -> int:
    """Bytes that may still be written below `folder`."""
    with contextlib.suppress(OSError):
        return shutil.disk_usage(folder).free
    return 0


def choose(folders: Sequence[Path]) -> Place:
    """The first of the run's folders with `ROOM`, else the roomiest with `LEAST`.

    Raises:
        ServerFailed: none has room, or the run has no folder at all.
    """
    notes = []
    known = {folder.parent.parent for folder in folders}
    memory = Path("/dev/shm")  # noqa: S108
    if memory not in known and memory.is_dir():
        notes.append(f"{memory} cannot be written to")
    usable: list[tuple[int, Path]] = []
    for folder in folders:
        base, room = folder.parent.parent, free(folder)
        usable.append((room, folder))
        if room >= ROOM:
            return Place(folder, _short(folder, folders), tuple(notes))
        notes.append(f"{base} has {room >> 20} MB free, {ROOM >> 20} MB are wanted")
    if usable:
        room, folder = max(usable)
        if room >= LEAST:
            return Place(folder, _short(folder, folders), tuple(notes))
    raise ServerFailed(
        f"There is no room for a PostgreSQL server: {'; '.join(notes) or 'no folder can be written to'}. Free "
        f"{LEAST >> 20} MB in {tempfile.gettempdir()}, or set TMPDIR to a folder with room and a short path."
    )


def _short(folder: Path, folders: Sequence[Path]) -> Path:
    for candidate in (folder, *reversed(folders)):
        if len(os.fsencode(candidate)) <= _LONGEST_SOCKET - len("/pg/.s.PGSQL.5432"):
            return candidate
    raise ServerFailed(f"{folder} has too long a path for a socket. Set TMPDIR to a folder with a short path.")
