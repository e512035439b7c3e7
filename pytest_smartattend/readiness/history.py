"""The history of verdicts: one file, one line per finished run, each bound by its hash to the line before it.

Several runs may append at once; each line is written whole, in one piece, and reaches the disk. A line that was changed,
taken out or torn is found by whoever reads on, and has no say.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_smartattend.errors import EvidenceError

VERSION = 1
#: `prev` of the first line
START = "0" * 64
#: objectives that a line remembers
OBJECTIVES = 20
_HASH = ',"hash":"'


def entry_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """What later documents remember of this one."""
    votes = [group["consensus"] for group in document["groups"]]
    return {
        "run": document["run"]["id"],
        "at": document["run"]["finished"] or document["run"]["started"],
        "status": document["status"],
        "target": document["target"]["name"],
        "subject": document["subject"]["name"],
        "sha256": document["seal"]["sha256"],
        "scope": document["scope"]["text"],
        **{name: sum(one[name] for one in votes) for name in ("for", "against", "abstained")},
        "objectives": [
            {key: one[key] for key in ("name", "check", "unit", "observed")}
            for one in document["objectives"][:OBJECTIVES]
        ],
    }


def read(path: Path, last: int) -> tuple[list[dict[str, Any]], str]:
    """The last entries, oldest first, and what is wrong with the file; empty for nothing. No file is an empty history.

    Raises:
        EvidenceError: it cannot be read.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return [], ""
    except OSError as problem:
        raise _unusable(path, problem) from None
    found: list[dict[str, Any]] = []
    broken: list[str] = []
    head = START
    for number, line in enumerate(lines, start=1):
        if line:
            record = _sound(line, head)
            head = _hash_of(line)
            if record is None:
                broken.append(str(number))
            else:
                found.append(record["entry"])
    if not broken:
        return found[-last:], ""
    fault = (
        f"line {', '.join(broken[:5])}{' …' if broken[5:] else ''} of {path.name} was changed, torn, or follows a gap"
    )
    return found[-last:], f"{fault}; it has no say"


def append(path: Path, entry: Mapping[str, Any]) -> None:
    """Add a line, bound to the last one.

    Raises:
        EvidenceError: the file cannot be written.
    """
    with _held(path) as file:
        size = os.fstat(file).st_size
        tail = os.pread(file, min(size, 2**20), max(0, size - 2**20)).split(b"\n")
        # A run that was killed while it wrote leaves a torn line: it stays where it is, and is found by readers.
        torn = bool(tail[-1])
        last = next((line for line in reversed(tail) if line), b"")
        head = _hash_of(last) if last else START
        body = json.dumps({"v": VERSION, "entry": entry, "prev": head}, separators=(",", ":"))[:-1]
        digest = hashlib.sha256(body.encode("ascii")).hexdigest()
        line = f'{chr(10) if torn else ""}{body}{_HASH}{digest}"}}\n'.encode("ascii")
        if os.write(file, line) != len(line):
            raise EvidenceError(f"{path}: a line of history was not written whole. Make room on its disk.")
        os.fsync(file)


def must_be_usable(path: Path) -> None:
    """Say before the run, not after it, that the file cannot be appended to.

    Raises:
        EvidenceError: it cannot.
    """
    with _held(path):
        pass


@contextlib.contextmanager
def _held(path: Path) -> Iterator[int]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    except OSError as problem:
        raise _unusable(path, problem) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
    except OSError as problem:
        raise _unusable(path, problem) from None
    finally:
        os.close(file)


def _unusable(path: Path, problem: OSError) -> EvidenceError:
    return EvidenceError(
        f"{path} cannot be used as a history ({problem.strerror}). Name a file that can be written by "
        "--smartattend-history."
    )


def _sound(line: bytes, head: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
        is_whole = hashlib.sha256(line[: line.rindex(_HASH.encode())]).hexdigest() == record["hash"]
        is_bound = record["prev"] == head and record["v"] == VERSION and isinstance(record["entry"], dict)
    except (ValueError, KeyError, TypeError):
        return None
    return record if is_whole and is_bound else None


def _hash_of(line: bytes) -> str:
    """The hash that the next line is bound to: the line's own, or that of its bytes where it is broken."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return str(json.loads(line)["hash"])
    return hashlib.sha256(line).hexdigest()
