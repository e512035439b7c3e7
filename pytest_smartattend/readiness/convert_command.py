"""``smartattend convert``: a readiness.json as CTRF and JUnit, for tools that know no other format."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from pytest_smartattend.errors import EvidenceError, UsageError
from pytest_smartattend.readiness import folder, formats, reading, sealing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a readiness.json")
    parser.add_argument("--ctrf", type=Path, metavar="FILE", help="write a CTRF report there")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML there")


def run(arguments: argparse.Namespace) -> int:
    """Convert; 0 whatever the verdict is, for `smartattend gate` is there to tell.

    Raises:
        UsageError: nothing is asked for, or there is no such document.
        EvidenceError: the document cannot be read, was changed, or a file cannot be written.
    """
    if not (arguments.ctrf or arguments.junit):
        raise UsageError("say what to write: --ctrf=FILE, --junit=FILE, or both.")
    if not arguments.file.is_file():
        raise UsageError(f"there is no file {arguments.file}. Name a readiness.json.")
    document = reading.read(arguments.file)
    faults = sealing.faults(document, folder.signing_key(), must_be_signed=False)
    if faults:
        raise EvidenceError(f"{arguments.file}: {'; '.join(faults)}. Take the document as the run wrote it.")
    if arguments.ctrf:
        _write(arguments.ctrf, json.dumps(formats.ctrf(document), indent=1).encode() + b"\n")
    if arguments.junit:
        _write(arguments.junit, formats.junit(document))
    return 0


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as problem:
        raise EvidenceError(f"{path} cannot be written ({problem.strerror}). Name another file.") from None
    print(f"wrote {path}")
