"""What a stranger's project says about its own tests changes neither which shipped checks are collected nor what
evidence they leave."""

from __future__ import annotations

import datetime as dt
import sys
from typing import TYPE_CHECKING

import pytest

from pytest_smartattend import cli
from pytest_smartattend.readiness import gate

if TYPE_CHECKING:
    from tests.plugin.conftest import Judged, Project

CONFIGURATIONS = {
    "python_files": "python_files = check_*.py",
    "python_functions": "python_functions = check_*",
    "python_classes": "python_classes = Check",
    "filterwarnings": "filterwarnings = error",
    "asyncio_mode": "asyncio_mode = auto",
    "testpaths": "testpaths = nowhere",
    "strict": "strict = true",
    "xfail_strict": "xfail_strict = true",
}


def _collected(project: Project, configuration: str) -> list[str]:
    base = "[pytest]\nasyncio_default_fixture_loop_scope = function\n"
    project.pytester.makeini(base + configuration + "\n")
    result = project.pytester.runpytest_subprocess(
        "--pyargs",
        "pytest_smartattend.suites",
        "--collect-only",
        "-q",
    )
    return sorted(line.rpartition("/")[2] for line in result.outlines if "::" in line)


def test_the_shipped_checks_are_collected_alike_under_any_configuration(project: Project) -> None:
    plain = _collected(project, "")
    assert len(plain) > 50
    for name, configuration in CONFIGURATIONS.items():
        assert _collected(project, configuration) == plain, name


@pytest.mark.parametrize(
    "configuration", [CONFIGURATIONS[name] for name in ("filterwarnings", "asyncio_mode", "strict")]
)
def test_a_users_configuration_does_not_change_the_verdict(project: Project, configuration: str) -> None:
    project.pytester.makeini(f"[pytest]\nasyncio_default_fixture_loop_scope = function\n{configuration}\n")
    assert project.run().status == "ready"


def test_a_users_fixture_of_the_same_name_does_not_reach_a_check_that_uses_the_private_one(project: Project) -> None:
    project.file("conftest.py", "import pytest\n\n@pytest.fixture\ndef evidence():\n    raise RuntimeError('mine')\n")
    checks = (project.pytester.path / "test_checks.py").read_text("utf-8")
    private = checks.replace("(evidence", "(_smartattend_evidence").replace("evidence.", "_smartattend_evidence.")
    project.file("test_checks.py", private)
    assert project.run().status == "ready"


def test_a_users_fixture_that_pretends_to_record_leaves_no_evidence(project: Project) -> None:
    pretender = "from unittest.mock import Mock\nimport pytest\n\n@pytest.fixture\ndef evidence():\n    return Mock()\n"
    project.file("conftest.py", pretender)
    judged = project.run()
    assert (judged.exit_status, judged.codes) == (0, ["no_evidence"])


def test_a_users_autouse_fixture_may_record_and_does_no_harm(project: Project) -> None:
    autouse = "import pytest\n\n@pytest.fixture(autouse=True)\ndef mine(evidence):\n    evidence.note('before')\n    yield\n    evidence.note('after')\n"
    project.file("conftest.py", autouse)
    judged = project.run()
    assert judged.status == "ready"
    assert judged.check("scenarios/first")["notes"] == ["before", "after"]


def test_a_users_autouse_fixture_that_breaks_is_an_error_of_the_check(project: Project) -> None:
    project.file(
        "conftest.py", "import pytest\n\n@pytest.fixture(autouse=True)\ndef mine():\n    yield\n    assert False\n"
    )
    judged = project.run()
    assert (judged.status, judged.codes) == ("not_ready", ["check_error"])


def test_frozen_time_in_a_users_test_does_not_move_the_evidence(project: Project) -> None:
    project.file(
        "conftest.py",
        "import freezegun, pytest\n\n@pytest.fixture(autouse=True)\ndef frozen():\n    with freezegun.freeze_time('1999-01-01'):\n        yield\n",
    )
    judged = project.run()
    assert judged.status == "ready"
    assert judged.document["run"]["finished"] > judged.document["run"]["started"] > "2020"


def test_the_command_runs_the_same_checks_whatever_the_project_says(project: Project) -> None:
    """`smartattend readiness` with a stand-in for the suites, under addopts that would leave most of them out."""
    project.file("shipped/__init__.py", "")
    (project.pytester.path / "test_checks.py").rename(project.pytester.path / "shipped" / "test_checks.py")
    project.pytester.makeini(
        "[pytest]\naddopts = -k second --maxfail=1 -p no:xdist\npython_files = check_*.py\npython_functions = check_*\n"
        "filterwarnings = error\nasyncio_mode = auto\nusefixtures = absent\nstrict = true\n"
    )
    exit_status, output = _readiness(project)
    assert exit_status == 0, output
    assert "READY for scenarios" in output


