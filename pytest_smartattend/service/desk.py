"""Does what the validation endpoints ask: makes jobs of requests, and reads what they came to."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pytest_smartattend.errors import EvidenceError
from pytest_smartattend.evidence import stopwatch
from pytest_smartattend.readiness.command import NOT_FOR_PYTEST
from pytest_smartattend.reference.api.access import Caller
from pytest_smartattend.reference.api.tokens import Tokens
from pytest_smartattend.reference.domain.actors import Role, User
from pytest_smartattend.service.jobs import LOOK, Job, Jobs, failed
from pytest_smartattend.service.parameters import Parameters, Validation
from pytest_smartattend.service.problems import ServiceProblem
from pytest_smartattend.service.runs import GROUP_OF, Runs
from pytest_smartattend.service.simulate import RESULT
from pytest_smartattend.service.simulations import SIMULATIONS
from pytest_smartattend.service.stage import Stage, days_from
from pytest_smartattend.target.seed import Seeder

#: kinds of simulations that are all four
TOGETHER = ("comprehensive", "stress_test")


@dataclass(frozen=True)
class Limits:
    """How long jobs may take, in seconds."""

    run: float = 3_600.0
    simulation: float = 300.0


class Desk:
    """Between the endpoints and the jobs.

    Args:
        jobs: the service's.
        runs: how the suites are run.
        limits: how long jobs may take.
        tokens: issues tokens for the people of a simulation.
        dsn: of the platform's database, as a superuser.
        base_url: where the platform answers; may be set once it is known.
    """

    def __init__(self, jobs: Jobs, runs: Runs, limits: Limits, tokens: Tokens, dsn: str, base_url: str = "") -> None:
        self.jobs = jobs
        self.base_url = base_url
        self._runs = runs
        self._limits = limits
        self._tokens = tokens
        self._dsn = dsn

    async def validate(self, kind: str, caller: Caller, body: Validation | None) -> Job:
        """Start a run of the suites.

        Raises:
            ServiceProblem: another job of the caller's tenant runs, or too many do.
        """
        asked = body or Validation()
        job = self.jobs.new(kind, _tenant(caller), str(caller.user.id), asked.model_dump(), self._limits.run)
        try:
            job.folder.mkdir(parents=True)
            command = [*self._runs.command(job, asked.subject), f"--smartattend-seed={asked.seed}"]
            self.jobs.start(job, self.jobs.order(job, command, unset=NOT_FOR_PYTEST), self._runs.conclude)
        except BaseException:
            self.jobs.give_up(job)
            raise
        return job

    async def simulate(self, kind: str, caller: Caller, body: Parameters) -> Job:
        """Start a simulation in the caller's tenant.

        Raises:
            ServiceProblem: the caller is of no tenant, another job of the tenant runs, or too many do.
        """
        tenant = _tenant(caller)
        if tenant is None:
            raise ServiceProblem("no_tenant", "log in as an admin of the tenant that it may touch")
        parameters = body.model_dump()
        job = self.jobs.new(kind, tenant, str(caller.user.id), parameters, self._limits.simulation)
        try:
            parts = {kind: parameters} if kind in SIMULATIONS else {name: parameters[name] for name in SIMULATIONS}
            if kind not in SIMULATIONS:
                parts = {name: {**own, "seed": parameters["seed"]} for name, own in parts.items()}
            stages = await asyncio.to_thread(self._stages, tenant, caller.user, list(parts))
            order = {
                "job": job.id,
                "base_url": self.base_url,
                "dsn": self._dsn,
                "folder": str(job.folder),
                "stages": stages,
                "parts": parts,
                "at_once": kind == "stress_test",
            }
            command = [sys.executable, "-m", "pytest_smartattend.service.simulate"]
            self.jobs.start(job, self.jobs.order(job, command, standard_input=json.dumps(order)), _simulated)
        except BaseException:
            self.jobs.give_up(job)
            raise
        return job

    def _stages(self, tenant: str, admin: User, parts: list[str]) -> dict[str, Any]:
        seeder = Seeder(self._dsn)
        try:
            return {part: self._stage(seeder, tenant, admin).plain() for part in parts}
        finally:
            seeder.close()

    def _stage(self, seeder: Seeder, tenant: str, admin: User) -> Stage:
        account, roster = seeder.stage(tenant)
        member = User(UUID(account.user_id), UUID(tenant), Role.MEMBER, account.email, "A simulated member")
        return Stage(
            tenant,
            roster.kind,
            account.user_id,
            roster.class_session_ids,
            days_from(roster.days),
            self._tokens.issue(member).text,
            self._tokens.issue(admin).text,
        )

    async def latest(self) -> dict[str, Any] | None:
        """The newest validation of the whole platform and what it is worth now; None where none has ended.

        Raises:
            EvidenceError: the stored results were changed.
        """
        entry = await asyncio.to_thread(self.jobs.results.latest, "platform-readiness")
        if entry is None:
            return None
        now = await asyncio.to_thread(self._runs.now, entry)
        age = dt.datetime.fromisoformat(stopwatch.wall()) - dt.datetime.fromisoformat(entry["ended"])
        running = next((job.id for job in self.jobs.running if job.kind == "platform-readiness"), None)
        named = {name: entry[name] for name in ("seq", "job", "by", "started", "ended", "hash", "document")}
        return {
            **now,
            **named,
            "status_then": entry["outcome"]["status"],
            "age_seconds": age.total_seconds(),
            "running": running,
        }

    def health(self) -> dict[str, Any]:
        """Whether validations can be run, without anybody's data."""
        try:
            self.jobs.results.latest("platform-readiness")
            word = "ok"
        except EvidenceError:
            word = "results_damaged"
        return {"status": word, "running": len(self.jobs.running), "kinds": [*GROUP_OF, *SIMULATIONS, *TOGETHER]}

    def simulations_of(self, caller: Caller) -> list[Job]:
        """The simulations that the caller may know of, newest first."""
        tenant = _tenant(caller)
        found = [job for job in self.jobs.all() if job.kind not in GROUP_OF and tenant in {None, job.tenant}]
        return found[::-1]


def _tenant(caller: Caller) -> str | None:
    return None if caller.user.tenant_id is None else str(caller.user.tenant_id)


def _simulated(job: Job, exit_status: int | None, why: str) -> dict[str, Any]:
    """The outcome of a simulation: ready where every check held."""
    path = job.folder / RESULT
    if why or not path.exists():
        return failed("job_crashed", why or f"it ended with exit status {exit_status}; {LOOK.format(job.id)}")
    parts: list[Mapping[str, Any]] = json.loads(path.read_bytes())["parts"]
    issues = [issue for part in parts for issue in _issues(part)]
    is_good = exit_status == 0 and bool(parts) and not issues
    reasons = [{"code": "simulation_failed", "status": "not_ready", "text": text} for text in issues]
    return {"status": "ready" if is_good else "not_ready", "reasons": reasons, "parts": parts}


def _issues(part: Mapping[str, Any]) -> list[str]:
    found = [f"{part['name']}: {part['problem']}"] if part["problem"] else []
    found += [
        f"{part['name']}: {check['name']}: seen {check['seen']}, expected {check['expected']}"[:500]
        for check in part["checks"]
        if not check["held"]
    ]
    if not part["checks"]:
        found.append(f"{part['name']}: it has looked at nothing")
    return found
