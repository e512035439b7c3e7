"""The folder of reports: written whole or not at all, and never left with an older verdict than the run that began."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_smartattend.errors import EvidenceError, UsageError
from pytest_smartattend.evidence import encoding, redaction
from pytest_smartattend.readiness import reading, sealing
from pytest_smartattend.readiness.history import entry_of
from pytest_smartattend.readiness.page import render

DOCUMENT = "readiness.json"
PAGE = "readiness.html"
PROOF = "proof.json"
#: a document that a later run, which wrote none, has put aside
PREVIOUS = "previous.json"
#: the order of keys in the file: what decides comes first
_ORDER = (
    "schema_version", "status", "status_reasons", "target", "subject", "scope", "run", "integrity", "groups",
    "objectives", "findings", "recommendations", "faults", "proof", "versions", "not_exercised", "history", "history_fault",
)  # fmt: skip


def signing_key() -> bytes:
    """The key in the environment; empty where there is none.

    Raises:
        UsageError: it is too short to protect anything.
    """
    key = os.environ.get(sealing.KEY_VARIABLE, "").encode("utf-8", "surrogateescape")
    if key and len(key) < sealing.LEAST_KEY:
        raise UsageError(
            f"{sealing.KEY_VARIABLE} has {len(key)} bytes, at least {sealing.LEAST_KEY} are needed. "
            "Make one with: python -c 'import secrets; print(secrets.token_hex(32))'"
        )
    return key


def write(folder: Path, document: Mapping[str, Any]) -> dict[str, Any]:
    """Seal the document and write it and its page, atomically. Returns it with its seal.

    Raises:
        EvidenceError: it is not to the schema, or the folder cannot be written.
    """
    ordered = {name: document[name] for name in _ORDER if name in document}
    ordered = _presentable(ordered)
    ordered["seal"] = sealing.seal(ordered, signing_key())
    faults = reading.schema_faults(ordered)
    if faults:
        raise EvidenceError(f"the document of this run is not to the schema: {'; '.join(faults)}. Report this defect.")
    _replace(folder / DOCUMENT, json.dumps(ordered, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    _replace(folder / PAGE, render.render(ordered))
    return ordered


def _presentable(document: dict[str, Any]) -> dict[str, Any]:
    """The document without secrets, and without lone surrogates of a test's name or message."""
    text = json.dumps(document, ensure_ascii=False)
    found: dict[str, Any] = redaction.redacted_values(document) if redaction.has_a_hint(text) else document
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        found = encoding.well_formed(found)
    return found


def _replace(path: Path, content: str, option: str = "--smartattend-report") -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as problem:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise EvidenceError(
            f"{path} cannot be written ({problem.strerror}). Make the folder writable or name another by {option}."
        ) from None


def set_aside(folder: Path) -> None:
    """Take an older run's document out of the place where a gate would look for this run's."""
    with contextlib.suppress(OSError):
        (folder / DOCUMENT).replace(folder / PREVIOUS)
    with contextlib.suppress(OSError):
        (folder / PAGE).unlink(missing_ok=True)


def history(folder: Path) -> list[dict[str, Any]]:
    """The history for the next document: the present document's, and the present document itself.

    One that is broken or was changed by hand has no say.
    """
    path = folder / DOCUMENT
    try:
        document = reading.read(path if path.exists() else folder / PREVIOUS)
    except EvidenceError:
        return []
    if sealing.faults(document, signing_key(), must_be_signed=False):
        return []
    return [*document["history"], entry_of(document)]


def proof(folder: Path) -> dict[str, Any] | None:
    """The last proof run's matrix, as far as it is in the format that we know; None where there is none."""
    try:
        found = json.loads((folder / PROOF).read_bytes())
        return {
            "made_at": str(found["made_at"]),
            "sabotages": [
                {
                    "name": str(one["name"]),
                    "breaks": str(one["breaks"]),
                    "promised": [str(name) for name in one["promised"]],
                    "caught_by": [str(name) for name in one["caught_by"]],
                    "status": "caught" if one["status"] == "caught" else "missed",
                }
                for one in found["sabotages"]
            ],
            "checks": [
                {"id": str(one["id"]), "caught": [str(name) for name in one["caught"]]} for one in found["checks"]
            ],
        }
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check_proof_place(path: Path) -> None:
    """Hold that a proof can be written to `path`, before the minutes that it takes are spent.

    Raises:
        UsageError: it is a folder, or no file can be made beside it.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as problem:
        raise UsageError(
            f"--out={path}: no proof can be written there ({problem.strerror}). Name a file in a folder that you may write to."
        ) from None


def write_proof(path: Path, found: Mapping[str, Any]) -> None:
    """Write a proof run's matrix, whole or not at all.

    Raises:
        EvidenceError: it cannot be written.
    """
    _replace(path, json.dumps(found, indent=1) + "\n", "--out")
