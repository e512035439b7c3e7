"""`smartattend --help`, `doctor` and `plan`: what a person meets first."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pytest_smartattend.cli import COMMANDS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.plugin.conftest import Project


def smartattend(*words: str, folder: Path, **variables: str) -> tuple[int, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SMARTATTEND_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest_smartattend.cli", *words],
        cwd=folder, capture_output=True, text=True, env={**kept, **variables}, stdin=subprocess.DEVNULL, timeout=180,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_help_names_every_command_an_order_to_try_them_in_and_the_exit_codes(tmp_path: Path) -> None:
    status, shown = smartattend("--help", folder=tmp_path)
    assert status == 0
    assert [name for name in COMMANDS if not re.search(rf"\n    {name}\s", shown)] == []
    assert shown.index("smartattend doctor") < shown.index("smartattend plan") < shown.index("smartattend readiness")
    assert "30 incomplete" in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(tmp_path: Path, command: str) -> None:
    status, shown = smartattend(command, "--help", folder=tmp_path)
    assert status == 0
    assert shown.startswith("usage: ")


def test_doctor_says_what_is_here_and_what_a_run_would_use(tmp_path: Path) -> None:
    status, shown = smartattend("doctor", folder=tmp_path)
    assert status == 0, shown
    assert "PostgreSQL: embedded" in shown
    assert "A run can start: smartattend readiness" in shown


def test_doctor_finds_a_misspelt_variable_and_never_shows_a_secret(tmp_path: Path) -> None:
    status, shown = smartattend(
        "doctor", folder=tmp_path, SMARTATTEND_REPROT="x", DATABASE_URL="postgresql://a:hunter2-horse@db/x", SMARTATTEND_SEAL_KEY="k" * 40
    )  # fmt: skip
    assert status == 0
    assert "SMARTATTEND_REPROT is set and means nothing\n    Did you mean SMARTATTEND_REPORT?" in shown
    assert "DATABASE_URL is set\n    It is never read" in shown
    assert "hunter2" not in shown
    assert "kkkk" not in shown


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"SMARTATTEND_POSTGRES": "container", "DOCKER_HOST": "unix:///nowhere"}, "Any one of these helps"),
        ({"SMARTATTEND_POSTGRES_VERSION": "99"}, "not 99"),
        ({"SMARTATTEND_SEED": "many"}, "SMARTATTEND_SEED: cannot read 'many'"),
    ],
)
def test_doctor_says_why_a_run_could_not_start_and_what_to_do(
    tmp_path: Path, variables: dict[str, str], said: str
) -> None:
    status, shown = smartattend("doctor", folder=tmp_path, **variables)
    assert status == 1
    assert said in shown
    assert "1 problem" in shown


def test_plan_says_what_would_run_what_it_needs_and_what_took_long(project: Project) -> None:
    project.run()
    project.file("own/__init__.py", "")
    project.file("own/test_checks.py", (project.pytester.path / "test_checks.py").read_text())
    status, shown = smartattend(
        "plan", "--target=reference", "--suites=own", "--list", folder=project.pytester.path, PYTHONPATH="."
    )
    assert status == 0, shown
    assert "3 checks would run against reference, " in shown
    assert "scenarios/second[b]" in shown
    assert "needs nothing" in shown
    assert "slowest: " in shown
    assert "required and not among them" in shown


def test_plan_names_what_a_foreign_target_cannot_run(tmp_path: Path) -> None:
    status, shown = smartattend(
        "plan", "--target=url", "--checks=simulations/sla-risk,scenarios/reopening", folder=tmp_path
    )
    assert status == 1
    assert "cannot run here: 1 check (simulations/sla-risk)" in shown
    assert "2 checks would run against url" in shown


CLOCKED = "simulations/sla-risk,simulations/one-clock,drills/service-restart,scenarios/reopening"


def of_a_command(folder: Path, adapter: str, *further: str) -> tuple[int, str]:
    words = ("--target=command", "--command=node server.js", f"--adapter={adapter}", f"--checks={CLOCKED}")
    return smartattend("plan", *words, *further, folder=folder)


def test_plan_lets_a_command_do_what_its_adapter_offers(tmp_path: Path) -> None:
    status, shown = of_a_command(tmp_path, "reference")
    assert status == 0, shown
    assert "4 checks would run against command" in shown
    assert "cannot run here" not in shown


def test_plan_says_what_the_adapter_of_a_command_lacks(tmp_path: Path) -> None:
    (tmp_path / "plain.toml").write_text('name = "plain"\n')
    status, shown = of_a_command(tmp_path, "plain.toml")
    assert status == 1
    assert re.search(
        r"cannot run here: 2 checks \(simulations/one-clock, simulations/sla-risk\)\n  The target does not offer a clock door",
        shown,
    )
    assert re.search(r"1 check \(drills/service-restart\)\n  The target does not offer instances and servers", shown)
    status, shown = of_a_command(tmp_path, "plain.toml", "--", "--smartattend-clock=60x")
    assert status == 1
    assert re.search(r"simulations/one-clock.*\n  The target does not offer a clock door, without which", shown)


def test_plan_says_why_no_run_could_begin(tmp_path: Path) -> None:
    status, shown = smartattend("plan", "--target=command", "--checks=scenarios/reopening", folder=tmp_path)
    assert status == 1
    assert re.search(
        r"1 check \(scenarios/reopening\)\n  --smartattend-target=command needs --smartattend-command=…", shown
    )
    status, shown = of_a_command(tmp_path, "nowhere.toml")
    assert status == 1
    assert re.search(r"cannot run here: 4 checks .*\n  The adapter .*nowhere\.toml cannot be read", shown)


def test_plan_of_a_collection_that_breaks_off_is_no_plan(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("def pytest_collection_modifyitems(): raise OSError('the disk is full')")
    status, shown = smartattend("plan", "--target=url", "--checks=scenarios/reopening", folder=tmp_path)
    assert status == 1
    assert "the disk is full" in shown
    assert "0 checks" not in shown
    assert "smartattend plan: pytest ended with status 3 (INTERNAL_ERROR)" in shown


def test_plan_names_what_cannot_be_collected(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "__init__.py").touch()
    (tmp_path / "own" / "test_broken.py").write_text("raise OSError('the disk is full')")
    status, shown = smartattend("plan", "--target=url", "--suites=own", folder=tmp_path, PYTHONPATH=".")
    assert status == 1
    assert "cannot be collected: own/test_broken.py: E   OSError: the disk is full" in shown


def test_plan_of_nothing_that_exists_is_a_usage_error(tmp_path: Path) -> None:
    status, shown = smartattend("plan", "--target=reference", "--checks=scenarios/reopenin", folder=tmp_path)
    assert status == 2
    assert "Did you mean scenarios/reopening" in shown
