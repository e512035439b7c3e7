"""The controller's side: what was reported, held against what was collected and journaled, and the verdict of the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

from pytest_smartattend.readiness.integrity import Seen
from pytest_smartattend.readiness.outcomes import Attempt, Phases
from pytest_smartattend.wiring import budget
from pytest_smartattend.wiring import evidence as evidence_wiring
from pytest_smartattend.wiring import run as run_wiring

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

#: pytest's own exit status for "something went wrong that is no test's failure"
INTERNAL_ERROR = int(pytest.ExitCode.INTERNAL_ERROR)
#: and for "stopped before everything had run"
INTERRUPTED = int(pytest.ExitCode.INTERRUPTED)
_PHASES = ("setup", "call", "teardown")
#: outcomes by which plugins say that an attempt failed and is repeated
_RERUN = {"rerun", "retried"}


def pytest_configure(config: pytest.Config) -> None:
    """Watch, where this process owns the run."""
    run = run_wiring.of(config)
    if run.is_controller:
        _never_replace_workers_where_that_hangs(config)
        watcher = Watcher(config)
        if evidence_wiring.makes_a_verdict(config):
            from pytest_smartattend.wiring.verdict import Clerk

            watcher.clerk = Clerk(config)
            watcher.clerk.begin()
            from pytest_smartattend.wiring import progress

            progress.start(config, evidence_wiring.journal_folder(config))
        config.pluginmanager.register(watcher, "smartattend-watcher")


def _never_replace_workers_where_that_hangs(config: pytest.Config) -> None:
    """With these schedulers xdist up to 3.8.0 may wait for ever once a worker has died and been replaced (issue 1323).

    Only for runs that make a verdict: a lost worker makes them incomplete anyhow.
    """
    if getattr(config.option, "maxworkerrestart", None) is not None or not evidence_wiring.makes_a_verdict(config):
        return
    if getattr(config.option, "dist", "no") in {"loadscope", "loadgroup", "loadfile"}:
        config.option.maxworkerrestart = "0"


class _Open:
    """The reports of an attempt, as they come. Plain attributes: this runs three times for every test of every run."""

    __slots__ = ("crashed", "events", "expected_to_fail", "head", "phases", "reason", "rerun", "seconds")

    def __init__(self) -> None:
        self.phases: dict[str, str] = {}
        self.crashed = self.expected_to_fail = self.rerun = False
        self.seconds = 0.0
        self.reason = self.head = ""
        self.events = 0

    def add(self, report: pytest.TestReport) -> None:
        """Take in one report."""
        outcome: str = report.outcome
        if outcome in _RERUN:
            self.rerun, outcome = True, "failed"
        if report.when in _PHASES:
            before = self.phases.get(report.when)
            # Subtests report several calls for one test: a failed one is not mended by those that follow.
            if before != "failed" and (before is None or outcome == "failed" or not hasattr(report, "context")):
                self.phases[report.when] = outcome
        else:  # xdist reports a test whose worker died under the phase "???"
            self.crashed = True
        self.expected_to_fail = self.expected_to_fail or hasattr(report, "wasxfail")
        self.seconds += getattr(report, "duration", 0.0)
        if outcome != "passed" and not self.reason:
            self.reason = _reason(report)
        if report.when == "teardown":
            self.head, self.events = evidence_wiring.carried_in(report)

    def attempt(self, test: str, worker: str) -> Attempt:
        """The attempt as far as it was reported."""
        setup, call, teardown = (self.phases.get(phase, "") for phase in _PHASES)
        outcome = Phases(setup, call, teardown, self.crashed, self.expected_to_fail, self.rerun).outcome()
        return Attempt(test, worker, outcome, self.seconds, self.reason, self.events, self.head)


def _reason(report: pytest.TestReport) -> str:
    longrepr: Any = report.longrepr
    if isinstance(longrepr, tuple):  # a skip: path, line, reason
        return str(longrepr[2])
    crash = getattr(longrepr, "reprcrash", None)
    return str(getattr(report, "wasxfail", "")) or (str(crash.message) if crash is not None else str(longrepr or ""))


class Watcher:
    """Counts what should come and what came. Costs a few dictionary entries per test and writes nothing."""

    def __init__(self, config: pytest.Config) -> None:
        self.clerk: Any = None
        self._config = config
        self._collected: set[str] = set()
        self._started: set[str] = set()
        self._attempts: dict[str, list[tuple[str, _Open]]] = {}
        self._interrupted = ""
        self._exit_asked = False
        self._internal_errors: list[str] = []
        self._workers_lost: dict[str, str] = {}
        self._collection_errors: list[str] = []
        self._workers = 0
        self._lost: Sequence[str] = ()
        self._cut: Sequence[str] = ()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: WorkerController, ids: Sequence[str]) -> None:
        """A worker has collected."""
        self._workers += 1
        self._collected.update(ids)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Without xdist, this process has collected."""
        self._collected.update(item.nodeid for item in session.items)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file could not be collected."""
        if report.failed:
            self._collection_errors.append(report.nodeid)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A test begins."""
        self._started.add(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A phase was reported: in order, per worker."""
        node = getattr(report, "node", None)
        worker = str(getattr(report, "worker_id", "") or (node.gateway.id if node is not None else "main"))
        attempts = self._attempts.setdefault(report.nodeid, [])
        current = next((one for name, one in reversed(attempts) if name == worker), None)
        if current is None or report.when == "setup" or "teardown" in current.phases:
            current = _Open()
            attempts.append((worker, current))
        current.add(report)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: WorkerController, error: object | None) -> None:
        """A worker has ended, by itself where there is an error."""
        if error:
            self._workers_lost[str(node.gateway.id)] = str(error)

    def pytest_internalerror(self, excrepr: object) -> None:
        """Pytest itself, here or in a worker, has failed."""
        lines = [line for line in str(excrepr).splitlines() if line.strip()]
        self._internal_errors.append(lines[-1].strip() if lines else "unknown")

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """The run was stopped: Ctrl-C, pytest.exit, -x under xdist."""
        self._interrupted = excinfo.exconly() or excinfo.typename
        self._exit_asked = getattr(excinfo.value, "returncode", None) is not None

    def seen(self) -> Seen:
        """What the controller saw, as values."""
        attempts = {
            test: tuple(one.attempt(test, worker) for worker, one in found) for test, found in self._attempts.items()
        }
        return Seen(
            frozenset(self._collected),
            frozenset(self._started),
            attempts,
            self._interrupted,
            tuple(self._internal_errors),
            self._workers_lost,
            tuple(self._collection_errors),
        )

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Never exit 0 with a test lost; and write the verdict, where one was asked for."""
        # no hook tells of it without xdist
        self._interrupted = self._interrupted or run_wiring.of(self._config).stopped
        seen = self.seen()
        only_collected = bool(getattr(self._config.option, "collectonly", False))
        lost = [] if only_collected else seen.lost()
        if lost and budget.is_used_up(self._config):
            self._cut = [test for test in lost if test not in seen.started]
            lost = [test for test in lost if test in seen.started]
            if self._cut and int(session.exitstatus) == 0:
                session.exitstatus = INTERRUPTED
        if lost and int(session.exitstatus) == 0 and not self._exit_asked:
            session.exitstatus = INTERNAL_ERROR
            self._lost = lost
        if self.clerk is not None:
            session.exitstatus = self.clerk.finish(seen, int(session.exitstatus), self._workers)
        terminal = self._config.pluginmanager.getplugin("terminalreporter")
        if exitstatus == INTERNAL_ERROR and terminal is not None:  # pytest leaves its summary out then
            self.pytest_terminal_summary(terminal)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name what was lost, and tell the verdict."""
        if self._lost:
            terminalreporter.section("smartattend: tests were lost", red=True, bold=True)
            for test in self._lost[:20]:
                terminalreporter.line(f"{test} was collected and never reported; pytest's exit status is 3, not 0")
            if len(self._lost) > 20:
                terminalreporter.line(f"… and {len(self._lost) - 20} more")
        if self._cut:
            terminalreporter.section("smartattend: the budget is used up", yellow=True)
            seconds = run_wiring.of(self._config).settings.budget
            count = f"{len(self._cut)} test{'' if len(self._cut) == 1 else 's'}"
            terminalreporter.line(f"{count} did not begin within {seconds:g} s; pytest's exit status is not 0")
        if self.clerk is not None:
            self.clerk.tell(terminalreporter)
