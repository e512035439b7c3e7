"""``smartattend replay``: drive exported incidents again on a throwaway platform, and tell what became of them."""

from __future__ import annotations

import argparse
import os
import re
import sys
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from pytest_smartattend.engine import record_seal
from pytest_smartattend.engine.incident_record import Document
from pytest_smartattend.engine.incident_steps import Step
from pytest_smartattend.engine.replay_verdict import EQUAL, ReplayReport
from pytest_smartattend.errors import RecordRefused, UsageError
from pytest_smartattend.loop.clock import LoopClock
from pytest_smartattend.postgres.choosing import Wanted
from pytest_smartattend.postgres.server import Server
from pytest_smartattend.postgres.standalone import throwaway
from pytest_smartattend.target.contract import SEVERITIES
from pytest_smartattend.target.in_process import InProcessPlatform
from pytest_smartattend.target.people import Person
from pytest_smartattend.target.reference_schema import ReferenceSchema
from pytest_smartattend.trials import recorded
from pytest_smartattend.trials.replay import Replay

#: exit status: another course than was recorded, or one that the present rules do not allow
OTHERWISE = 20
#: exit status: the file cannot be read or trusted
UNTRUSTWORTHY = 40
_UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_CHANGE = re.compile(r"(?P<what>[a-z]+\.(acknowledge|resolve)|\d{1,6})=(?P<number>\d{1,6}(\.\d{1,6})?)(?P<unit>[smhd])")


@dataclass
class Changes:
    """What ``--what-if`` asks.

    Attributes:
        waits: event number → how long after the step before it.
        windows: severity and promise → how long.
    """

    waits: dict[int, timedelta] = field(default_factory=dict)
    windows: dict[tuple[str, str], timedelta] = field(default_factory=dict)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="exported incidents")
    parser.add_argument(
        "--what-if",
        action="append",
        default=[],
        metavar="CHANGE",
        help="what would have become of the SLA: 5=20m (event 5 came twenty minutes after the step before it) or "
        "high.acknowledge=10m (another promise); may be given again",
    )
    parser.add_argument("--step", action="store_true", help="show each step before it is done, and wait for Enter")
    parser.add_argument("--head", metavar="SEQ:HASH", help="of the stored timeline, as you kept it elsewhere")


def run(arguments: argparse.Namespace) -> int:
    """Replay; 0 equal, 20 different or not legal, 40 not to be trusted. With ``--what-if`` 0 in place of 20."""
    changes, head = _changes(arguments.what_if), _head(arguments.head)
    key = os.environ.get(record_seal.KEY_VARIABLE, "").encode()
    files = [file for file in arguments.files if file.name != recorded.HEADS]
    if not files:
        raise UsageError(
            f"{arguments.files[0]} keeps the heads of exported incidents. Name an incident's file beside it."
        )
    documents, worst = [], 0
    for path in files:
        try:
            documents.append((path.stem, recorded.recording(path), _read(path, key, head)))
        except RecordRefused as problem:
            print(problem, file=sys.stderr)
            worst = UNTRUSTWORTHY
    if not documents:
        return worst
    with throwaway(Wanted()) as server:
        for name, recording, document in documents:
            try:
                report = _replayed(server, name, document, changes, exact=recording.exact, step=arguments.step)
            except RecordRefused as problem:
                print(problem, file=sys.stderr)
                worst = UNTRUSTWORTHY
                continue
            lines = report.lines()
            if arguments.what_if:
                print("\n".join([f"{name}, if it had been otherwise", *lines[1:]]))
                continue
            print("\n".join(lines))
            worst = worst if report.verdict == EQUAL else max(worst, OTHERWISE)
    return worst


def _read(path: Path, key: bytes, head: dict[str, Any] | None) -> Document:
    document = recorded.recording(path).read(key)
    found = record_seal.faults_of(document, head=head)
    if found:
        raise RecordRefused(f"{path.name} cannot be trusted: {'; '.join(found)}. Find out who changed it.")
    return document


def _replayed(
    server: Server, name: str, document: Document, changes: Changes, *, exact: bool, step: bool
) -> ReplayReport:
    with closing(InProcessPlatform(server.pool(ReferenceSchema()).take(), LoopClock())) as platform:
        replay = Replay(platform, look=_Walk(document) if step else lambda *_: None)
        if not (changes.waits or changes.windows):
            return replay.of(document, name, exact=exact)
        for (severity, promise), length in changes.windows.items():
            platform.set_window(severity, promise, length)
        return replay.what_if(document, name, changes.waits)


class _Walk:
    """Shows a person what comes next, and how both promises stand."""

    def __init__(self, document: Document) -> None:
        self._incident = document["record"]["incident"]

    def __call__(self, step: Step, person: Person, incident_id: str | None) -> None:
        """Show a step, and wait."""
        if incident_id is not None:
            shown = person.incident(incident_id).must()
            stands = ", ".join(f"{name} {window['status']}" for name, window in shown["sla"].items())
            print(f"      it is {shown['status']}, severity {shown['severity']}; {stands}")
        given = ", ".join(f"{name}: {value}" for name, value in step.body.items())
        ends = f"   refused: {step.refused}" if step.refused else ""
        print(f"+{step.after}  {step.role}: {step.action}  {given}{ends}")
        if sys.stdin.isatty():
            input("      Enter for this step, Ctrl-C to end. ")


def _changes(texts: list[str]) -> Changes:
    found = Changes()
    for text in texts:
        match = _CHANGE.fullmatch(text)
        severity, _, promise = (match["what"] if match else "").partition(".")
        if match is None or (promise and severity not in SEVERITIES):
            raise UsageError(
                f"--what-if {text!r}: give an event's number or SEVERITY.acknowledge or SEVERITY.resolve, an equals sign, "
                "and a time such as 90s, 20m, 4h or 2d."
            )
        length = float(match["number"]) * _UNITS[match["unit"]]
        if promise:
            found.windows[severity, promise] = length
        else:
            found.waits[int(severity)] = length
    return found


def _head(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,7}):([0-9a-f]{64})", text)
    if match is None:
        raise UsageError(f"--head {text!r}: give the number of the newest event, a colon, and its hash.")
    return {"seq": int(match[1]), "hash": match[2]}
