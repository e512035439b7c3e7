"""``smartattend plan``: what would run, what it needs, how long it took the last time, and what cannot run here."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_smartattend import marks
from pytest_smartattend.doctor_command import settings_of_environment
from pytest_smartattend.errors import EvidenceError, NoServerFound, SmartattendError, UsageError
from pytest_smartattend.readiness import folder, reading, requirements, shards
from pytest_smartattend.readiness.command import (
    IDLE_PLUGINS,
    MOST_WORKERS,
    NEUTRAL,
    add_target_arguments,
    target_words,
)
from pytest_smartattend.readiness.wording import duration, many
from pytest_smartattend.wiring import offers
from pytest_smartattend.wiring.postgres import wanted

#: private fixture → what a check that asks for it needs
NEEDS = {
    "_smartattend_postgres": "PostgreSQL",
    "_smartattend_platform": "a served platform",
    "_smartattend_in_process": "a platform on the virtual clock",
    "_smartattend_discrete": "a platform on the virtual clock",
    "_smartattend_drill": "PostgreSQL clusters of its own",
    "_smartattend_reference_drill": "several instances of a platform, on PostgreSQL clusters of its own",
}
#: names of each list before "and … more"
_NAMED = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_target_arguments(parser)
    parser.add_argument(
        "--report", type=Path, default=Path("reports"), metavar="FOLDER", help="where the last run's document is"
    )
    parser.add_argument(
        "--suites", default="pytest_smartattend.suites", metavar="PACKAGE", help="the checks of another package"
    )
    parser.add_argument("--checks", metavar="IDS", help="only these, as --smartattend-checks takes them")
    parser.add_argument("--list", action="store_true", help="name every check")
    parser.add_argument(
        "pytest_arguments", nargs="*", metavar="-- ARGUMENTS", help="further arguments for pytest, after --"
    )


@dataclass(frozen=True)
class Planned:
    """A check that would run.

    Attributes:
        id: its id.
        group: its group.
        asks: the fixtures among `NEEDS` for which it asks.
    """

    id: str
    group: str
    asks: frozenset[str]

    @property
    def needs(self) -> frozenset[str]:
        """What it needs, in words."""
        return frozenset(NEEDS[name] for name in self.asks)


class _Collector:
    """Keeps what pytest collects, and of it what the target does not offer: fixture → in words."""

    def __init__(self) -> None:
        self.planned: list[Planned] = []
        self.broken: list[str] = []
        self.refusal = ""
        self.lacking: dict[str, str] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            try:
                check = marks.check_of(item)
            except UsageError as problem:
                self.broken.append(str(problem))
                continue
            if check is not None:
                names = getattr(item, "fixturenames", ())
                self.planned.append(Planned(check[1], check[0], frozenset(NEEDS) & set(names)))
        self.refusal = offers.refusal(session.config)
        for name in {name for one in self.planned for name in one.asks}:
            with contextlib.suppress(SmartattendError):  # it is told of the whole run
                self.lacking[name] = offers.lacking(session.config, name)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.broken.append(f"{report.nodeid}: {str(report.longrepr).strip().splitlines()[-1]}")


def run(arguments: argparse.Namespace) -> int:
    """Print the plan; 1 where something of it cannot run here, else 0."""
    collected = _collected(arguments)
    last = _last(arguments.report / folder.DOCUMENT)
    cannot = _cannot(collected, arguments.target)
    for line in _lines(collected, last, arguments):
        print(line)
    for text, checks in cannot.items():
        print(f"\ncannot run here: {many(len(checks), 'check')} ({_few(checks)})")
        for line in text.splitlines():
            print(f"  {line}")
    return 1 if cannot or collected.broken else 0


def _collected(arguments: argparse.Namespace) -> _Collector:
    words = ["--pyargs", arguments.suites, "--collect-only", "-p", "no:terminal", "-p", "no:cacheprovider"]
    for setting in NEUTRAL:
        words += ["-o", setting]
    words += [f"-pno:{name}" for name in IDLE_PLUGINS]
    words += target_words(arguments)
    if arguments.checks:
        words.append(f"--smartattend-checks={arguments.checks}")
    collector = _Collector()
    status = pytest.main([*words, *arguments.pytest_arguments], plugins=[collector])
    if status == pytest.ExitCode.USAGE_ERROR:
        raise UsageError("pytest cannot collect that; what it says is above.")
    told = bool(collector.broken) and status in {pytest.ExitCode.INTERRUPTED, pytest.ExitCode.TESTS_FAILED}
    if status not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED} and not told:
        name = getattr(status, "name", "of a plugin's")
        raise SmartattendError(
            f"pytest ended with status {int(status)} ({name}) while it collected, so nothing is known of what would run. "
            "Mend what it says above."
        )
    return collector


def _last(path: Path) -> Mapping[str, float]:
    try:
        return shards.recorded(reading.read(path))
    except EvidenceError:
        return {}


def _lines(collected: _Collector, last: Mapping[str, float], arguments: argparse.Namespace) -> Iterator[str]:
    planned = collected.planned
    workers = min(os.cpu_count() or 1, MOST_WORKERS)
    known = sum(last.get(one.id, 0.0) for one in planned)
    took = (
        f", {duration(known)} of work the last time, {duration(known / workers)} with {many(workers, 'worker')}"
        if known
        else ""
    )
    yield f"{many(len(planned), 'check')} would run against {arguments.target}{took}"
    for group in dict.fromkeys(one.group for one in planned):
        own = [one for one in planned if one.group == group]
        seconds = sum(last.get(one.id, 0.0) for one in own)
        needs = Counter(need for one in own for need in one.needs)
        yield f"\n  {group}: {many(len(own), 'check')}{', ' + duration(seconds) if seconds else ''}"
        yield f"    needs {', '.join(name if count == len(own) else f'{name} ({count})' for name, count in sorted(needs.items())) or 'nothing'}"
        yield from (f"    {last.get(one.id, 0.0):8.2f} s  {one.id}" for one in own if arguments.list)
    slow = sorted(planned, key=lambda one: -last.get(one.id, 0.0))[:5]
    if known:
        yield f"\nslowest: {', '.join(f'{one.id} {duration(last[one.id])}' for one in slow if one.id in last)}"
    fresh = [one.id for one in planned if one.id not in last]
    if last and fresh:
        yield f"new since the last run: {_few(fresh)}"
    yield from _against_requirements(planned)
    yield from (f"cannot be collected: {one}" for one in collected.broken)


def _against_requirements(planned: Sequence[Planned]) -> Iterator[str]:
    needed = requirements.load()
    absent = sorted(needed.expand() - {one.id for one in planned})
    if absent:
        yield f"required and not among them, so the verdict would be incomplete: {many(len(absent), 'check')} ({_few(absent)})"
    if needed.not_yet:
        yield f"no suite yet: {', '.join(needed.not_yet)}"


def _cannot(collected: _Collector, target: str) -> Mapping[str, Sequence[str]]:
    """Why → the checks that cannot run for it."""
    planned = collected.planned
    cannot: dict[str, list[str]] = {}
    if collected.refusal and planned:
        cannot[collected.refusal] = [one.id for one in planned]
    for one in planned:
        for lacking in sorted({collected.lacking.get(name, "") for name in one.asks} - {""}):
            cannot.setdefault(f"The target does not offer {lacking}.", []).append(one.id)
    if target != "url" and planned:
        from pytest_smartattend.postgres.choosing import choose

        try:
            choose(wanted(settings_of_environment()))
        except NoServerFound as problem:
            cannot[str(problem)] = [one.id for one in planned]
    return cannot


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown
