"""``smartattend merge``: put the documents of all shards together, write the report, and gate it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from pytest_smartattend.errors import EvidenceError, UsageError
from pytest_smartattend.readiness import folder, history, reading, sealing
from pytest_smartattend.readiness.document import HISTORY
from pytest_smartattend.readiness.gate import Question, ask, check_allowed
from pytest_smartattend.readiness.gate_command import add_judging_arguments, question_from, told
from pytest_smartattend.readiness.merging import merge
from pytest_smartattend.readiness.reasons import STATUSES, UNTRUSTWORTHY
from pytest_smartattend.readiness.verdict import contradictions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="the readiness.json of every shard")
    parser.add_argument(
        "--report", type=Path, required=True, metavar="FOLDER", help="where readiness.json and readiness.html go"
    )
    parser.add_argument("--history", type=Path, metavar="FILE", help="append the verdict to this file; shows the trend")
    add_judging_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Exit as the gate does; 30 for parts of different runs and 40 for a part that cannot be trusted, without a report."""
    check_allowed(arguments.allow)
    question = question_from(arguments)
    if any(path.resolve() == (arguments.report / folder.DOCUMENT).resolve() for path in arguments.files):
        raise UsageError(f"{arguments.report} holds one of the shards. Name another folder for the whole.")
    past, fault = _past(arguments)
    folder.set_aside(arguments.report)  # whatever comes of this, an older verdict is not it
    try:
        shards = [_read(path, question) for path in arguments.files]
    except EvidenceError as problem:
        print(f"UNTRUSTWORTHY: {problem}", file=sys.stderr)
        return UNTRUSTWORTHY
    try:
        merged = merge(shards, question.requirements, past, fault)
    except EvidenceError as problem:
        print(f"INCOMPLETE: {problem}", file=sys.stderr)
        return STATUSES["incomplete"]
    merged["proof"] = merged["proof"] or folder.proof(arguments.report)
    written = folder.write(arguments.report, merged)
    if arguments.history:
        history.append(arguments.history, history.entry_of(written))
    answer = ask(arguments.report / folder.DOCUMENT, question)
    arguments.settled.status = answer.exit_code
    for line in told(answer):
        print(line)
    return answer.exit_code


def _past(arguments: argparse.Namespace) -> tuple[list[dict[str, Any]], str]:
    """Earlier verdicts, and what is wrong with the file that they come from."""
    if arguments.history is None:
        return folder.history(arguments.report), ""
    history.must_be_usable(arguments.history)
    return history.read(arguments.history, HISTORY)


def _read(path: Path, question: Question) -> dict[str, Any]:
    """The document of one shard.

    Raises:
        EvidenceError: it cannot be read, was changed, or contradicts itself.
    """
    document = reading.read(path)
    faults = sealing.faults(document, question.key, must_be_signed=False)
    if not faults and document["scope"]["requirements"]["digest"] == question.requirements.digest:
        faults = list(contradictions(document, question.requirements))
    if faults:
        raise EvidenceError(
            f"{path}: {'; '.join(faults)}. Take the document as the run wrote it, or run that shard again."
        )
    document["run"].setdefault("shards", [])
    return document
