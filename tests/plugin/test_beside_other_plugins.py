"""Beside plugins that many projects have: each run under them, and every report of one run told against the others.

The plugins live in an environment of their own, which ``.ci/plugins-lane.sh`` makes: installed beside the others they would
change every other test of this checkout.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from importlib.util import find_spec
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

_NEEDED = ("allure", "pytest_randomly", "pytest_timeout", "pytest_cov", "pytest_rerunfailures")
_LACKING = [name for name in _NEEDED if find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(_LACKING), reason=f"needs {', '.join(_LACKING)}: .ci/plugins-lane.sh has them")

MIXED = """
import os, pytest

@pytest.fixture
def broken():
    raise RuntimeError("no fixture today")

@pytest.mark.scenario("scenarios/first")
def test_first(evidence):
    evidence.expect("one", 1, 2)

@pytest.mark.scenario("scenarios/second")
@pytest.mark.parametrize("cell", ["a", "b"])
def test_second(evidence, cell):
    evidence.invariant("it holds", True)

@pytest.mark.scenario("scenarios/error")
def test_error(evidence, broken): ...

@pytest.mark.scenario("scenarios/skipped")
def test_skipped(evidence):
    pytest.skip("not today")

@pytest.mark.scenario("scenarios/xfailed")
@pytest.mark.xfail
def test_xfailed(evidence):
    evidence.expect("one", 1, 2)
"""


@pytest.mark.parametrize("workers", [(), ("-n2", "-p", "xdist")], ids=["alone", "two-workers"])
def test_every_report_of_one_run_counts_the_same(project: Project, workers: tuple[str, ...]) -> None:
    project.file("test_checks.py", MIXED)
    reports = ("--junitxml=junit.xml", "--html=page.html", "--self-contained-html", "--alluredir=allure")
    judged = project.run(*reports, "-p", "no:randomly", *workers)
    folder = project.pytester.path
    ours = Counter(check["status"] for check in judged.document["groups"][0]["checks"])
    assert ours == {"failed": 1, "passed": 2, "error": 1, "skipped": 1, "xfailed": 1}

    suite = ET.parse(folder / "junit.xml").getroot().find("testsuite")
    assert suite is not None
    counted = {name: int(suite.get(name, "-1")) for name in ("tests", "failures", "errors", "skipped")}
    assert counted == {"tests": 6, "failures": 1, "errors": 1, "skipped": 2}  # JUnit knows no xfail: skipped

    page = (folder / "page.html").read_text("utf-8")
    found = {
        name: int(number)
        for number, name in re.findall(r"(\d+) (Failed|Passed|Skipped|Expected failures|Errors)", page)
    }
    assert found == {"Failed": 1, "Passed": 2, "Skipped": 1, "Expected failures": 1, "Errors": 1}

    results = [json.loads(path.read_bytes()) for path in (folder / "allure").glob("*-result.json")]
    assert Counter(one["status"] for one in results) == {"failed": 1, "passed": 2, "broken": 1, "skipped": 2}
    assert all(one.get("attachments") for one in results if one["status"] in {"passed", "failed"})

    converted = project.pytester.run(
        sys.executable, "-m", "pytest_smartattend.cli", "convert", judged.path, "--ctrf=ctrf.json", "--junit=ours.xml"
    )
    assert converted.ret == 0
    summary = json.loads((folder / "ctrf.json").read_bytes())["results"]["summary"]
    assert summary["tests"] == 6
    assert summary["passed"] == 2
    assert sum(summary[name] for name in ("passed", "failed", "skipped", "pending", "other")) == 6
    ours_as_junit = ET.parse(folder / "ours.xml").getroot()
    assert len(list(ours_as_junit.iter("testcase"))) == 6


def test_evidence_is_attached_in_allure_by_its_own_means(project: Project) -> None:
    project.run("--alluredir=allure", "-n2", "-p", "xdist")
    texts = [path.read_text() for path in (project.pytester.path / "allure").glob("*-attachment.txt")]
    assert sorted(texts) == ["pieces of evidence: 1\n✓ it holds"] * 2 + ["pieces of evidence: 1\n✓ one and one"]


def test_in_any_order_the_verdict_is_the_same(project: Project) -> None:
    for seed in (1, 2, 3):
        judged = project.run(f"--randomly-seed={seed}")
        assert (judged.exit_status, judged.status) == (0, "ready")


def test_a_check_that_passes_only_on_a_rerun_is_at_risk(project: Project) -> None:
    project.file(
        "test_checks.py",
        MIXED.split("@pytest.fixture")[0]
        + """
TRIED = []

@pytest.mark.scenario("scenarios/first")
def test_first(evidence):
    TRIED.append(1)
    evidence.expect("attempt", len(TRIED), 2)

@pytest.mark.scenario("scenarios/second")
@pytest.mark.parametrize("cell", ["a", "b"])
def test_second(evidence, cell):
    evidence.invariant("it holds", True)
""",
    )
    judged = project.run("--reruns=1")
    assert (judged.exit_status, judged.status, judged.codes) == (0, "at_risk", ["passed_on_rerun"])


@pytest.mark.parametrize(
    ("method", "status", "code"), [("signal", "failed", "check_failed"), ("thread", "crashed", "check_crashed")]
)
def test_a_check_that_hangs_is_ended_by_pytest_timeout_and_never_ready(
    project: Project, method: str, status: str, code: str
) -> None:
    hanging = "\n@pytest.mark.timeout(1)\n@pytest.mark.scenario('scenarios/first')\ndef test_first(evidence):\n    evidence.event('hangs')\n    import threading; threading.Event().wait()\n"
    second = MIXED[
        MIXED.index('@pytest.mark.scenario("scenarios/second")') : MIXED.index(
            '@pytest.mark.scenario("scenarios/error")'
        )
    ]
    project.file("test_checks.py", "import pytest\n" + hanging + second)
    judged = project.run(f"--timeout-method={method}", "-n2", "-p", "xdist", "-p", "no:randomly")
    assert judged.check("scenarios/first")["status"] == status
    assert code in judged.codes
    assert judged.status in {"not_ready", "incomplete"}


def test_coverage_is_measured_beside_it_and_changes_nothing(project: Project) -> None:
    judged = project.run("--cov=.", "--cov-report=json:cov.json", "-n2", "-p", "xdist")
    assert (judged.exit_status, judged.status) == (0, "ready")
    assert json.loads((project.pytester.path / "cov.json").read_bytes())["totals"]["covered_lines"] > 5
