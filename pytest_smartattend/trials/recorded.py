"""Recorded incidents in files, and the heads that are kept beside them."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from pytest_smartattend.engine import incident_record, record_seal
from pytest_smartattend.engine.incident_record import Document
from pytest_smartattend.engine.replay_verdict import EQUAL
from pytest_smartattend.errors import RecordRefused, UsageError

#: beside the incidents: what is known of each apart from its file, by the file's name without ``.json``
HEADS = "heads.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Recording:
    """One file, before it is read.

    Attributes:
        path: where it lies.
        known: what ``heads.json`` says of it: ``head`` and ``digest``; ``verdict``, ``rule`` and ``exact`` where a replay
            must not end as usual. Empty where nobody kept anything.
        shipped: whether it came with this package.
    """

    path: Path
    known: Mapping[str, Any]
    shipped: bool = False

    @property
    def name(self) -> str:
        """The file's name without its ending: the cell of the check."""
        return self.path.stem

    @property
    def verdict(self) -> str:
        """How its replay must end."""
        return str(self.known.get("verdict", EQUAL))

    @property
    def rule(self) -> str:
        """The refusal that its replay must end in; empty for none."""
        return str(self.known.get("rule", ""))

    @property
    def exact(self) -> bool:
        """Whether the platform's own doings were recorded on a virtual clock, so that they are never late."""
        return bool(self.known.get("exact", False))

    def read(self, key: bytes = b"") -> Document:
        """The document, if it can be trusted.

        Args:
            key: the platform's signing key; empty where it is not at hand. What ships with this package is not signed:
                its digests are kept beside it.

        Raises:
            RecordRefused: it cannot be read or trusted; names every reason.
        """
        document = incident_record.read(bounded(self.path), self.path.name)
        found = record_seal.faults_of(document, key=b"" if self.shipped else key, head=self.known.get("head"))
        if self.known.get("digest", document["digest"]) != document["digest"]:
            found.append(f"{HEADS} keeps the digest of another document")
        if found:
            raise RecordRefused(
                f"{self.path.name} cannot be trusted: {'; '.join(found)}. Find out who changed it; export it anew."
            )
        return document


def shipped() -> list[Recording]:
    """The recorded incidents that came with this package."""
    return recordings(Path(str(resources.files("pytest_smartattend.fixtures"))) / "incidents", shipped=True)


def recordings(folder: Path, *, shipped: bool = False) -> list[Recording]:
    """The recorded incidents in `folder`, by name.

    Raises:
        UsageError: there is none, the folder cannot be read, or a file has a name that no check can have.
    """
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix == ".json" and path.name != HEADS)
    except OSError as problem:
        raise UsageError(
            f"{folder}: cannot be read ({problem.strerror}). Name a folder of exported incidents."
        ) from None
    if not files:
        raise UsageError(f"{folder}: there is no exported incident. Fill it: smartattend export URL ID --out {folder}")
    strange = [path.name for path in files if not _NAME.fullmatch(path.stem)]
    if strange:
        raise UsageError(f"{folder}: {strange[0]!r} cannot be the name of a check. Use letters, digits, '.', '_', '-'.")
    heads = known_heads(folder)
    return [Recording(path, heads.get(path.stem, {}), shipped) for path in files]


def recording(path: Path) -> Recording:
    """One file, with what is kept beside it."""
    return Recording(path, known_heads(path.parent).get(path.stem, {}))


def known_heads(folder: Path) -> dict[str, dict[str, Any]]:
    """What ``heads.json`` in `folder` says; nothing where there is none.

    Raises:
        UsageError: it is not what `keep` writes.
    """
    path = folder / HEADS
    if not path.exists():
        return {}
    try:
        told = json.loads(bounded(path))
        known = {str(name): dict(one) for name, one in told.items()}
        for one in known.values():
            str(one["digest"]), int(one["head"]["seq"]), str(one["head"]["hash"])
    except (ValueError, RecursionError, AttributeError, TypeError, KeyError):
        raise UsageError(f"{path}: is not a table of names with head and digest. Take it out or restore it.") from None
    return known


def keep(document: Document, path: Path, **more: object) -> None:
    """Write `document` into `path` in canonical form, and its head and digest beside it.

    Args:
        document: a sound one.
        path: a new file; its folder is made where it is missing.
        more: ``verdict``, ``rule``, ``exact``: see `Recording`.

    Raises:
        RecordRefused: the file exists already and is no exported incident.
        UsageError: it exists already and holds another record, or cannot be written.
    """
    content = incident_record.canonical(document)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            if incident_record.read(bounded(path), path.name)["digest"] != document["digest"]:
                raise UsageError(f"{path} exists already and is another incident, or an older state. Remove it first.")
            content = bounded(path)  # an earlier export of the same, with its own header
        heads = known_heads(path.parent)
        heads[path.stem] = {"digest": document["digest"], "head": document["record"]["source"]["head"], **more}
        _replace(path, content)
        _replace(path.parent / HEADS, (json.dumps(heads, indent=1, sort_keys=True) + "\n").encode())
    except OSError as problem:
        raise UsageError(f"{path}: cannot be written ({problem.strerror}). Name another place.") from None


def bounded(path: Path) -> bytes:
    """The bytes of a plain file of a bearable size.

    Raises:
        RecordRefused: it cannot be read, is no plain file, or is too large.
    """
    limit = incident_record.SIZE_LIMIT
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise RecordRefused(f"{path} is no plain file. Name an exported incident.")
        if about.st_size > limit:
            raise RecordRefused(
                f"{path} is larger than {limit} bytes. Export the incident anew: smartattend export URL ID."
            )
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as problem:
        raise RecordRefused(f"{path} cannot be read ({problem.strerror}). Name an exported incident.") from None


def _replace(path: Path, content: bytes) -> None:
    half = path.with_name(f".{path.name}.tmp")
    half.write_bytes(content)
    half.replace(path)
