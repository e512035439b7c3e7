"""What jobs came to: appended, never changed, each bound to the one before by its hash."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import rfc8785

from pytest_smartattend.errors import EvidenceError

#: `prev` of the first result
START = "0" * 64


class Results:
    """A folder with one file per result, ``00000001.json`` and on.

    Args:
        folder: made if it is not there.

    Raises:
        EvidenceError: the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise EvidenceError(f"{folder} cannot be made ({problem.strerror}). Name another --state.") from None

    def append(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Write the next result, whole and on disk before this returns.

        Args:
            content: plain JSON; ``job`` and ``kind`` are what it is found by.

        Raises:
            EvidenceError: it cannot be written.
        """
        with self._lock:
            last = self._last()
            entry: dict[str, Any] = {
                **content,
                "seq": last["seq"] + 1 if last else 1,
                "prev": last["hash"] if last else START,
            }
            entry["hash"] = _hash(entry)
            path = self._path(entry["seq"])
            draft = path.with_suffix(".tmp")
            try:
                with draft.open("w", encoding="utf-8") as file:
                    json.dump(entry, file, ensure_ascii=True, allow_nan=False)
                    file.flush()
                    os.fsync(file.fileno())
                draft.chmod(0o400)
                os.link(draft, path)  # refuses to take the place of another
            except OSError as problem:
                raise EvidenceError(
                    f"{path} cannot be written ({problem.strerror}). Make room; let one service use the folder."
                ) from None
            finally:
                draft.unlink(missing_ok=True)
        return entry

    def latest(self, kind: str) -> dict[str, Any] | None:
        """The newest result of a kind, whatever it says; None where there is none.

        Raises:
            EvidenceError: this result or a newer one was changed, or one is missing.
        """
        newer: dict[str, Any] | None = None
        for entry in self._newest_first():
            if newer is not None and newer["prev"] != entry["hash"]:
                raise EvidenceError(_damaged(self._path(entry["seq"])))
            if entry["kind"] == kind:
                self._check_before(entry)
                return entry
            newer = entry
        return None

    def of(self, job: str) -> dict[str, Any] | None:
        """The result of one job; None where there is none."""
        return next((entry for entry in self._newest_first() if entry["job"] == job), None)

    def _newest_first(self) -> Iterator[dict[str, Any]]:
        for number in range(self._count(), 0, -1):
            yield self._read(number)

    def _check_before(self, entry: Mapping[str, Any]) -> None:
        before = self._read(entry["seq"] - 1)["hash"] if entry["seq"] > 1 else START
        if entry["prev"] != before:
            raise EvidenceError(_damaged(self._path(entry["seq"])))

    def _last(self) -> dict[str, Any] | None:
        number = self._count()
        return self._read(number) if number else None

    def _count(self) -> int:
        return max((int(path.stem) for path in self._folder.glob("*.json") if path.stem.isdecimal()), default=0)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:08d}.json"

    def _read(self, number: int) -> dict[str, Any]:
        path = self._path(number)
        try:
            entry = json.loads(path.read_bytes())
            sound = entry["seq"] == number and entry["hash"] == _hash(entry)
        except (OSError, ValueError, KeyError, TypeError):
            sound = False
        if not sound:
            raise EvidenceError(_damaged(path))
        return dict(entry)


def _hash(entry: Mapping[str, Any]) -> str:
    return hashlib.sha256(rfc8785.dumps({name: value for name, value in entry.items() if name != "hash"})).hexdigest()


def _damaged(path: Path) -> str:
    return f"{path} was changed or taken away. Put the folder back as it was, or run the validation again."
