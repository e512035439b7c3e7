"""The `evidence` fixture, and the journal of each process that runs tests.

Two traces of every test leave its process on two ways: reports to the controller, lines in the journal. The last report
carries the hash with which the journal must end the test; `wiring.reconciler` holds them against each other.
"""

from __future__ import annotations

import gc
import json
import tempfile
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_smartattend import marks
from pytest_smartattend.errors import UsageError
from pytest_smartattend.wiring import run as run_wiring
from pytest_smartattend.wiring import suites

if TYPE_CHECKING:
    from pytest_smartattend.evidence.journal import Journal
    from pytest_smartattend.evidence.record import Evidence

#: name of the user property that carries count and hash; a plain text of JSON, which any reporter shows
PROPERTY = "smartattend"
_CHUNK = 30_000
#: where pytest-html and allure-pytest keep what they were asked for
_OTHER_REPORTS = ("htmlpath", "allure_report_dir")
#: pieces of evidence of one test that they show
_LINES = 100


class _Recorder:
    """What this process keeps while it runs tests. Where nobody asked for a verdict, and no test for evidence: counters.

    Args:
        run: the run.
        folder: where the journal goes; None where nobody asked for a verdict.
        shown_elsewhere: whether a report of another plugin shows evidence too.
    """

    def __init__(self, run: run_wiring.Run, folder: Path | None, *, shown_elsewhere: bool) -> None:
        self.writes = folder is not None
        self.current: Evidence | None = None
        self.phases: dict[str, str] = {}
        self.expected_to_fail = False
        self.wrong_marks: dict[str, str] = {}
        self._run = run
        self._folder = folder
        self._shown_elsewhere = shown_elsewhere
        self._journal: Journal | None = None
        self._attempts: dict[str, int] = {}

    @property
    def journal(self) -> Journal:
        """This process's journal, opened when first needed."""
        if self._journal is None:
            from pytest_smartattend.evidence.journal import Journal

            self._journal = Journal(self._run.run_id, self._run.worker, self._folder)
        return self._journal

    def begin(self, test: str) -> None:
        """Begin an attempt at a test."""
        self._attempts[test] = self._attempts.get(test, 0) + 1
        self.current, self.phases, self.expected_to_fail = None, {}, False
        if self.writes:
            self.evidence_of(test)
            self.journal.append("start", {}, test=test, attempt=self._attempts[test])

    def evidence_of(self, test: str) -> Evidence:
        """The record of the attempt that runs."""
        if self.current is None:
            from pytest_smartattend.evidence.record import Evidence

            self.current = Evidence(self.journal, test, self._attempts[test])
            if self._shown_elsewhere:
                self.current.lines = deque(maxlen=_LINES)
        return self.current

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.close()


_RECORDER = pytest.StashKey[_Recorder]()


def makes_a_verdict(config: pytest.Config) -> bool:
    """Whether this run was asked for a verdict: a report, or an exit status that follows one."""
    settings = run_wiring.of(config).settings
    only_looking = (
        "collectonly", "help", "version", "showfixtures", "show_fixtures_per_test", "markers", "cacheshow"
    )  # fmt: skip
    return (settings.report is not None or settings.history is not None or settings.strict) and not any(
        getattr(config.option, name, None) for name in only_looking
    )


def journal_folder(config: pytest.Config) -> Path:
    """Where the journals of this run lie, for its controller and its workers alike."""
    return run_wiring.of(config).folder(Path(tempfile.gettempdir()))


def about(config: pytest.Config, part: str, description: object) -> None:
    """Note in the journal what a part of the run is, so that the document can say it.

    Args:
        config: pytest's.
        part: ``postgres`` (a mapping with ``major``) or ``target``.
        description: plain values, as for `Evidence`.
    """
    recorder = _recorder(config)
    if recorder.writes:
        recorder.journal.append("about", {"part": part, "description": description})


def _recorder(config: pytest.Config) -> _Recorder:
    if _RECORDER not in config.stash:
        run = run_wiring.of(config)
        config.stash[_RECORDER] = _Recorder(
            run,
            journal_folder(config) if makes_a_verdict(config) else None,
            shown_elsewhere=any(config.getoption(name, None) for name in _OTHER_REPORTS),
        )
    return config.stash[_RECORDER]


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Note which checks were deselected: nobody else tells the controller."""
    if items:
        _note_tests(items[0].config, "deselected", items)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Note which test is which check."""
    _note_tests(session.config, "collected", session.items)
    if makes_a_verdict(session.config):
        gc.freeze()  # what was imported stays to the end, where pytest would go through it five times: 0.3 s a process


