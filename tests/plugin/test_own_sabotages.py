"""An adopter's own checks are proven on defects that the adopter's own commands plant and heal."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.plugin.conftest import Project

CHECKS = """
import pathlib, pytest

@pytest.mark.scenario("scenarios/our-own")
@pytest.mark.detects("halved")
def test_our_own(evidence):
    evidence.expect("the figure", pathlib.Path("figure.txt").read_text().strip(), "10")
"""
SCOPE = """
requirements = "{version}"
required = ["scenarios/our-own"]

[[sabotages]]
name = "halved"
breaks = "the figure is half of what it must be"
plant = "{plant}"
heal = "cp good.txt figure.txt"
"""


@pytest.fixture
def ours(project: Project) -> Project:
    project.file("test_checks.py", CHECKS)
    for name, text in (("figure.txt", "10\n"), ("good.txt", "10\n"), ("bad.txt", "5\n")):
        project.file(name, text)
    project.file("readiness.toml", SCOPE.format(version="test", plant="cp bad.txt figure.txt"))
    return project


def _figure(project: Project) -> str:
    return (project.pytester.path / "figure.txt").read_text().strip()


def test_a_planted_defect_of_ones_own_fails_its_check_never_ends_in_ready_and_is_healed(ours: Project) -> None:
    scope = f"--smartattend-scope={ours.pytester.path / 'readiness.toml'}"
    judged = ours.run(scope, "--smartattend-sabotage=halved")
    assert judged.status == "not_ready"
    assert {"sabotaged_target", "check_failed"} <= set(judged.codes)
    assert judged.check("scenarios/our-own")["failures"][0]["seen"] == "5"
    assert _figure(ours) == "10"
    assert ours.run(scope).check("scenarios/our-own")["status"] == "passed"


def test_a_command_that_fails_runs_nothing_and_is_healed(ours: Project) -> None:
    ours.file("readiness.toml", SCOPE.format(version="test", plant="cp no-such-file figure.txt"))
    result = ours.pytester.runpytest_subprocess(
        f"--smartattend-requirements={ours.requirements}",
        "--smartattend-scope=readiness.toml",
        "--smartattend-sabotage=halved",
    )
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*the sabotage halved was not planted: 'cp no-such-file figure.txt' ended with 1*"])
    assert _figure(ours) == "10"


def test_an_unknown_sabotage_is_told_where_one_is_declared(ours: Project) -> None:
    result = ours.pytester.runpytest_subprocess("--smartattend-sabotage=no-such", "-q")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*a defect of your own stands in the [[][[]sabotages]] of --smartattend-scope*"])


@pytest.mark.parametrize(("plant", "code", "word"), [("cp bad.txt figure.txt", 0, "caught"), ("true", 1, "MISSED")])
def test_prove_shows_whether_ones_own_checks_catch_ones_own_defects(
    ours: Project, plant: str, code: int, word: str
) -> None:
    from pytest_smartattend.readiness import requirements

    ours.file("readiness.toml", SCOPE.format(version=requirements.load().version, plant=plant))
    result = ours.pytester.run(
        sys.executable,
        "-m",
        "pytest_smartattend.cli",
        "prove",
        "--scope=readiness.toml",
        "--suites=test_checks.py",
        "--out=proof.json",
    )
    assert result.ret == code
    result.stdout.fnmatch_lines([f"{word}*halved*"])
    proof = json.loads((ours.pytester.path / "proof.json").read_text())
    assert proof["sabotages"][0]["status"] == ("caught" if code == 0 else "missed")
    assert Path(ours.pytester.path / "figure.txt").read_text() == "10\n"
