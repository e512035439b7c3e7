"""``--smartattend-checks``, and what a report keeps of a check that failed."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.plugin.conftest import Judged, Project


@pytest.mark.parametrize(
    ("names", "ran"),
    [
        ("scenarios/second[b]", ["scenarios/second[b]"]),
        ("scenarios/second", ["scenarios/second[a]", "scenarios/second[b]"]),
        ("scenarios", ["scenarios/first", "scenarios/second[a]", "scenarios/second[b]"]),
        ("scenarios/first, scenarios/second[a]", ["scenarios/first", "scenarios/second[a]"]),
        ("quick", ["scenarios/first", "scenarios/second[a]"]),
    ],
)
def test_only_the_checks_that_were_named_run_and_the_verdict_is_incomplete_without_the_others(
    project: Project, names: str, ran: list[str]
) -> None:
    judged = project.run(f"--smartattend-checks={names}")
    assert judged.exit_status == 0
    passed = [one["id"] for one in judged.document["groups"][0]["checks"] if one["status"] == "passed"]
    assert passed == ran
    assert judged.codes == ([] if len(ran) == 3 else ["check_deselected"])
    assert ("run without what left it out: --smartattend-checks" in judged.output) == (len(ran) < 3)


def test_they_are_selected_in_every_worker_alike(project: Project) -> None:
    judged = project.run("--smartattend-checks=scenarios/second[b]", "-n2", "-p", "xdist")
    assert (judged.check("scenarios/second[b]")["status"], judged.check("scenarios/first")["status"]) == (
        "passed",
        "deselected",
    )


def test_a_misspelt_id_is_a_usage_error_that_names_the_nearest(project: Project) -> None:
    result = project.pytester.runpytest_subprocess("--smartattend-checks=scenarios/secnd")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*no collected test is the check 'scenarios/secnd'*scenarios/second*"])


def test_the_command_in_the_report_repeats_exactly_the_failing_check(
    bent: Callable[..., Judged], project: Project
) -> None:
    judged = bent(
        'evidence.invariant("it holds", True)', 'evidence.invariant("it holds", cell == "a")', "-n2", "-p", "xdist"
    )
    from pytest_smartattend.readiness import repeating

    words = shlex.split(repeating.command(judged.document, judged.check("scenarios/second[b]")))
    again = project.run(*words[1:])
    found = {one["id"]: one["status"] for one in again.document["groups"][0]["checks"]}
    assert found == {
        "scenarios/first": "deselected",
        "scenarios/second[a]": "deselected",
        "scenarios/second[b]": "failed",
    }
    assert again.document["run"]["seed"] == judged.document["run"]["seed"]


def test_the_log_that_stood_beside_a_failure_stands_in_the_report(project: Project) -> None:
    project.file(
        "conftest.py",
        """
        import pytest

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item, call):
            report = yield
            report.sections.append(("platform's log", "first\\n" + "x" * 10_000 + "\\n" + "last " * 3))
            return report
        """,
    )
    project.file("test_own.py", "def test_own(evidence):\n    evidence.expect('one', 1, 2)\n")
    log = project.run().check("test_own.py::test_own")["logs"][0]
    assert log["name"] == "platform's log"
    assert [len(line) for line in log["lines"]] == [5, 400, 15]
    assert "logs" not in project.run("--deselect=test_own.py").check("scenarios/first")


def test_every_attempt_says_when_it_began(project: Project) -> None:
    judged = project.run("-n2", "-p", "xdist")
    began = [one["began"] for check in judged.document["groups"][0]["checks"] for one in check["attempts"]]
    assert len(began) == 3
    assert all(0 <= one < 120 for one in began)


def test_a_check_that_crashed_its_worker_says_when_it_had_begun(bent: Callable[..., Judged]) -> None:
    judged = bent('evidence.expect("one and one", 1 + 1, 2)', "import os; os._exit(9)", "-n2", "-p", "xdist")
    (attempt,) = judged.check("scenarios/first")["attempts"]
    assert (attempt["outcome"], attempt["began"] is not None) == ("crashed", True)
