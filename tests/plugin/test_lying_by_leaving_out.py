"""Every way to leave a check out, or to let it pass without having been run. None ends in ready."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.plugin.conftest import Judged, Project

    Bent = Callable[..., Judged]

FIRST = "def test_first(evidence):"


def test_honest_checks_are_ready_and_pass_the_gate(project: Project, honest: Judged) -> None:
    assert (honest.exit_status, honest.status, honest.codes) == (0, "ready", [])
    assert "READY for scenarios" in honest.output
    assert project.gate()[0] == 0
    assert (honest.path.parent / "readiness.html").stat().st_size < 250_000


@pytest.mark.parametrize(
    "way", [["-k", "second"], ["--deselect", "test_checks.py::test_first"], ["-m", "not scenario"]]
)
def test_a_deselected_check_makes_the_run_incomplete(project: Project, way: list[str]) -> None:
    judged = project.run(*way)
    assert (judged.status, judged.codes) == ("incomplete", ["check_deselected"])
    assert judged.check("scenarios/first")["status"] == "deselected"
    assert project.gate()[0] == 30


def test_the_last_failed_are_not_all(project: Project) -> None:
    project.file("test_other.py", "def test_other():\n    assert False\n")
    project.run()
    judged = project.run("--lf")
    assert judged.status == "incomplete"
    assert set(judged.codes) <= {"check_missing", "check_deselected"}


def test_what_x_leaves_over_is_not_run(project: Project) -> None:
    project.file("test_aaa.py", "def test_aaa():\n    assert False\n")
    judged = project.run("-x")
    assert (judged.exit_status, judged.status, judged.codes) == (1, "incomplete", ["check_not_run"])


def test_a_failing_check_is_not_ready_and_shows_what_it_saw(project: Project, bent: Bent) -> None:
    judged = bent("1 + 1, 2", "1 + 1, 3")
    assert (judged.exit_status, judged.status, judged.codes) == (1, "not_ready", ["check_failed"])
    failure = judged.check("scenarios/first")["failures"][0]
    assert (failure["seen"], failure["expected"]) == (2, 3)
    assert project.gate()[0] == 20


def test_a_broken_invariant_is_not_ready_even_where_the_test_swallows_it(bent: Bent) -> None:
    swallowed = "import contextlib\n    with contextlib.suppress(AssertionError): evidence.invariant('it holds', False)"
    judged = bent('evidence.invariant("it holds", True)', swallowed)
    assert judged.exit_status == 0
    assert (judged.status, judged.codes) == ("not_ready", ["check_failed", "invariant_broken"])


def test_a_skip_that_nobody_declared_is_incomplete(project: Project, bent: Bent) -> None:
    judged = bent(FIRST, f"{FIRST}\n    pytest.skip('not today')")
    assert (judged.exit_status, judged.status, judged.codes) == (0, "incomplete", ["check_skipped"])
    assert project.gate()[0] == 30


def test_a_declared_skip_is_at_risk_and_can_be_allowed_by_name(project: Project, bent: Bent) -> None:
    scope = project.file(
        "readiness.toml",
        """
        requirements = "test"
        [[waivers]]
        id = "scenarios/first"
        reason = "the vendor's bug 12"
        owner = "Ada"
        expires = 2999-01-01
        """,
    )
    judged = bent(FIRST, f"{FIRST}\n    pytest.skip('not today')", f"--smartattend-scope={scope}")
    assert (judged.status, judged.codes) == ("at_risk", ["declared_skip"])
    assert project.gate()[0] == 10
    assert project.gate("--allow", "declared_skip")[0] == 0
    assert project.gate("--allow", "check_failed")[0] == 2


def test_a_check_marked_xfail_that_fails_is_not_ready(bent: Bent) -> None:
    judged = bent(FIRST, f"@pytest.mark.xfail\n{FIRST}\n    assert False")
    assert judged.exit_status == 0
    assert (judged.status, judged.codes) == ("not_ready", ["check_xfailed"])


def test_a_check_marked_xfail_that_passes_is_at_risk(bent: Bent) -> None:
    judged = bent(FIRST, f"@pytest.mark.xfail(strict=False)\n{FIRST}")
    assert judged.exit_status == 0
    assert (judged.status, judged.codes) == ("at_risk", ["unexpected_pass"])


def test_a_check_that_passed_only_on_a_rerun_is_at_risk(bent: Bent) -> None:
    at_first = (
        f"{FIRST}\n    import pathlib\n    seen = pathlib.Path('seen')\n    before = seen.exists()\n    seen.touch()"
    )
    judged = bent(FIRST, f"{at_first}\n    assert before", "--reruns=2")
    assert judged.exit_status == 0
    assert (judged.status, judged.codes) == ("at_risk", ["passed_on_rerun"])
    assert [attempt["outcome"] for attempt in judged.check("scenarios/first")["attempts"]] == ["rerun", "passed"]


def test_a_deleted_check_file_is_missed(project: Project) -> None:
    project.file("test_checks.py", "def test_nothing():\n    pass\n")
    judged = project.run()
    assert (judged.exit_status, judged.status, judged.codes) == (0, "incomplete", ["check_missing"])
    assert len(judged.document["integrity"]["missing"]) == 3


def test_a_renamed_check_is_missed(bent: Bent) -> None:
    judged = bent('"scenarios/first"', '"scenarios/other"')
    assert (judged.status, judged.codes) == ("incomplete", ["check_missing"])
    assert judged.document["integrity"]["missing"] == ["scenarios/first"]


def test_a_dropped_cell_is_missed(bent: Bent) -> None:
    judged = bent('["a", "b"]', '["a"]')
    assert judged.document["integrity"]["missing"] == ["scenarios/second[b]"]


def test_an_empty_run_is_incomplete(project: Project) -> None:
    (project.pytester.path / "test_checks.py").unlink()
    judged = project.run()
    assert (judged.exit_status, judged.status) == (5, "incomplete")


def test_only_collecting_leaves_no_verdict(project: Project) -> None:
    result = project.pytester.runpytest_subprocess("--collect-only", f"--smartattend-report={project.reports}")
    assert result.ret == 0
    assert not project.reports.exists()


def test_a_check_that_was_set_up_and_never_called_has_not_passed(project: Project) -> None:
    judged = project.run("--setup-only")
    assert judged.exit_status == 0
    assert (judged.status, judged.codes) == ("incomplete", ["check_not_called"])


def test_a_check_that_passed_and_recorded_nothing_is_incomplete(project: Project, bent: Bent) -> None:
    judged = bent('evidence.expect("one and one", 1 + 1, 2)', "evidence.note('trust me')")
    assert judged.exit_status == 0
    assert (judged.status, judged.codes) == ("incomplete", ["no_evidence"])
    assert project.gate()[0] == 30


def test_a_run_that_stops_itself_with_status_0_is_incomplete(bent: Bent) -> None:
    judged = bent(FIRST, f"{FIRST}\n    pytest.exit('enough', returncode=0)")
    assert judged.exit_status == 0
    assert judged.status == "incomplete"
    assert "run_interrupted" in judged.codes


def test_a_check_of_a_stranger_cannot_answer_for_a_shipped_one(project: Project) -> None:
    shipped = "only_shipped_checks = true\n" + project.requirements.read_text("utf-8")
    project.file("requirements.toml", shipped)
    judged = project.run()
    assert judged.exit_status == 0
    assert (judged.status, judged.codes) == ("incomplete", ["impostor"])


def test_a_check_whose_mark_is_malformed_fails_and_says_how_it_is_written(bent: Bent) -> None:
    judged = bent('@pytest.mark.scenario("scenarios/first")', "@pytest.mark.scenario")
    assert judged.exit_status == 1
    assert "takes the check's id" in judged.output
    assert "check_missing" in judged.codes


def test_strict_lets_the_exit_status_follow_the_verdict(project: Project) -> None:
    assert project.run("--smartattend-strict", "-k", "second").exit_status == 30
    assert project.run("--smartattend-strict").exit_status == 0


def test_a_run_over_an_older_verdict_leaves_none_of_it(project: Project, honest: Judged) -> None:
    project.file("conftest.py", "import os\n\ndef pytest_collection_finish(session):\n    os._exit(7)\n")
    judged = project.run()
    assert honest.status == "ready"
    assert (judged.exit_status, judged.status, judged.document["run"]["finished"]) == (7, "incomplete", None)
    assert "unfinished" in judged.codes
    assert judged.document["history"][-1]["status"] == "ready"
    assert project.gate()[0] == 30


def test_requirements_that_are_not_the_gates_are_seen(project: Project, honest: Judged) -> None:
    lowered = project.pytester.path / "other.toml"
    lowered.write_text(project.requirements.read_text("utf-8") + "# raised\n", "utf-8")
    code, output = project.gate(f"--requirements={lowered}")
    assert honest.status == "ready"
    assert code == 30
    assert "requirements_differ" in output


@pytest.mark.parametrize("content", ["requirements = 3", 'requirements = "test"\nrequierd = []', "[", None])
def test_a_wrong_scope_is_a_usage_error_that_names_the_file(project: Project, content: str | None) -> None:
    scope = Path(project.pytester.path / "readiness.toml")
    if content is not None:
        scope.write_text(content, "utf-8")
    result = project.pytester.runpytest_subprocess(
        f"--smartattend-report={project.reports}",
        f"--smartattend-requirements={project.requirements}",
        f"--smartattend-scope={scope}",
    )
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*readiness.toml*"])
