"""Runs of the suites as jobs: how pytest is called, and what its document comes to."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_smartattend.errors import UsageError
from pytest_smartattend.evidence import stopwatch
from pytest_smartattend.readiness import command, folder
from pytest_smartattend.readiness import scope as scopes
from pytest_smartattend.readiness.gate import Answer, Question, ask
from pytest_smartattend.readiness.requirements import SHIPPED, Requirements, load
from pytest_smartattend.service.jobs import LOOK, Job, failed

#: how old the latest validation may be before it counts as incomplete; weekly runs with a day to spare
MAX_AGE = dt.timedelta(days=8)
#: kind of a job → the one group that it runs; None: all
GROUP_OF = {"platform-readiness": None, "scenarios": "scenarios", "simulations": "simulations"}


@dataclass(frozen=True)
class Runs:
    """What the service runs.

    Attributes:
        target: as for `smartattend readiness`.
        suites: the package or folder with the checks.
        requirements, scope: as for `smartattend readiness`.
        workers: pytest-xdist workers.
        arguments: further arguments for pytest.
    """

    target: str = "reference"
    suites: str = "pytest_smartattend.suites"
    requirements: Path | None = None
    scope: Path | None = None
    workers: int = 0
    arguments: Sequence[str] = field(default_factory=tuple)

    def command(self, job: Job, subject: str) -> list[str]:
        """How pytest is called for a job, whose folder exists."""
        group = GROUP_OF[job.kind]
        scope = self.scope
        suites = self.suites
        if group is not None:
            scope = self._only(group, job.folder)
            if suites == Runs.suites:
                suites = f"{suites}.{group}"
        told = argparse.Namespace(
            suites=suites,
            workers=self.workers,
            target=self.target,
            start=None,
            url=None,
            adapter=None,
            subject=subject,
            scope=scope,
            requirements=self.requirements,
            sabotage=None,
            shard=None,
            durations=None,
            history=None,
            pytest_arguments=["-p", "pytest_smartattend.service.progress", *self.arguments],
        )
        return command.command_line(told, job.folder / "report")

    def _only(self, group: str, folder: Path) -> Path | None:
        """The operator's scope narrowed to one group, which says so: the verdict speaks of no other."""
        needed = self._needed()
        try:
            whole = scopes.load(self.scope, needed)
        except UsageError:
            return self.scope  # the run ends with what is wrong with it, as a run of all groups does
        path = folder / "readiness.toml"
        path.write_text(scopes.narrowed(whole, group, needed), encoding="utf-8")
        return path

    def _needed(self) -> Requirements:
        return load(self.requirements or SHIPPED)

    def question(self, run: int | None = None) -> Question:
        """What the gate is asked, now.

        Args:
            run: the process that must have written the document; None: any.
        """
        now = dt.datetime.fromisoformat(stopwatch.wall())
        return Question(self._needed(), now, MAX_AGE, key=folder.signing_key(), run=run)

    def conclude(self, job: Job, exit_status: int | None, why: str) -> dict[str, Any]:
        """The outcome of a run: what the gate says of the document that this very process wrote."""
        path = job.folder / "report" / folder.DOCUMENT
        if job.pid is None or not path.exists():
            return failed(
                "job_crashed", why or f"pytest ended with {exit_status} and left no document; {LOOK.format(job.id)}"
            )
        answer = ask(path, self.question(job.pid))
        outcome = {**told(answer), "exit_status": exit_status, "stopped": why}
        if exit_status != 0 and answer.status in {"ready", "at_risk"}:
            outcome = failed("job_crashed", f"pytest ended with {exit_status}; {LOOK.format(job.id)}") | {
                "stopped": why
            }
        return {**outcome, "document": answer.document}

    def now(self, entry: dict[str, Any]) -> dict[str, Any]:
        """What a stored result is worth now: documents grow old, and waivers end."""
        document = entry["document"]
        if document is None:
            return dict(entry["outcome"])
        with tempfile.TemporaryDirectory(prefix="smartattend-latest-") as place:
            path = Path(place) / folder.DOCUMENT
            path.write_text(json.dumps(document), encoding="utf-8")
            answer = ask(path, self.question())
        then = entry["outcome"]
        return then if then["status"] in {"not_ready", "incomplete"} else told(answer)


def told(answer: Answer) -> dict[str, Any]:
    """An answer of the gate as plain values."""
    reasons = [reason.entry() for reason in answer.reasons]
    reasons += [{"code": "untrustworthy", "status": "incomplete", "text": fault} for fault in answer.faults]
    groups = answer.document["groups"] if answer.document is not None and not answer.faults else []
    consensus = {group["name"]: {"status": group["status"], **group["consensus"]} for group in groups}
    return {"status": answer.status, "exit_code": answer.exit_code, "reasons": reasons, "consensus": consensus}
