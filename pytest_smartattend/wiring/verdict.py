"""A run that was asked for a verdict: a stub from its first second, the document at its end, the words for the terminal."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from typing import Any

import pytest

from pytest_smartattend.errors import SmartattendError, UsageError
from pytest_smartattend.evidence import stopwatch
from pytest_smartattend.evidence.journal import read_all
from pytest_smartattend.options import Settings
from pytest_smartattend.readiness import document as documents
from pytest_smartattend.readiness import folder as reports
from pytest_smartattend.readiness import history, requirements, scope, subject, summary
from pytest_smartattend.readiness.integrity import Seen
from pytest_smartattend.readiness.reasons import STATUSES
from pytest_smartattend.wiring import evidence as evidence_wiring
from pytest_smartattend.wiring import run as run_wiring
from pytest_smartattend.wiring import suites


class Clerk:
    """Writes the report of one run.

    Raises:
        pytest.UsageError: requirements, scope or signing key are not what is accepted.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._run = run_wiring.of(config)
        settings = self._run.settings
        self._document: dict[str, Any] | None = None
        self._problem = ""
        try:
            needed = requirements.load(settings.requirements or requirements.SHIPPED)
            declared = scope.load(settings.scope, needed)
            reports.signing_key()
            earlier, fault = _earlier(settings)
        except SmartattendError as problem:
            raise pytest.UsageError(str(problem)) from None
        self._subject = subject.Asked(settings.subject, config.rootpath, settings.report)
        self._facts = documents.Facts(
            run=documents.Run(
                self._run.run_id,
                os.getpid(),
                stopwatch.wall(),
                settings.seed,
                shard=settings.shard,
                arguments=tuple(map(str, config.invocation_params.args)),
            ),
            requirements=needed,
            scope=declared,
            target=settings.target,
            sabotage=settings.sabotage,
            subject={"name": "unknown", "source": "unknown", "commit": None, "dirty": None, "image": None},
            history=earlier,
            history_fault=fault,
            proof=reports.proof(settings.report) if settings.report else None,
        )

    def begin(self) -> None:
        """Put a document in place that says "started, not finished", so that no older verdict outlives this moment."""
        folder = self._run.settings.report
        if folder is None:
            return
        try:
            reports.write(folder, documents.build(self._facts, Seen(), ()))
        except SmartattendError as problem:
            raise pytest.UsageError(str(problem)) from None

    def finish(self, seen: Seen, exit_status: int, workers: int) -> int:
        """Judge the run and write its document; a run that wrong usage ended before any test leaves "not finished".

        Args:
            seen: what the controller saw.
            exit_status: pytest's.
            workers: how many xdist workers collected.

        Returns:
            the exit status: pytest's own, except as --smartattend-strict says, and never 0 where the document could not
            be written.
        """
        if exit_status == pytest.ExitCode.USAGE_ERROR and not seen.started:
            return exit_status
        try:
            self._document = self._write(seen, exit_status, workers)
        except SmartattendError as problem:
            self._problem = str(problem)
            return exit_status or 3
        settings = self._run.settings
        ran_checks = settings.target or any(
            check["tests"]
            for group in self._document["groups"]
            for check in group["checks"]
            if group["name"] != "tests"
        )
        if settings.strict and ran_checks:
            return STATUSES[self._document["status"]] or exit_status
        return exit_status

    def _write(self, seen: Seen, exit_status: int, workers: int) -> dict[str, Any]:
        run = replace(
            self._facts.run,
            finished=stopwatch.wall(),
            workers=workers,
            exit_status=exit_status,
            interrupted=seen.interrupted,
        )
        journals = read_all(evidence_wiring.journal_folder(self._config), self._run.run_id)
        facts = replace(self._facts, run=run, subject=self._subject.answer(), suites=_digest_of_suites())
        document = documents.build(facts, seen, journals)
        folder = self._run.settings.report
        if folder is None:
            return document
        written = reports.write(folder, document)
        if self._run.settings.history is not None and self._run.settings.shard is None:  # a part is no verdict
            history.append(self._run.settings.history, history.entry_of(written))
        return written

    def tell(self, terminal: pytest.TerminalReporter) -> None:
        """Say the verdict at the end of pytest's output."""
        if self._problem:
            terminal.section("smartattend: no verdict", red=True)
            terminal.line(self._problem)
        if self._document is None:
            return
        folder = self._run.settings.report
        where = f"report: {folder / reports.DOCUMENT} and {reports.PAGE}" if folder else ""
        first, *rest = summary.lines(self._document, where)
        good = self._document["status"] == "ready"
        terminal.section("smartattend", green=good, red=not good)
        terminal.line(first, bold=True)
        for line in rest:
            terminal.line(line)


def _earlier(settings: Settings) -> tuple[list[dict[str, Any]], str]:
    """The runs before this one, and what is wrong with the file that remembers them."""
    if settings.history is None:
        return (reports.history(settings.report) if settings.report else []), ""
    if settings.report is None:
        raise UsageError(
            "--smartattend-history remembers reports, and none is written. Say --smartattend-report=FOLDER."
        )
    history.must_be_usable(settings.history)
    return history.read(settings.history, documents.HISTORY)


def _digest_of_suites() -> str:
    folder = suites.folder()
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
