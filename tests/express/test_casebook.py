"""Casebook, a backend in another style: honest, it passes whatever its adapter offers; each planted defect is found."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
BACKEND = HERE / "backend"
pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (BACKEND / "node_modules").is_dir(),
    reason="Casebook is not installed: bash .ci/express-lane.sh",
)

#: planted defect → the checks that must fail; the first of each fails for no other defect
FOUND: dict[str, tuple[str, ...]] = {
    "low-window": ("scenarios/sla-windows", "simulations/multi-escalation"),
    "reopens-by-investigate": ("scenarios/reopening",),
    "tier-falls": ("scenarios/escalation-ladder", "scenarios/security-breach", "scenarios/concurrent-escalations"),
    "first-lacking-only": ("scenarios/resolution-fields",),
    "noes-not-kept": (
        "scenarios/refusals",
        "scenarios/invalid-transitions",
        "scenarios/critical-database-outage",
        "scenarios/concurrent-actors",
    ),
    "nobody-called": ("simulations/sla-breach",),
    "assignee-taken": ("scenarios/ownership",),
    "tokens-never-end": ("scenarios/tokens",),
    "health-lies": ("scenarios/health",),
    "filter-ignored": ("scenarios/lists", "scenarios/list-pages"),
    "foreign-cases-shown": ("scenarios/tenant-isolation",),
    "cause-anywhere": ("scenarios/root-cause",),
    "unlocked": ("scenarios/concurrent-changes",),
}


#: the simulations of hours; the week of two hundred incidents takes minutes over sockets
HOURS = ("simulations.test_multi_escalation", "simulations.test_sla_risk")


def checked(folder: Path, defects: str, *more: str) -> tuple[dict[str, dict[str, Any]], str]:
    """Check → what the document says of it, for those that were collected; and what pytest printed."""
    words = [
        *(
            sys.executable,
            "-m",
            "pytest",
            "-c",
            os.devnull,
            f"--rootdir={folder}",
            "-q",
            "-n2",
            "-p",
            "no:cacheprovider",
        ),
        *("--pyargs", "pytest_smartattend.suites.scenarios", *(f"pytest_smartattend.suites.{one}" for one in more)),
        *("--smartattend-target=command", f"--smartattend-command=node {BACKEND / 'server.js'}"),
        *(f"--smartattend-migrate=node {BACKEND / 'migrate.js'}", f"--smartattend-adapter={HERE / 'adapter.toml'}"),
        f"--smartattend-report={folder}",
    ]
    environment = {**os.environ, "CASEBOOK_DEFECTS": defects}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=900, stdin=subprocess.DEVNULL)
    document = json.loads((folder / "readiness.json").read_bytes())
    found = {check["id"]: check for group in document["groups"] for check in group["checks"] if check["attempts"]}
    return found, (done.stdout + done.stderr)[-6000:]


def test_every_operation_of_an_honest_casebook_is_answered_or_named_as_not_run(tmp_path: Path) -> None:
    found, output = checked(tmp_path, "none", *HOURS)
    assert {
        id_: check["status"] for id_, check in found.items() if check["status"] not in {"passed", "skipped"}
    } == {}, output
    not_run = {id_: check["reason"] for id_, check in found.items() if check["status"] == "skipped"}
    assert all("not run: the target does not offer " in why for why in not_run.values()), not_run
    passed = {id_.split("[")[0] for id_, check in found.items() if check["status"] == "passed"}
    assert {check for checks in FOUND.values() for check in checks} <= passed
    assert len(found) - len(not_run) > 300


def test_the_planted_defects_are_found_and_nothing_else(tmp_path: Path) -> None:
    found, output = checked(tmp_path, "all", *HOURS)
    failed = {id_.split("[")[0] for id_, check in found.items() if check["status"] not in {"passed", "skipped"}}
    assert failed == {check for checks in FOUND.values() for check in checks}, output


def test_each_defect_has_a_check_that_fails_for_it_alone() -> None:
    rules = "".join((BACKEND / name).read_text() for name in ("rules.js", "store.js", "server.js"))
    for defect, (own, *_) in FOUND.items():
        assert f'planted("{defect}")' in rules
        assert not any(own in checks for other, checks in FOUND.items() if other != defect)


def test_the_adapter_is_short() -> None:
    assert len((HERE / "adapter.toml").read_text().splitlines()) < 150
