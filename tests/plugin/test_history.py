"""``--smartattend-history``: the trend over runs, whatever becomes of the folder of reports."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project


def test_each_finished_run_adds_a_line_and_the_next_shows_it(project: Project) -> None:
    told = "--smartattend-history=past/history.jsonl"
    first = project.run(told)
    shutil.rmtree(project.reports)
    second = project.run(told, "--deselect=test_checks.py::test_first")
    third = project.run(told, "-n2", "-p", "xdist")
    assert [one["status"] for one in third.document["history"]] == ["ready", "incomplete"]
    assert [one["sha256"] for one in third.document["history"]] == [
        judged.document["seal"]["sha256"] for judged in (first, second)
    ]
    assert len((project.pytester.path / "past" / "history.jsonl").read_text().splitlines()) == 3
    assert "It was <strong" in (project.reports / "readiness.html").read_text("utf-8")
    assert project.gate()[0] == 0


def test_a_line_that_was_changed_is_told_on_the_terminal_and_on_the_page(project: Project) -> None:
    path = project.pytester.path / "history.jsonl"
    project.run(f"--smartattend-history={path}", "--deselect=test_checks.py::test_first")
    path.write_text(path.read_text().replace('"incomplete"', '"ready"'))
    judged = project.run(f"--smartattend-history={path}")
    assert judged.document["history"] == []
    assert "line 1 of history.jsonl was changed" in judged.output
    assert "line 1 of history.jsonl was changed" in (project.reports / "readiness.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--smartattend-history=h"], "*none is written. Say --smartattend-report*"),
        (["--smartattend-history=.", "--smartattend-report=r"], "*cannot be used as a history*"),
    ],
)
def test_a_history_that_cannot_be_kept_is_told_before_the_run(
    project: Project, arguments: list[str], said: str
) -> None:
    result = project.pytester.runpytest_subprocess(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([said])
