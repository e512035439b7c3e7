"""The journal of one process: what happened, line by line, on disk the moment it happened.

One JSON object a line, each bound to the one before by its hash, so that a line changed or taken out is seen. A worker
that is killed loses nothing that it had written; at worst its last line is torn, and the reader names it.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_smartattend.errors import EvidenceError
from pytest_smartattend.evidence import encoding, stopwatch

VERSION = 1
#: `prev` of a journal's first line
START = "0" * 64
_SUFFIX = ".evidence.jsonl"
_HASH = ',"hash":"'
_HASH_LENGTH = len(_HASH) + 64 + len('"}')


class Journal:
    """Appends to this process's journal.

    Args:
        run: the run's id.
        worker: the name of this process in the run.
        folder: where the file is made; None keeps the chain and writes nothing.
    """

    def __init__(self, run: str, worker: str, folder: Path | None) -> None:
        self.seq = 0
        self.head = START
        self.worker = worker
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._fixed = f'{{"v":{VERSION},"run":{json.dumps(run)},"worker":{json.dumps(worker)},"pid":{self._pid}'
        self._file: int | None = None
        self._broken = ""
        if folder is not None:
            self._file = _open(folder / f"{worker}-{self._pid}{_SUFFIX}")

    @property
    def on_disk(self) -> bool:
        """Whether lines are written, not only chained."""
        return self._file is not None

    def append(self, kind: str, data: Mapping[str, object], *, test: str = "", attempt: int = 0) -> str:
        """Write one line and return its hash.

        Args:
            kind: what sort of line it is.
            data: its content; passes `encoding`.
            test: pytest's name of the test that it belongs to; empty for lines about the run.
            attempt: from 1, counted per test and process; 0 for lines about the run.

        Raises:
            EvidenceError: the content cannot be held, the file cannot be written, or this is another process than
                the one that opened the journal.
        """
        encoded = encoding.encode(data)
        if os.getpid() != self._pid:
            raise EvidenceError(
                "evidence was recorded in a forked process, which would break the journal's chain. Hand what it saw "
                "back to the test, and record it there."
            )
        with self._lock:
            mono = stopwatch.monotonic_ns()
            body = (
                f'{self._fixed},"seq":{self.seq + 1},"mono_ns":{mono},"wall":"{stopwatch.wall(mono)}","kind":"{kind}"'
                f',"test":{json.dumps(encoding.text(test))},"attempt":{attempt},"data":{encoded},"prev":"{self.head}"'
            )
            digest = hashlib.sha256(body.encode("ascii")).hexdigest()
            if self._file is not None:
                self._write(f'{body}{_HASH}{digest}"}}\n'.encode("ascii"))
            self.seq += 1
            self.head = digest
        return digest

    def _write(self, line: bytes) -> None:
        assert self._file is not None
        if self._broken:
            raise EvidenceError(self._broken)
        try:
            written = os.write(self._file, line)
            while written < len(line):
                written += os.write(self._file, line[written:])
        except OSError as problem:
            self._broken = (
                f"the journal of {self.worker} cannot be written ({problem.strerror}), so this run can show nothing. "
                "Make room in the temporary folder, or point TMPDIR to another."
            )
            raise EvidenceError(self._broken) from None

    def close(self) -> None:
        """Close the file. Lines appended later are chained and not written."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _open(path: Path) -> int:
    # The run's owner made the folder. Where it is gone, so is the run: a worker that made it again would leave it behind.
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as problem:
        raise EvidenceError(
            f"no journal can be made at {path} ({problem.strerror}). Make room in the temporary folder, or point TMPDIR "
            "to another."
        ) from None


@dataclass
class ReadJournal:
    """A journal as it was found.

    Attributes:
        name: the file's name.
        worker: who wrote it; empty where no line could be read.
        records: its lines up to the first fault, as mappings with the keys that `Journal.append` writes.
        head: hash of the last sound line.
        torn: the start of an unfinished last line; empty where there is none.
        faults: what is wrong with the chain, in words; empty for a sound journal.
    """

    name: str
    worker: str = ""
    records: list[dict[str, Any]] = field(default_factory=list)
    head: str = START
    torn: str = ""
    faults: list[str] = field(default_factory=list)


def read(path: Path, run: str) -> ReadJournal:
    """Read a journal and check its chain. Lines after the first fault are not used: nothing vouches for them."""
    found = ReadJournal(path.name)
    lines = path.read_bytes().split(b"\n")
    found.torn = lines.pop().decode("ascii", "replace")[:200]
    for number, line in enumerate(lines, start=1):
        record = _sound(line, number, run, found)
        if record is None:
            break
        found.records.append(record)
        found.head = record["hash"]
        found.worker = record["worker"]
    return found


def _sound(line: bytes, number: int, run: str, found: ReadJournal) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
        version, claimed = record["v"], record["hash"]
    except (ValueError, KeyError, TypeError):
        found.faults.append(f"line {number} of {found.name} is not a record")
        return None
    if hashlib.sha256(line[:-_HASH_LENGTH]).hexdigest() != claimed:
        found.faults.append(f"line {number} of {found.name} was changed after it was written")
    elif record["prev"] != found.head or record["seq"] != number:
        found.faults.append(f"line {number} of {found.name} does not follow the line before it")
    elif version != VERSION or record["run"] != run:
        found.faults.append(f"line {number} of {found.name} belongs to another run or version")
    else:
        return dict(record)
    return None


def read_all(folder: Path, run: str) -> list[ReadJournal]:
    """Every journal in `folder`, by name."""
    return [read(path, run) for path in sorted(folder.glob(f"*{_SUFFIX}"))]
