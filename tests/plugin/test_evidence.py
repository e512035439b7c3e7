"""The `evidence` fixture in anybody's own tests, and the reports that show it."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

OWN = """
def test_own(evidence):
    evidence.expect("one", 1, 1)
    evidence.measure("latency", 3, "ms")
"""


def test_it_needs_neither_mark_nor_target_nor_report(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(OWN)
    result = pytester.runpytest_subprocess("-q")
    assert result.ret == 0
    assert "smartattend" not in result.stdout.str()


def test_junit_carries_count_and_hash_as_one_line_of_json(project: Project) -> None:
    project.run("--junitxml=junit.xml")
    root = ET.parse(project.pytester.path / "junit.xml").getroot()
    found = [one.get("value") for one in root.iter("property") if one.get("name") == "smartattend"]
    assert len(found) == 3
    for value in found:
        told = json.loads(value or "")
        assert (told["v"], told["events"]) == (1, 1)
        assert re.fullmatch("[0-9a-f]{64}", told["head"])


def test_pytest_html_shows_it(project: Project) -> None:
    project.run("--html=report.html", "--self-contained-html", "-n2", "-p", "xdist")
    page = (project.pytester.path / "report.html").read_text("utf-8")
    shown = [base64.b64decode(one).decode() for one in re.findall(r"base64,([A-Za-z0-9+/=]{12,})", page)]
    assert "pieces of evidence: 1\n✓ one and one" in shown
    assert "pieces of evidence: 1\n✓ it holds" in shown


def test_an_unmarked_test_with_evidence_stands_in_the_report_and_is_not_required(project: Project) -> None:
    project.file("test_own.py", OWN + "\ndef test_silent():\n    pass\n")
    judged = project.run()
    assert judged.status == "ready"
    own = judged.check("test_own.py::test_own")
    assert (own["required"], own["status"], own["measurements"][0]["value"]) == (False, "passed", 3.0)
    assert [group["name"] for group in judged.document["groups"]] == ["scenarios", "tests"]


def test_an_objective_near_its_limit_is_at_risk_and_over_it_not_ready(project: Project) -> None:
    measured = "def test_own(evidence):\n    evidence.measure('rto', {}, 's', limit=600, objective=True)\n"
    project.file("test_own.py", measured.format(500))
    judged = project.run()
    assert (judged.exit_status, judged.status, judged.codes) == (0, "at_risk", ["objective_near_limit"])
    project.file("test_own.py", measured.format(601))
    judged = project.run()
    assert (judged.exit_status, judged.status, judged.codes) == (0, "not_ready", ["objective_missed"])


def test_a_fault_is_listed_with_the_seed_that_replays_it_however_large(project: Project) -> None:
    project.file("test_own.py", f"def test_own(evidence):\n    evidence.fault('silence', {2**64 - 1}, after=5)\n")
    fault = project.run().document["faults"][0]
    assert (fault["name"], fault["seed"], fault["data"]) == ("silence", str(2**64 - 1), {"after": 5})


def test_hostile_text_breaks_neither_document_nor_page(project: Project) -> None:
    hostile = "</script><script>alert(1)</script>\\x00\\ud800{{7*7}}"
    project.file("test_own.py", f"def test_own(evidence):\n    evidence.expect('{hostile}', '{hostile}', 1)\n")
    judged = project.run()
    page = (judged.path.parent / "readiness.html").read_text("utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "{{7*7}}" in page


def test_a_page_of_four_hundred_checks_is_small_complete_and_needs_no_network(project: Project) -> None:
    rows = [f"r{number}" for number in range(20)]
    project.file(
        "requirements.toml",
        f'version = "big"\n[[groups.scenarios]]\nid = "scenarios/big"\nproducts = [[{rows}, {rows}]]\n',
    )
    project.file(
        "test_checks.py",
        """
        import pytest

        @pytest.mark.scenario("scenarios/big")
        @pytest.mark.parametrize("row", range(20), ids="r{}".format)
        @pytest.mark.parametrize("column", range(20), ids="r{}".format)
        def test_big(evidence, row, column):
            for number in range(20):
                evidence.event("step", number=number)
            evidence.expect("row", (row, "x" * 500), (3 if row == 3 and column > 3 else row, "x" * 500))
        """,
    )
    judged = project.run()
    page = (judged.path.parent / "readiness.html").read_text("utf-8")
    assert judged.status == "ready"
    assert len(page.encode()) < 250_000
    assert page.count('<td class="cell">') == 400
    assert not re.search(r'https?://|src=|href="(?!#)|@import|url\((?!#)', page)
    assert "Content-Security-Policy" in page


def _waiting_command(project: Project, ctrl_c: signal.Handlers = signal.SIG_DFL) -> subprocess.Popen[str]:
    """`smartattend readiness` on a check that has begun and never ends."""
    project.file("shipped/__init__.py", "")
    project.file(
        "shipped/test_slow.py",
        """
        import pathlib, time, pytest

        @pytest.mark.scenario("scenarios/first")
        def test_first(evidence):
            pathlib.Path("begun").write_bytes(b"x")
            while True:  # not a pause: one that begins just after its signal has come never ends
                time.sleep(0.1)
        """,
    )
    begun = project.pytester.path / "begun"
    os.mkfifo(begun)
    words = [sys.executable, "-m", "pytest_smartattend.cli", "readiness", "--target=reference", "--suites=shipped"]
    child = subprocess.Popen(
        [*words, f"--requirements={project.requirements}", f"--report={project.reports}", "--workers=0"],
        cwd=project.pytester.path,
        env={**os.environ, "PYTHONPATH": str(project.pytester.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, ctrl_c),  # noqa: PLW1509 - there are no threads here
    )
    assert begun.read_bytes() == b"x"
    return child


def test_ctrl_c_on_the_command_reaches_pytest_and_leaves_an_incomplete_document(project: Project) -> None:
    child = _waiting_command(project)
    child.send_signal(signal.SIGINT)
    output, _ = child.communicate(timeout=240)
    assert child.returncode == 30, output
    assert "INCOMPLETE for scenarios" in output
    assert "run_interrupted" in output


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
@pytest.mark.parametrize("ctrl_c", [signal.SIG_DFL, signal.SIG_IGN], ids=["in front", "in a shell's background"])
def test_a_killed_command_interrupts_its_pytest_which_cleans_up_and_says_so(
    project: Project, ctrl_c: signal.Handlers
) -> None:
    child = _waiting_command(project, ctrl_c)
    child.kill()
    output, _ = child.communicate(timeout=240)  # ends when the last process that writes there has ended
    assert child.returncode == -signal.SIGKILL
    assert "KeyboardInterrupt" in output
    assert json.loads((project.reports / "readiness.json").read_text())["run"]["interrupted"] == "KeyboardInterrupt"