def _note_tests(config: pytest.Config, kind: str, items: Sequence[pytest.Item]) -> None:
    recorder = _recorder(config)
    entries = [_entry(item, recorder) for item in items]
    if recorder.writes:
        for chunk in _chunks(entry for entry in entries if entry is not None):
            recorder.journal.append(kind, {"tests": chunk})


def _entry(item: pytest.Item, recorder: _Recorder) -> dict[str, Any] | None:
    try:
        check = marks.check_of(item)
    except UsageError as problem:
        recorder.wrong_marks[item.nodeid] = str(problem)
        return None
    if check is None:
        return None
    group, name = check
    shipped = suites.is_shipped(item.path)
    return {"test": item.nodeid, "id": name, "group": group, "shipped": shipped, "detects": marks.detected_by(item)}


def _chunks(entries: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    chunk: list[dict[str, Any]] = []
    size = 0
    for entry in entries:
        size += len(entry["test"]) + len(entry["id"]) + 100
        chunk.append(entry)
        if size > _CHUNK or len(chunk) >= 200:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Begin an attempt; before anything of the test's own, so that a skip or a broken fixture is an attempt too."""
    recorder = _recorder(item.config)
    recorder.begin(item.nodeid)
    if item.nodeid in recorder.wrong_marks:
        pytest.fail(recorder.wrong_marks[item.nodeid], pytrace=False)
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """End the attempt with its last report, after every other plugin has had its say about the outcome."""
    report = yield
    recorder = _recorder(item.config)
    if report.failed or recorder.current is not None:
        _without_secrets(report)
    recorder.phases[call.when] = report.outcome
    recorder.expected_to_fail |= hasattr(report, "wasxfail")
    evidence = recorder.current
    if report.failed and evidence is not None and recorder.writes:
        for title, text in report.sections:  # what pytest captured is in its own reports
            if not title.startswith("Captured"):
                evidence.log(title, text)
    if call.when == "teardown" and evidence is not None:
        recorder.current = None
        if recorder.writes or evidence.events:
            phases = {phase: recorder.phases.get(phase, "") for phase in ("setup", "call", "teardown")}
            carried = evidence.close({**phases, "expected_to_fail": recorder.expected_to_fail})
            report.user_properties.append((PROPERTY, carried))
            if evidence.lines is not None:
                _show_in_other_reports(item.config, report, evidence)
    return report


def _without_secrets(report: pytest.TestReport) -> None:
    """What a check saw goes into JUnit, pytest-html and others as pytest made it, and a traceback shows everything."""
    from pytest_smartattend.evidence.redaction import redact_within, redacted

    text = str(report.longrepr or "")
    if redacted(text) != text:
        report.longrepr = redact_within(report.longrepr)
    report.sections = [(title, redacted(shown)) for title, shown in report.sections]


def _show_in_other_reports(config: pytest.Config, report: pytest.TestReport, evidence: Evidence) -> None:
    """pytest-html and Allure show no user properties: they get the evidence in words, by their own public means."""
    lines = list(evidence.lines or ())
    content = "\n".join([f"pieces of evidence: {evidence.events}", *lines])
    if len(lines) == _LINES:
        content += f"\n(the last {_LINES} of them)"
    if config.getoption("htmlpath", None):  # its extras are plain mappings, which execnet carries
        shown = {
            "name": "evidence",
            "format_type": "text",
            "content": content,
            "mime_type": "text/plain",
            "extension": "txt",
        }
        vars(report)["extras"] = [*getattr(report, "extras", []), shown]
    if config.getoption("allure_report_dir", None):
        import allure

        allure.attach(content, "evidence", allure.attachment_type.TEXT)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Close this process's journal."""
    if _RECORDER in session.config.stash and not run_wiring.of(session.config).is_controller:
        session.config.stash[_RECORDER].close()


def carried_in(report: pytest.TestReport) -> tuple[str, int]:
    """Hash and count that a report carries; empty and 0 where it carries none."""
    found = next((value for name, value in report.user_properties if name == PROPERTY), None)
    if not isinstance(found, str):
        return "", 0
    try:
        told = json.loads(found)
        return str(told["head"]), int(told["events"])
    except (ValueError, KeyError, TypeError):
        return "", 0


@pytest.fixture
def _smartattend_evidence(request: pytest.FixtureRequest) -> Evidence:
    """The record of this test. Suites use this name: a user's own `evidence` fixture must not change what they do."""
    return _recorder(request.config).evidence_of(request.node.nodeid)


@pytest.fixture
def evidence(_smartattend_evidence: Evidence) -> Evidence:
    """Record what the test saw, into the journal and the readiness report: expect, invariant, measure, event, …."""
    return _smartattend_evidence
