"""Incidents that were reported while their store was away: on disk before they are answered, gone when they are stored.

A folder belongs to one installation; each worker appends to a file of its own there, which it holds locked as long as it
lives. So a file that can be locked is a dead worker's, and whoever locks it brings it in. A line is a checksum and a JSON
object. Only whole lines were ever answered: what is torn at the end of a file was promised to nobody.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from pytest_smartattend.reference.domain.incident import Severity
from pytest_smartattend.reference.domain.lifecycle import Report
from pytest_smartattend.reference.domain.ports import write_instant

log = logging.getLogger(__name__)

ENDING = ".spool"
#: of a file with lines that cannot be read, kept for a person
DAMAGED = ".damaged"


@dataclass(frozen=True, slots=True)
class Spooled:
    """A report that waits. Everything that it will be is decided: its id, who reported it and when."""

    incident_id: UUID
    tenant_id: UUID
    report: Report
    by: UUID
    actor: str
    at: datetime

    def line(self) -> bytes:
        """The line of the file: CRC-32 in eight hexadecimal digits, a blank, JSON."""
        told = {
            "incident_id": str(self.incident_id),
            "tenant_id": str(self.tenant_id),
            "title": self.report.title,
            "description": self.report.description,
            "severity": self.report.severity.value,
            "by": str(self.by),
            "actor": self.actor,
            "at": write_instant(self.at),
        }
        content = json.dumps(told).encode()
        return b"%08x %s\n" % (zlib.crc32(content), content)


def read(line: bytes) -> Spooled | None:
    """What a line says; None where it is not whole, or not as it was written."""
    checksum, _, content = line.rstrip(b"\n").partition(b" ")
    try:
        if not line.endswith(b"\n") or int(checksum, 16) != zlib.crc32(content):
            return None
        return _entry(json.loads(content))
    except (ValueError, KeyError, TypeError):
        return None


def _entry(told: Mapping[str, Any]) -> Spooled:
    return Spooled(
        UUID(told["incident_id"]),
        UUID(told["tenant_id"]),
        Report(told["title"], told["description"], Severity(told["severity"])),
        UUID(told["by"]),
        told["actor"],
        datetime.fromisoformat(told["at"]),
    )


class SpoolFile:
    """One locked file.

    Args:
        path: of the file.
        descriptor: open for reading and appending, and locked.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._brought_in = 0

    @classmethod
    def create(cls, folder: Path) -> SpoolFile:
        """A new file of this worker's own, in `folder`, which is made where it is missing.

        Raises:
            OSError: it cannot be made, or there is nothing to make it in. What lies above is not made: reports under
                the place where a disk is not mounted would be found by nobody.
        """
        folder.mkdir(exist_ok=True)
        path = folder / f"{uuid.uuid4().hex}{ENDING}"
        making = path.with_suffix(".making")  # nobody may find it before it is locked
        descriptor = os.open(making, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        making.rename(path)
        _sync_folder(folder)
        return cls(path, descriptor)

    @classmethod
    def abandoned(cls, folder: Path) -> list[SpoolFile]:
        """The files whose worker is dead, locked now by us. Look at the folder's own rights first: it is trusted."""
        found = []
        for path in sorted(folder.glob(f"*{ENDING}")):
            with contextlib.suppress(OSError):  # somebody else was first
                descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if os.fstat(descriptor).st_nlink:  # not unlinked between the two
                        found.append(cls(path, descriptor))
                        continue
                except OSError:
                    os.close(descriptor)
                    continue
                os.close(descriptor)
        return found

    def append(self, line: bytes) -> None:
        """Write a line and have it on disk before this returns.

        Raises:
            OSError: it could not be; the file is as it was.
        """
        before = os.fstat(self._descriptor).st_size
        try:
            written = 0
            while written < len(line):
                written += os.write(self._descriptor, line[written:])
            os.fsync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, before)  # of a line that was refused nothing may come in
            raise

    def waiting(self) -> tuple[list[Spooled], int, int]:
        """The entries that were not brought in yet, where they end, and how many lines before that cannot be read."""
        size = os.fstat(self._descriptor).st_size
        content = os.pread(self._descriptor, size - self._brought_in, self._brought_in)
        lines = content.splitlines(keepends=True)
        entries = self.whole(lines)
        torn = bool(lines) and not lines[-1].endswith(b"\n")
        return entries, size, len(lines) - len(entries) - torn

    def whole(self, lines: list[bytes]) -> list[Spooled]:
        """What can be read of these lines."""
        return [entry for line in lines if (entry := read(line)) is not None]

    def brought_in(self, end: int) -> bool:
        """Note that everything before `end` is in the store. Returns whether nothing is left."""
        self._brought_in = end
        if os.fstat(self._descriptor).st_size > end:
            return False
        os.ftruncate(self._descriptor, 0)
        os.fsync(self._descriptor)
        self._brought_in = 0
        return True

    def put_aside(self) -> None:
        """Keep a file with unreadable lines under another name, for a person."""
        aside = self.path.with_name(f"{self.path.stem}-{uuid.uuid4().hex[:8]}{DAMAGED}")
        with aside.open("xb") as copy:
            copy.write(os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0))
            os.fsync(copy.fileno())
        log.error("%s holds lines that cannot be read; it is kept as %s: look into it", self.path, aside)

    def close(self) -> None:
        """Let the lock go; an empty file goes too."""
        if not os.fstat(self._descriptor).st_size:
            self.path.unlink(missing_ok=True)
        os.close(self._descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