def test_the_command_gates_what_it_wrote_and_puts_an_older_verdict_aside(project: Project, honest: Judged) -> None:
    assert honest.status == "ready"
    exit_status, output = _readiness(project, "--", "--no-such-option")
    assert (exit_status, output.count("unrecognized arguments: --no-such-option")) == (2, 1)
    assert sorted(path.name for path in project.reports.iterdir()) == ["previous.json"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--target=banana", "cannot read 'banana'"),
        ("--shard=9/3", "cannot read '9/3'"),
        ("--report=test_checks.py", "cannot be written"),
        ("--workers=0 --suites=nowhere", "module or package not found: nowhere"),
        ("--sabotage=level-may-fal", "there is no 'level-may-fal'"),
        ("--target=command", "--smartattend-target=command needs"),
        ("--target=command --command=true --adapter=nope.toml", "nope.toml cannot be read"),
        ("--target=url --url=http://127.0.0.1:9 --adapter=reference", "not marked as disposable"),
        ("--target=url --url=http://example.test --adapter=reference", "is not on this machine"),
        ("--workers=0 -- --smartattend-strict --smartattend-checks=scenarios/frist", "Did you mean scenarios/first"),
    ],
)
def test_wrong_usage_ends_with_2_its_error_once_and_no_verdict(project: Project, words: str, said: str) -> None:
    _as_suites(project)
    history = project.pytester.path / "history.jsonl"
    exit_status, output = _readiness(project, f"--history={history}", *words.split())
    assert exit_status == 2, output
    assert output.count(said) == 1
    assert not any(word in output for word in ("READY", "INCOMPLETE", "UNTRUSTWORTHY", "was planted"))
    assert not (history.exists() and history.read_text())
    if (project.reports / "readiness.json").exists():
        assert project.gate()[0] == 30  # it was started, and did not finish


def test_a_run_that_leaves_no_document_is_untrustworthy_by_word_and_by_exit_code(project: Project) -> None:
    project.file("dies.py", "import os\n\nos._exit(3)\n")
    exit_status, output = _readiness(project, "--", "-pdies")
    assert (exit_status, "UNTRUSTWORTHY" in output) == (40, True)
    assert "pytest ended with exit status 3 and left no document" in output


def test_a_ready_document_of_a_run_that_failed_is_called_incomplete(project: Project) -> None:
    _as_suites(project)
    project.file("shipped/test_more.py", "def test_more():\n    assert False\n")
    exit_status, output = _readiness(project)
    assert exit_status == 30
    assert "\nINCOMPLETE for scenarios" in output
    assert "pytest ended with exit status 1, so this is not ready" in output


def test_a_run_of_any_length_is_judged_by_the_time_at_its_end(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the time of its beginning, a run that takes longer than clocks may differ would be dated in the future.

    Each process has the calendar as it was at its own start, and this one began long ago: they may differ by some.
    """
    monkeypatch.setattr(gate, "TOLERANCE", dt.timedelta(seconds=2))
    project.file("shipped/__init__.py", "")
    (project.pytester.path / "test_checks.py").rename(project.pytester.path / "shipped" / "test_checks.py")
    project.file("shipped/test_long.py", "import time\n\ndef test_long():\n    time.sleep(3)\n")
    words = (f"--requirements={project.requirements}", f"--report={project.reports}", "--workers=0")
    code = cli.main(["readiness", "--target=reference", "--suites=shipped", *words])
    assert code == 0, capsys.readouterr().out


def _as_suites(project: Project) -> None:
    project.file("shipped/__init__.py", "")
    (project.pytester.path / "test_checks.py").rename(project.pytester.path / "shipped" / "test_checks.py")
    project.file("test_checks.py", "")


def _readiness(project: Project, *arguments: str) -> tuple[int, str]:
    result = project.pytester.run(
        sys.executable,
        "-m",
        "pytest_smartattend.cli",
        "readiness",
        "--target=reference",
        "--suites=shipped",
        f"--requirements={project.requirements}",
        f"--report={project.reports}",
        "--workers=2",
        *arguments,
        timeout=120,
    )
    return int(result.ret), result.stdout.str() + result.stderr.str()
