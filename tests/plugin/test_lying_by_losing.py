"""Every way in which pytest-xdist, a plugin or a signal loses a test. None ends in ready, and none in exit status 0."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.plugin.conftest import Judged, Project

    Bent = Callable[..., Judged]

FIRST = "def test_first(evidence):"
XDIST = ("-n2", "-p", "xdist")


def test_honest_checks_are_ready_under_xdist_and_name_their_workers(project: Project) -> None:
    judged = project.run(*XDIST)
    assert (judged.exit_status, judged.status) == (0, "ready")
    assert judged.document["run"]["workers"] == 2
    assert {journal["worker"] for journal in judged.document["integrity"]["journals"]} == {"gw0", "gw1"}
    assert not any(journal["torn"] for journal in judged.document["integrity"]["journals"])


@pytest.mark.parametrize("thing", ["__import__('datetime').datetime.min", "__import__('uuid').uuid4()", "'\\ud800'"])
def test_a_property_that_execnet_cannot_carry_loses_its_test_and_never_exits_0(bent: Bent, thing: str) -> None:
    lost = f"def test_first(evidence, record_property):\n    record_property('a', {thing})"
    judged = bent(FIRST, lost, *XDIST)
    assert judged.exit_status != 0
    assert judged.status == "incomplete"
    assert judged.document["integrity"]["reported"] < 3
    assert judged.check("scenarios/first")["status"] != "passed"


def test_without_a_report_a_lost_test_is_named_and_the_exit_status_is_3(project: Project) -> None:
    project.file(
        "conftest.py",
        """
        import pytest

        class Swallow:
            @pytest.hookimpl(tryfirst=True)
            def pytest_runtest_protocol(self, item, nextitem):
                return True if "first" in item.name else None

        def pytest_configure(config):
            config.pluginmanager.register(Swallow())
        """,
    )
    result = project.pytester.runpytest_subprocess("-q")
    assert result.ret == 3
    result.stdout.fnmatch_lines(["*tests were lost*", "*test_checks.py::test_first*never reported*"])
    judged = project.run()
    assert (judged.exit_status, judged.status) == (3, "incomplete")
    assert judged.check("scenarios/first")["status"] == "not_run"


@pytest.mark.parametrize("dist", ["load", "loadscope", "loadgroup", "loadfile", "worksteal"])
def test_a_crashed_worker_ends_the_run_and_its_check_has_crashed(bent: Bent, dist: str) -> None:
    crash = (
        f"@pytest.mark.xdist_group('one')\n{FIRST}\n    evidence.note('about to die')\n    __import__('os')._exit(9)"
    )
    judged = bent(FIRST, crash, *XDIST, f"--dist={dist}")
    assert judged.exit_status != 0
    assert judged.status == "incomplete"
    assert {"check_crashed", "worker_lost"} <= set(judged.codes)
    assert judged.check("scenarios/first")["status"] == "crashed"
    assert judged.check("scenarios/first")["notes"][0] == "about to die"


def test_a_crashed_check_that_passes_on_another_worker_has_still_crashed(bent: Bent) -> None:
    once = f"{FIRST}\n    import os, pathlib\n    seen = pathlib.Path('seen')\n    if not seen.exists():\n        seen.touch(); os._exit(9)"
    judged = bent(FIRST, once, *XDIST, "--dist=load", "--reruns=1")
    assert judged.status == "incomplete"
    assert judged.check("scenarios/first")["status"] == "crashed"


def test_an_attempt_that_a_plugin_hid_is_found_in_the_journal(project: Project, bent: Bent) -> None:
    project.file(
        "conftest.py",
        """
        import pytest
        from _pytest.runner import runtestprotocol

        @pytest.hookimpl(tryfirst=True)
        def pytest_runtest_protocol(item, nextitem):
            item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
            reports = runtestprotocol(item, nextitem=nextitem, log=False)
            if any(report.failed for report in reports):
                item._initrequest()
                reports = runtestprotocol(item, nextitem=nextitem, log=False)
            for report in reports:
                item.ihook.pytest_runtest_logreport(report=report)
            item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
            return True
        """,
    )
    at_first = (
        f"{FIRST}\n    import pathlib\n    seen = pathlib.Path('seen')\n    before = seen.exists()\n    seen.touch()"
    )
    judged = bent(FIRST, f"{at_first}\n    assert before")
    assert (judged.exit_status, judged.status, judged.codes) == (0, "at_risk", ["passed_on_rerun"])


def _tell_the_controller(project: Project, line: str) -> None:
    hook = "import pytest\n\n@pytest.hookimpl(wrapper=True, tryfirst=True)\ndef pytest_runtest_logreport(report):\n"
    hook += f"    {line}\n    return (yield)\n"
    project.file("conftest.py", hook)


def test_a_plugin_that_turns_a_failure_into_a_pass_is_contradicted_by_the_journal(project: Project, bent: Bent) -> None:
    _tell_the_controller(project, "report.outcome, report.longrepr = 'passed', None")
    judged = bent(FIRST, f"{FIRST}\n    evidence.expect('one', 1, 1)\n    assert False")
    assert judged.exit_status == 0
    assert (judged.status, judged.codes) == ("incomplete", ["evidence_lost"])


def test_a_check_that_goes_on_after_an_expectation_failed_has_failed(bent: Bent) -> None:
    swallowed = "import contextlib\n    with contextlib.suppress(AssertionError): evidence.expect('one', 1, 2)"
    judged = bent('evidence.expect("one and one", 1 + 1, 2)', swallowed)
    assert judged.exit_status == 0
    assert (judged.status, judged.codes) == ("not_ready", ["check_failed"])


def test_a_plugin_that_drops_the_properties_takes_the_evidence_with_them(project: Project) -> None:
    _tell_the_controller(project, "report.user_properties[:] = []")
    judged = project.run()
    assert (judged.exit_status, judged.codes) == (0, ["evidence_lost"])


def test_a_journal_that_is_changed_while_the_run_goes_on_is_found(project: Project) -> None:
    project.file(
        "conftest.py",
        """
        import pathlib, tempfile, pytest
        from pytest_smartattend.wiring import evidence

        @pytest.hookimpl(tryfirst=True)
        def pytest_sessionfinish(session):
            for path in evidence.journal_folder(session.config).glob("*.jsonl"):
                path.write_bytes(path.read_bytes().replace(b'"held":true', b'"held":null'))
        """,
    )
    judged = project.run()
    assert judged.status == "incomplete"
    assert "journal_broken" in judged.codes


def test_a_killed_run_leaves_the_words_started_not_finished(project: Project, honest: Judged) -> None:
    assert honest.status == "ready"
    project.file(
        "test_slow.py",
        """
        import os, signal

        def test_slow():
            os.kill(os.getpid(), signal.SIGKILL)
        """,
    )
    judged = project.run()
    assert judged.exit_status == -signal.SIGKILL
    assert (judged.status, judged.document["run"]["finished"]) == ("incomplete", None)
    assert "unfinished" in judged.codes
    assert project.gate()[0] == 30


def test_an_interrupted_run_is_incomplete(project: Project) -> None:
    """Ctrl-C while a check runs: the check says when it has begun, over a pipe."""
    project.file(
        "test_checks.py",
        """
        import os, time, pytest

        @pytest.mark.scenario("scenarios/first")
        def test_first(evidence):
            os.write(int(os.environ["BEGUN"]), b"x")
            while True:  # not a pause: one that begins just after its signal has come never ends
                time.sleep(0.1)
        """,
    )
    reading, writing = os.pipe()
    child = subprocess.Popen(
        [
            sys.executable,
            "-mpytest",
            f"--smartattend-report={project.reports}",
            f"--smartattend-requirements={project.requirements}",
        ],
        cwd=project.pytester.path,
        env={**os.environ, "BEGUN": str(writing)},
        pass_fds=(writing,),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    assert os.read(reading, 1) == b"x"
    os.close(reading)
    child.send_signal(signal.SIGINT)
    assert child.wait(240) == 2
    document = json.loads((project.reports / "readiness.json").read_bytes())
    assert document["status"] == "incomplete"
    assert document["integrity"]["interrupted"] == ["scenarios/first"]
    assert "KeyboardInterrupt" in document["run"]["interrupted"]
