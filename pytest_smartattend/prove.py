"""``smartattend prove``: plant every known defect, one at a time, and show which check catches it.

A check that has never failed proves nothing by passing. For each sabotage of the catalogue the suites run against a
reference platform with that one defect; a check that fails has caught it. The proof holds when every sabotage was caught
by every check that promised it with ``@pytest.mark.detects``, and every check has caught at least one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pytest_smartattend.errors import EvidenceError, UsageError
from pytest_smartattend.sabotage import catalogue

#: seconds for one run of the suites against one defect
DEADLINE = 600


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("names", nargs="*", metavar="SABOTAGE", help="only these; default: the whole catalogue")
    parser.add_argument("--list", action="store_true", help="list the catalogue and stop")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the proof as JSON, for the report")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="defects tried at a time")


@dataclass(frozen=True)
class Attempt:
    """What the suites said about one planted defect. Ids are of checks, without cells."""

    name: str
    promised: frozenset[str]
    caught_by: frozenset[str]
    ran: frozenset[str]

    @property
    def broken_promises(self) -> frozenset[str]:
        """Checks that promised to catch it and did not."""
        return self.promised - self.caught_by


def run(arguments: argparse.Namespace) -> int:
    """Print the matrix; 0 when everything is accounted for, 1 otherwise."""
    entries = catalogue.by_name()
    if arguments.list:
        for entry in entries.values():
            print(f"{entry.name:34} {entry.breaks}")  # noqa: T201
        return 0
    unknown = [name for name in arguments.names if name not in entries]
    if unknown:
        raise UsageError(f"no such sabotage: {', '.join(unknown)}. `smartattend prove --list` shows the catalogue.")
    chosen = arguments.names or list(entries)
    with ThreadPoolExecutor(max(1, arguments.jobs)) as pool:
        attempts = list(pool.map(_attempt, chosen))
    _print(attempts)
    missing = _unproven(attempts) if not arguments.names else []
    failed = [attempt for attempt in attempts if not attempt.caught_by or attempt.broken_promises]
    for check in missing:
        print(f"UNPROVEN  {check} caught no sabotage")  # noqa: T201
    if arguments.out:
        _write(arguments.out, attempts)
    return 1 if failed or missing else 0


def _attempt(name: str) -> Attempt:
    with tempfile.TemporaryDirectory(prefix="smartattend-prove-") as folder:
        command = [
            *(sys.executable, "-m", "pytest", "--pyargs", "pytest_smartattend.suites", "-q", "-p", "no:cacheprovider"),
            *(
                "-c",
                os.devnull,
                "--rootdir",
                folder,
                "--smartattend-target=reference",
                f"--smartattend-sabotage={name}",
            ),
            f"--smartattend-report={folder}",
        ]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=DEADLINE, stdin=subprocess.DEVNULL, check=False
        )
        document = Path(folder) / "readiness.json"
        if done.returncode not in {0, 1} or not document.exists():
            raise EvidenceError(
                f"the suites did not run to their end with {name!r} planted (exit status {done.returncode}).\n"
                f"{(done.stdout + done.stderr)[-3000:]}\nRun it alone: smartattend prove {name}"
            )
        return _read(name, json.loads(document.read_text()))


def _read(name: str, document: Mapping[str, Any]) -> Attempt:
    checks = [check for group in document["groups"] for check in group["checks"]]
    return Attempt(
        name,
        promised=_bases(check for check in checks if name in check.get("detects", ())),
        caught_by=_bases(check for check in checks if check["status"] in {"failed", "error"}),
        ran=_bases(check for check in checks if check["status"] != "missing"),
    )


def _bases(checks: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    return frozenset(check["id"].split("[", 1)[0] for check in checks)


def _unproven(attempts: list[Attempt]) -> list[str]:
    ran = frozenset[str]().union(*(attempt.ran for attempt in attempts))
    caught = frozenset[str]().union(*(attempt.caught_by for attempt in attempts))
    return sorted(ran - caught)


def _print(attempts: list[Attempt]) -> None:
    for attempt in attempts:
        word = "caught" if attempt.caught_by and not attempt.broken_promises else "MISSED"
        others = sorted(attempt.caught_by - attempt.promised)
        kept = ", ".join(sorted(attempt.promised & attempt.caught_by)) or "nobody promised it"
        print(f"{word:8}  {attempt.name:34} {kept}{'; also ' + ', '.join(others) if others else ''}")  # noqa: T201
        for check in sorted(attempt.broken_promises):
            print(f"{'':8}  {'':34} promised and passed: {check}")  # noqa: T201


def _write(path: Path, attempts: list[Attempt]) -> None:
    entries = catalogue.by_name()
    checks: dict[str, list[str]] = {check: [] for attempt in attempts for check in sorted(attempt.ran)}
    for attempt in attempts:
        for check in attempt.caught_by:
            checks[check].append(attempt.name)
    proof = {
        "version": 1,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),  # noqa: TID251 - when the proof was made, for people
        "sabotages": [
            {
                "name": attempt.name,
                "breaks": entries[attempt.name].breaks,
                "promised": sorted(attempt.promised),
                "caught_by": sorted(attempt.caught_by),
                "status": "caught" if attempt.caught_by and not attempt.broken_promises else "missed",
            }
            for attempt in attempts
        ],
        "checks": [{"id": check, "caught": sorted(names)} for check, names in sorted(checks.items())],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(path.name + ".tmp")
    half.write_text(json.dumps(proof, indent=1) + "\n")
    half.replace(path)
