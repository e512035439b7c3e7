"""``smartattend prove``: plant every known defect, one at a time, and show which check catches it.

A check that has never failed proves nothing by passing. For each sabotage of the catalogue, the checks that promised with
``@pytest.mark.detects`` to catch it run against a reference platform with that one defect; a check that fails has caught
it, and one that could not be set up has not. The proof holds when every sabotage was caught by every check that promised it, and every check has caught at least
one. ``--others`` runs every check on every defect, and so shows who else would have seen it; it takes hours, not minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pytest_smartattend import marks
from pytest_smartattend.errors import EvidenceError, UsageError
from pytest_smartattend.readiness import folder, requirements, scope
from pytest_smartattend.readiness.command import IDLE_PLUGINS
from pytest_smartattend.sabotage import catalogue

SUITES = "pytest_smartattend.suites"
#: seconds for one run of the checks against one defect
DEADLINE = 600
#: seconds to put servers and processes away, for one that is out of time
GRACE = 60.0
#: A stranger's configuration must not change what a proof shows.
_ALONE = (
    *("-p", "no:cacheprovider", "-c", os.devnull, "--smartattend-keep=0"),
    *("-o", "asyncio_default_fixture_loop_scope=function"),
    *(f"-pno:{name}" for name in IDLE_PLUGINS),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("names", nargs="*", metavar="SABOTAGE", help="only these; default: the whole catalogue")
    parser.add_argument("--list", action="store_true", help="list the catalogue and stop")
    parser.add_argument("--others", action="store_true", help="run every check on every defect: who else sees it?")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the proof as JSON, for the report")
    parser.add_argument(
        "--scope", type=Path, metavar="TOML", help="prove your own checks on the [[sabotages]] of this readiness.toml"
    )
    parser.add_argument("--suites", metavar="PATH", help="with --scope: where your own checks are")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="defects tried at a time")
    parser.add_argument(
        "pytest_arguments", nargs="*", metavar="-- ARGUMENTS", help="with --scope: for pytest, after --"
    )


@dataclass(frozen=True)
class Field:
    """Whose checks are tried on which defects.

    Attributes:
        breaks: sabotage → the promise that it breaks.
        collect: where the checks are, as pytest takes it.
        options: how pytest is called.
    """

    breaks: Mapping[str, str]
    collect: list[str]
    options: list[str]


def _field(arguments: argparse.Namespace) -> Field:
    if arguments.scope is None:
        breaks = {entry.name: entry.breaks for entry in catalogue.by_name().values()}
        return Field(breaks, ["--pyargs", SUITES], [*_ALONE, "--smartattend-target=reference"])
    if not arguments.suites:
        raise UsageError("--scope: say where your own checks are: --suites=tests/readiness")
    declared = scope.load(arguments.scope, requirements.load())
    if not declared.sabotages:
        raise UsageError(f"{arguments.scope} has no [[sabotages]]. Declare the defects that your checks must catch.")
    options = ["-p", "no:cacheprovider", f"--smartattend-scope={arguments.scope.absolute()}"]
    breaks = {entry["name"]: entry["breaks"] for entry in declared.sabotages}
    return Field(breaks, [arguments.suites], [*options, *arguments.pytest_arguments])


@dataclass(frozen=True)
class Check:
    """A shipped check, or one cell of it.

    Attributes:
        id: the check's, without the cell.
        node: what pytest is asked to run for it.
        promises: the sabotages that it declared to catch.
    """

    id: str
    node: str
    promises: frozenset[str]


@dataclass(frozen=True)
class Attempt:
    """What the suites said about one planted defect. Ids are of checks, without cells.

    Attributes:
        problem: why the checks did not run to their end; empty when they did.
    """

    name: str
    promised: frozenset[str]
    caught_by: frozenset[str] = frozenset()
    problem: str = ""

    @property
    def broken_promises(self) -> frozenset[str]:
        """Checks that promised to catch it and did not."""
        return self.promised - self.caught_by

    @property
    def caught(self) -> bool:
        """Whether the defect was seen, by everybody who had promised to see it."""
        return bool(self.caught_by) and not self.broken_promises and not self.problem


def run(arguments: argparse.Namespace) -> int:
    """Print the matrix; 0 when everything is accounted for, 1 otherwise."""
    field = _field(arguments)
    if arguments.list:
        for name, breaks in field.breaks.items():
            print(f"{name:34} {breaks}")
        return 0
    unknown = [name for name in arguments.names if name not in field.breaks]
    if unknown:
        raise UsageError(f"no such sabotage: {', '.join(unknown)}. `smartattend prove --list` shows the catalogue.")
    if arguments.out:
        folder.check_proof_place(arguments.out)
    checks = shipped_checks() if arguments.scope is None else collected_checks(field)
    # commands of one's own change one working folder: one at a time
    jobs = arguments.jobs if arguments.scope is None else 1
    attempts = []
    names = arguments.names or list(field.breaks)
    with _attempts(names, checks, field, everybody=arguments.others, jobs=jobs) as ended:
        for attempt in ended:
            print("\n".join(_told(attempt)), flush=True)
            attempts.append(attempt)
    missing = [] if arguments.names else sorted(_unproven(checks, attempts))
    for check in missing:
        print(f"UNPROVEN  {check} caught no sabotage")
    if arguments.out:
        _write(arguments.out, attempts, checks, field.breaks)
    return 0 if all(attempt.caught for attempt in attempts) and not missing else 1


def shipped_checks() -> list[Check]:
    """Every cell of every shipped check with what it promises, as pytest collects them.

    Raises:
        EvidenceError: the suites cannot be collected, or one promises a sabotage that is not in the catalogue.
    """
    breaks = dict.fromkeys(catalogue.by_name(), "")
    return collected_checks(Field(breaks, ["--pyargs", SUITES], [*_ALONE, "--smartattend-target=reference"]))


def collected_checks(field: Field) -> list[Check]:
    """Every cell of every check of `field`.

    Raises:
        EvidenceError: they cannot be collected, or one promises a sabotage that is not known.
    """
    listing = _Listing()
    with tempfile.TemporaryDirectory(prefix="smartattend-prove-") as root:
        command = [*field.options, *field.collect, "--collect-only", "-p", "no:terminal", "-p", "no:xdist"]
        status = pytest.main(
            [*command, "--rootdir", root if field.collect[0] == "--pyargs" else "."], plugins=[listing]
        )
    if status != pytest.ExitCode.OK:
        raise EvidenceError(f"the checks cannot be collected. See why: pytest {' '.join(field.collect)} --collect-only")
    strange = {name for check in listing.checks for name in check.promises} - set(field.breaks)
    if strange:
        raise EvidenceError(f"promised, but not in the catalogue: {', '.join(sorted(strange))}. Correct the mark.")
    return listing.checks


class _Listing:
    """A pytest plugin that notes every check it sees collected."""

    def __init__(self) -> None:
        self.checks: list[Check] = []

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        named = marks.check_of(item)
        if named is not None and isinstance(item, pytest.Function):
            promises = frozenset(marks.detected_by(item))
            self.checks.append(Check(_without_cell(named[1]), f"{item.path}::{item.name}", promises))


@contextmanager
def _attempts(
    names: list[str], checks: list[Check], field: Field, *, everybody: bool, jobs: int
) -> Iterator[Iterable[Attempt]]:
    """The attempts as they end, in the order of `names`. Leaving early ends what still runs."""
    running = _Running()
    pool = ThreadPoolExecutor(max(1, jobs))
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield pool.map(partial(_attempt, checks=checks, field=field, everybody=everybody, run=running.run), names)
    finally:
        running.stop()
        pool.shutdown(cancel_futures=True)
        signal.signal(signal.SIGTERM, before)


class _Running:
    """The pytest processes that run now: each in a group of its own, so that it is we who tell them to stop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._children: set[subprocess.Popen[str]] = set()
        self._stopping = False

    def run(self, command: list[str]) -> tuple[int, str]:
        """Exit status and output; an interrupted status when stopped or out of time."""
        with self._lock:
            if self._stopping:
                return int(pytest.ExitCode.INTERRUPTED), ""
            child = subprocess.Popen(
                command,
                text=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
            self._children.add(child)
        try:
            output, _ = child.communicate(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            return int(pytest.ExitCode.INTERRUPTED), _ended(child) + f"\nstopped after {DEADLINE} s"
        finally:
            with self._lock:
                self._children.discard(child)
        return child.returncode, output

    def stop(self) -> None:
        """Interrupt what runs; nothing starts any more."""
        with self._lock:
            self._stopping = True
            for child in self._children:
                child.send_signal(signal.SIGINT)


def _ended(child: subprocess.Popen[str]) -> str:
    """The output of one that is told to put its servers and processes away, or else killed with its group."""
    child.send_signal(signal.SIGINT)
    try:
        return child.communicate(timeout=GRACE)[0]
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    try:
        return child.communicate(timeout=GRACE)[0]
    except subprocess.TimeoutExpired:  # somebody who left its group
        child.poll()
        assert child.stdout is not None
        child.stdout.close()
        return "what it left behind holds its output"


def _attempt(
    name: str, *, checks: list[Check], field: Field, everybody: bool, run: Callable[[list[str]], tuple[int, str]]
) -> Attempt:
    promising = [check for check in checks if name in check.promises]
    promised = frozenset(check.id for check in promising)
    if not promising and not everybody:
        return Attempt(name, promised, problem="no check promises to catch it: add it to a check's `detects`")
    with tempfile.TemporaryDirectory(prefix="smartattend-prove-") as own:
        what = field.collect if everybody else [check.node for check in promising]
        root = ["--rootdir", own if field.collect[0] == "--pyargs" else "."]
        told = [f"--smartattend-sabotage={name}", f"--smartattend-report={own}"]
        status, output = run([sys.executable, "-m", "pytest", *what, *field.options, "-q", *root, *told])
        document = Path(own) / folder.DOCUMENT
        if status not in {0, 1} or not document.exists():
            return Attempt(name, promised, problem=f"pytest ended with exit status {status}:\n{output[-3000:]}")
        return _judged(name, promised, json.loads(document.read_text()))


def _judged(name: str, promised: frozenset[str], document: Mapping[str, Any]) -> Attempt:
    """Only a check that failed has caught it: where one could not be set up, what it asserts was never asked."""
    caught, unshown = _reasons(document, "failed"), _reasons(document, "error")
    problems = [
        f"{check} did not come to its assertions, or could not be cleaned up: {unshown[check]}"
        for check in sorted(promised & unshown.keys() - caught.keys())
    ]
    return Attempt(name, promised, frozenset(caught), "; ".join(problems))


def _reasons(document: Mapping[str, Any], status: str) -> dict[str, str]:
    """The checks of which a cell ended so, each with why."""
    every = (check for group in document["groups"] for check in group["checks"])
    return {_without_cell(check["id"]): check["reason"] for check in every if check["status"] == status}


def _without_cell(full_id: str) -> str:
    return full_id.split("[", 1)[0]


def _unproven(checks: list[Check], attempts: list[Attempt]) -> frozenset[str]:
    return frozenset(check.id for check in checks).difference(*(attempt.caught_by for attempt in attempts))


def _told(attempt: Attempt) -> Iterator[str]:
    word = "caught" if attempt.caught else "MISSED"
    others = sorted(attempt.caught_by - attempt.promised)
    kept = ", ".join(sorted(attempt.promised & attempt.caught_by)) or "nobody who promised it"
    yield f"{word:8}  {attempt.name:34} {kept}{'; also ' + ', '.join(others) if others else ''}"
    for check in sorted(attempt.broken_promises):
        yield f"{'':8}  {'':34} promised and did not fail: {check}"
    if attempt.problem:
        yield f"{'':8}  {attempt.problem}"


def _write(path: Path, attempts: list[Attempt], checks: list[Check], breaks: Mapping[str, str]) -> None:
    proof = {
        "version": 1,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),  # noqa: TID251 - when the proof was made, for people
        "sabotages": [
            {
                "name": attempt.name,
                "breaks": breaks[attempt.name],
                "promised": sorted(attempt.promised),
                "caught_by": sorted(attempt.caught_by),
                "status": "caught" if attempt.caught else "missed",
            }
            for attempt in attempts
        ],
        "checks": [
            {"id": check, "caught": sorted(attempt.name for attempt in attempts if check in attempt.caught_by)}
            for check in sorted({check.id for check in checks})
        ],
    }
    folder.write_proof(path, proof)
