"""What a terminal shows while a check runs, and a run that is given only so much time."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_smartattend.evidence.journal import Journal
from pytest_smartattend.wiring import progress

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

SLOW = """
import os, pathlib, pytest

@pytest.mark.scenario("scenarios/first")
def test_first(evidence):
    evidence.event("step", name="standby \\x1b[31mpromoted", at="0:30:00")
    pathlib.Path("seen").read_bytes()
    evidence.expect("one", 1, 1)
"""


def shown_on_a_terminal(project: Project, *arguments: str) -> str:
    """Everything that a terminal got of a run whose check ends when its step has been seen there."""
    project.file("test_checks.py", SLOW)
    os.mkfifo(project.pytester.path / "seen")
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--smartattend-report={project.reports}"]
    child = subprocess.Popen(
        [*words, f"--smartattend-requirements={project.requirements}", *arguments],
        cwd=project.pytester.path, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "90"},
    )  # fmt: skip
    os.close(theirs)
    shown, until, answered = b"", time.monotonic() + 240, False
    while time.monotonic() < until:
        if select.select([ours], [], [], 0.2)[0]:
            try:
                shown += os.read(ours, 65_536)
            except OSError:  # the other end is closed
                break
        if b"promoted at" in shown and not answered:
            (project.pytester.path / "seen").write_bytes(b"x")
            answered = True
    os.close(ours)
    child.kill() if not answered else None
    child.wait()
    return shown.decode("utf-8", "replace")


@pytest.mark.parametrize("workers", [(), ("-n2", "-p", "xdist")], ids=["alone", "two-workers"])
def test_a_long_check_shows_its_last_step_and_its_moment_on_one_line_that_goes(
    project: Project, workers: tuple[str, ...]
) -> None:
    shown = shown_on_a_terminal(project, *workers)
    drawn = re.findall("\x1b\\[2m(… [^\x1b]*)\x1b\\[0m", shown)
    assert drawn, shown
    assert re.fullmatch(r"… scenarios/first \d+ s: standby promoted at \+0:30:00", drawn[-1])
    assert max(map(len, drawn)) < 90
    after = shown.rsplit(drawn[-1], 1)[1]
    assert "\x1b[2K" in after, "the line was left on the screen"
    assert "1 passed" in after


def test_very_quiet_is_quiet(project: Project) -> None:
    project.file("test_checks.py", SLOW.replace('pathlib.Path("seen").read_bytes()', "import time; time.sleep(3)"))
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "pytest", "-qqq", f"--smartattend-report={project.reports}"]
    child = subprocess.Popen(
        [*words, f"--smartattend-requirements={project.requirements}"],
        cwd=project.pytester.path,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65_536):
            shown += piece
    except OSError:
        pass
    os.close(ours)
    child.wait()
    assert b"promoted" not in shown


def test_a_follower_of_a_journal_keeps_the_last_step_whatever_else_is_written(tmp_path: Path) -> None:
    journal = Journal("run", "gw0", tmp_path)
    follower = progress.Follower(next(tmp_path.glob("*.jsonl")))
    journal.append("collected", {"tests": [{"test": "t.py::a", "id": "drills/a"}]})
    journal.append("start", {}, test="t.py::a", attempt=1)
    journal.append("event", {"name": "step", "offset": 1, "data": {"name": "detected"}}, test="t.py::a", attempt=1)
    for _ in range(200):
        journal.append("operations", {"operations": ["x" * 3000]}, test="t.py::a", attempt=1)
    follower.look()
    assert (follower.test, follower.step, follower.ids) == ("t.py::a", "detected", {"t.py::a": "drills/a"})
    journal.append("fault", {"name": "cut", "seed": 1, "offset": 1, "data": {}}, test="t.py::a", attempt=1)
    follower.look()
    assert follower.step == "fault cut"
    journal.append("end", {"events": 1}, test="t.py::a", attempt=1)
    follower.look()
    assert follower.test == ""
    journal.close()


def test_where_no_line_can_be_redrawn_a_plain_one_comes_every_half_minute(tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    shown = progress.Progress(tmp_path, theirs, 80, is_terminal=False)
    for seconds in (3, 29, 31, 45, 61):
        shown._say([(int(seconds * 1e9), "drills/a", "detected\nnow")])
    os.close(theirs)
    assert os.read(ours, 9999).decode() == (
        "\nsmartattend: drills/a 31 s: detected now\n\nsmartattend: drills/a 61 s: detected now\n"
    )
    os.close(ours)


BUDGETED = """
import time, pytest

@pytest.mark.scenario("scenarios/first")
def test_first(evidence):
    time.sleep(1.5)
    evidence.expect("one", 1, 1)

@pytest.mark.scenario("scenarios/second")
@pytest.mark.parametrize("cell", ["a", "b"])
def test_second(evidence, cell):
    time.sleep(1.5)
    evidence.expect("one", 1, 1)
"""


@pytest.mark.parametrize("workers", [(), ("-n1", "-p", "xdist")], ids=["alone", "a-worker"])
def test_what_a_budget_cuts_is_not_run_and_the_verdict_incomplete(project: Project, workers: tuple[str, ...]) -> None:
    """The first check outlasts the budget however slow the machine is: it begins at once, or not at all."""
    project.file("conftest.py", "def pytest_collection_finish():\n    import time; time.sleep(0.2)\n")
    project.file("test_checks.py", BUDGETED)
    judged = project.run("--smartattend-budget=100ms", *workers)
    assert judged.exit_status == pytest.ExitCode.INTERRUPTED
    assert (judged.status, judged.codes) == ("incomplete", ["check_not_run"])
    assert judged.check("scenarios/second[b]")["status"] == "not_run"
    assert "did not begin within 0.1 s" in judged.output
    assert "tests were lost" not in judged.output


def test_a_budget_that_suffices_changes_nothing(project: Project) -> None:
    judged = project.run("--smartattend-budget=1h")
    assert (judged.exit_status, judged.status) == (0, "ready")


def test_what_had_begun_within_the_budget_is_finished(project: Project) -> None:
    project.file(
        "conftest.py",
        """
        from pytest_smartattend.evidence import stopwatch
        from pytest_smartattend.wiring import run

        def pytest_collection_finish(session):  # a slow start must not use the budget up
            run.of(session.config).began = stopwatch.monotonic_ns()
        """,
    )
    project.file("test_checks.py", BUDGETED.replace("time.sleep(1.5)", "time.sleep(5.2)", 1))
    judged = project.run("--smartattend-budget=5s")
    assert judged.check("scenarios/first")["status"] == "passed"
    assert [judged.check(f"scenarios/second[{cell}]")["status"] for cell in "ab"] == ["not_run", "not_run"]


@pytest.mark.parametrize("value", ["soon", "-1s", "5 parsecs", "0s"])
def test_a_budget_that_is_no_time_is_a_usage_error(project: Project, value: str) -> None:
    result = project.pytester.runpytest_subprocess(f"--smartattend-budget={value}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*such as 90s, 5m or 1h*"])
