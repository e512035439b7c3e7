"""Pages on disk: one is damaged on purpose, and damaged ones are found without the server."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_smartattend.errors import ServerFailed, UsageError
from pytest_smartattend.postgres import page_checksums
from pytest_smartattend.postgres.node import Node
from pytest_smartattend.postgres.page_checksums import PAGE
from pytest_smartattend.postgres.programs import Programs

#: pages in one file of a relation; the next file has the number of the segment as its ending
_IN_FILE = 2**30 // PAGE
_RELATION = re.compile(r"t?\d+(?:_\d+)?(?:_(?:fsm|vm|init))?(?:\.(\d+))?")
_ADVISORY = re.compile(r'in file "([^"]+)", block (\d+): calculated ([0-9A-F]+) but expected ([0-9A-F]+)')
# A page that is being written while it is read is half new. It is whole a moment later.
_LOOKS = 5
_MOMENT = 0.02  # seconds


@dataclass(frozen=True)
class BadPage:
    """A page whose checksum is not that of its content.

    Attributes:
        file: relative to the data directory, as in ``base/5/16384.1``.
        block: its number in the file, from 0.
        stored, computed: the checksum that stands in it, and what it should be.
    """

    file: str
    block: int
    stored: int
    computed: int

    def __str__(self) -> str:
        return f"{self.file} block {self.block}: {self.stored:04X} is stored, {self.computed:04X} computed"


@dataclass(frozen=True)
class HeapPage:
    """A page of a table on disk.

    Attributes:
        data: the data directory.
        file: relative to it.
        block: its number in the file, from 0.
        rows: how many rows it holds that a query would see.
    """

    data: Path
    file: str
    block: int
    rows: int

    def flip(self, *, length: int = 16) -> tuple[int, bytes, bytes]:
        """Invert every bit of `length` bytes in the last row of the page, on disk and past the server.

        A copy of the page in the server's memory stays as it was, and may be read or written back later: take a cold
        page, or restart the server.

        Returns:
            where in the page, what was there, and what is there now.
        """
        at = PAGE - length
        with (self.data / self.file).open("r+b") as file:
            file.seek(self.block * PAGE + at)
            before = file.read(length)
            after = bytes(byte ^ 0xFF for byte in before)
            file.seek(self.block * PAGE + at)
            file.write(after)
            file.flush()
            os.fsync(file.fileno())
        return at, before, after


def find_heap_page(node: Node, table: str, database: str = "postgres") -> HeapPage:
    """The page of `table` with the most rows, after a checkpoint, so that it stands on disk as it is.

    Raises:
        UsageError: the table is empty.
    """
    with node.connect(database) as connection:
        connection.execute("CHECKPOINT")
        found = connection.execute(
            "SELECT pg_relation_filepath(%s::regclass), (ctid::text::point)[0]::bigint AS block, count(*) "
            f"FROM {table} GROUP BY block ORDER BY count(*) DESC, block LIMIT 1".encode(),
            [table],
        ).fetchone()
    if found is None:
        raise UsageError(f"The table {table} is empty, so it has no page to damage. Write to it first.")
    file, number, rows = found
    segment, block = divmod(int(number), _IN_FILE)
    return HeapPage(node.data, f"{file}.{segment}" if segment else str(file), block, int(rows))


def verify(data: Path) -> tuple[list[BadPage], int]:
    """Read every page below a data directory, of a running server too, past the server.

    Returns:
        the damaged ones, and how many pages were read.
    """
    bad, count = [], 0
    for path, segment in _relations(data):
        name = str(path.relative_to(data))
        try:
            with path.open("rb") as file:
                for block, page in enumerate(iter(lambda file=file: file.read(PAGE), b"")):  # type: ignore[misc]
                    count += 1
                    if len(page) == PAGE and (found := _judge(path, name, block, segment, page)):
                        bad.append(found)
        except FileNotFoundError:
            continue  # dropped meanwhile
    return bad, count


def _relations(data: Path) -> Iterator[tuple[Path, int]]:
    """The files of relations, with the number of their segment."""
    for folder in (data / "global", data / "base"):
        for path in sorted(folder.rglob("*")):
            if (named := _RELATION.fullmatch(path.name)) and path.is_file() and "pgsql_tmp" not in path.parts:
                yield path, int(named[1] or 0)


def _judge(path: Path, name: str, block: int, segment: int, page: bytes) -> BadPage | None:
    for look in range(_LOOKS):
        if page_checksums.is_new(page):
            return None
        due, there = page_checksums.checksum(page, segment * _IN_FILE + block), page_checksums.stored(page)
        if due == there:
            return None
        if look < _LOOKS - 1:
            time.sleep(_MOMENT)
            with path.open("rb") as file:
                file.seek(block * PAGE)
                page = file.read(PAGE)
            if len(page) < PAGE:
                return None  # cut off meanwhile
    return BadPage(name, block, there, due)


def verify_by_backup(node: Node) -> list[BadPage]:
    """Have the running server read every page of its own from disk, as for a base backup that nobody keeps.

    Raises:
        ServerFailed: it failed for another reason than a damaged page.
    """
    words: list[str | Path] = ["-D", "-", "-F", "tar", "-X", "none", "-d", node.words, "-c", "fast", "--no-manifest"]
    done = node.programs.try_run("pg_basebackup", *words, output=subprocess.DEVNULL)
    bad = [
        BadPage(file.removeprefix("./"), int(block), int(due, 16), int(made, 16))
        for file, block, made, due in _ADVISORY.findall(done.stderr)
    ]
    if done.returncode != 0 and not bad:
        raise ServerFailed(f"{node.name} could not read all of its pages: {done.stderr.strip()[-2000:]}. See its log.")
    return bad


def verify_stopped(programs: Programs, data: Path) -> str | None:
    """Have ``pg_checksums`` read every page of a cluster that was stopped cleanly.

    Returns:
        what it said against it, None for nothing.

    Raises:
        UsageError: the cluster runs, or was killed.
    """
    done = programs.try_run("pg_checksums", "--check", "-D", data)
    if "cluster must be shut down" in done.stderr:
        raise UsageError(f"pg_checksums reads {data} only after a clean stop. Use pages.verify, which does without.")
    return None if done.returncode == 0 else (done.stderr + done.stdout).strip()
