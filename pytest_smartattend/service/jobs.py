"""The jobs of one service: started, followed, cancelled, and their outcome kept."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import shutil
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_smartattend.errors import EvidenceError
from pytest_smartattend.evidence import stopwatch
from pytest_smartattend.service.job_process import Order
from pytest_smartattend.service.problems import ServiceProblem
from pytest_smartattend.service.results import Results

#: events that a job keeps; later ones are counted
EVENTS = 5_000
#: where to read on when a job came to nothing
LOOK = "jobs/{}/output.log in the folder of --state says why"
#: ended jobs that can still be asked for; their results stay for good
REMEMBERED = 200
#: ended jobs whose folders are kept: output, and the report of a run; what they came to stands in the results
FOLDERS = 50
#: seconds after which a silent stream of events says that it is alive
HEARTBEAT = 10.0
#: seconds that jobs have to end when the service does; a job's process takes three times its `GRACE` at most
CLOSING = 90.0
#: seconds for the outcomes of those that were killed then
KILLED = 10.0

#: from the job, its exit status (None where nobody knows) and why it was stopped, to its outcome: ``status`` and
#: ``reasons``, and whatever else there is to say
Conclude = Callable[["Job", int | None, str], dict[str, Any]]


@dataclass
class Job:
    """One job.

    Attributes:
        id: its name.
        kind: ``platform-readiness``, ``scenarios``, ``simulations`` or a simulation's name.
        tenant: whose it is; None for the whole platform's.
        by: the id of the person who started it.
        at: when, RFC 3339.
        parameters: what was asked, with defaults filled in.
        folder: where its files lie.
        seconds: how long it may take.
        pid: of its command; None until that is known.
        events: what it told so far.
        left_out: how many events were not kept.
        cancelled: whether somebody asked it to stop; it may not have a process yet.
        result: its entry in the results; None while it runs.
    """

    id: str
    kind: str
    tenant: str | None
    by: str
    at: str
    parameters: Mapping[str, Any]
    folder: Path
    seconds: float
    pid: int | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    left_out: int = 0
    cancelled: bool = False
    result: dict[str, Any] | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, event: dict[str, Any]) -> None:
        """Add an event and wake whoever follows. The end is always kept."""
        if len(self.events) < EVENTS or event["event"] == "result":
            self.events.append(event)
        else:
            self.left_out += 1
        self.changed.set()
        self.changed = asyncio.Event()

    def view(self) -> dict[str, Any]:
        """The job as an answer shows it."""
        outcome = self.result["outcome"] if self.result else None
        return {
            "id": self.id,
            "kind": self.kind,
            "tenant_id": self.tenant,
            "started_by": self.by,
            "started_at": self.at,
            "parameters": dict(self.parameters),
            "limit_seconds": self.seconds,
            "state": "running" if outcome is None else "ended",
            "events": len(self.events) + self.left_out,
            "status": None if outcome is None else outcome["status"],
            "outcome": outcome,
        }


class Jobs:
    """Starts jobs, one for a tenant at a time, and keeps their outcomes.

    Args:
        state: the folder of results and of the jobs' files.
        most: how many may run at once.
        log_bytes: how much of a job's output is kept.
    """

    def __init__(self, state: Path, *, most: int = 2, log_bytes: int = 4 << 20) -> None:
        self.results = Results(state / "results")
        self._folder = state / "jobs"
        self._most = most
        self._log_bytes = log_bytes
        self._jobs: dict[str, Job] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._processes: dict[str, asyncio.subprocess.Process] = {}

    @property
    def running(self) -> list[Job]:
        """The jobs that have not ended."""
        return [job for job in self._jobs.values() if job.result is None]

    def all(self) -> list[Job]:
        """The jobs that this service remembers, oldest first."""
        return list(self._jobs.values())

    def find(self, job_id: str) -> Job | None:
        """A job of this service; None where there is none."""
        return self._jobs.get(job_id)

    def new(self, kind: str, tenant: str | None, by: str, parameters: Mapping[str, Any], seconds: float) -> Job:
        """Take a place for a job; `start` it or `give_up`.

        Raises:
            ServiceProblem: one of this tenant runs already, or too many do.
        """
        active = self.running
        mine = next((job for job in active if job.tenant == tenant), None)
        if mine is not None:
            raise ServiceProblem("job_running", f"wait for job {mine.id}, or cancel it", job=mine.id)
        if len(active) >= self._most:
            raise ServiceProblem("too_many_jobs", "try again when one has ended", headers={"Retry-After": "30"})
        for old in [job for job in self._jobs.values() if job.result is not None][:-REMEMBERED]:
            del self._jobs[old.id]
        job_id = uuid.uuid4().hex
        job = Job(job_id, kind, tenant, by, stopwatch.wall(), parameters, self._folder / job_id, seconds)
        self._jobs[job_id] = job
        return job

    def give_up(self, job: Job) -> None:
        """Free the place of a job that could not be started."""
        self._jobs.pop(job.id, None)

    def start(self, job: Job, order: Order, conclude: Conclude) -> None:
        """Run `order` in a process of its own."""
        job.folder.mkdir(parents=True, exist_ok=True)
        note = {"kind": job.kind, "tenant": job.tenant, "by": job.by, "at": job.at, "parameters": dict(job.parameters)}
        (job.folder / "job.json").write_text(json.dumps(note))
        self._tasks[job.id] = asyncio.create_task(self._run(job, order, conclude))

    def order(self, job: Job, command: list[str], *, unset: Sequence[str] = (), standard_input: str = "") -> Order:
        """The order for `command`, within this service's limits and without its secret."""
        log = str(job.folder / "output.log")
        return Order(command, log, self._log_bytes, job.seconds, unset=["TOKEN_SECRET", *unset], input=standard_input)

    async def _run(self, job: Job, order: Order, conclude: Conclude) -> None:
        exit_status, why = None, "its process could not be watched"
        try:
            exit_status, why = await self._watched(job, order)
        except OSError as problem:
            why = f"its process could not be started ({problem.strerror})"
        finally:
            self._processes.pop(job.id, None)
            outcome = await asyncio.to_thread(concluded, job, exit_status, why, conclude)
            job.result = await asyncio.to_thread(self._kept, job, outcome)
            job.tell({"event": "result", "status": job.result["outcome"]["status"]})
            await asyncio.to_thread(self.tidy)
            self._tasks.pop(job.id, None)

    async def _watched(self, job: Job, order: Order) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pytest_smartattend.service.job_process"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C at the service is for us to pass on
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(order.line())
        self._processes[job.id] = process
        if job.cancelled:  # before there was a process to tell
            self.cancel(job)
        ended: dict[str, Any] = {}
        try:
            async for line in process.stdout:
                event = json.loads(line)
                if event["event"] == "started":
                    job.pid = event["pid"]
                if event["event"] == "ended":
                    ended = event
                else:
                    job.tell(event)
        finally:
            process.stdin.close()
            await process.wait()
        return ended.get("exit"), ended.get("why", "its process was lost")

    def _kept(self, job: Job, outcome: dict[str, Any]) -> dict[str, Any]:
        document = outcome.pop("document", None)
        entry = {
            "job": job.id,
            "kind": job.kind,
            "tenant": job.tenant,
            "by": job.by,
            "started": job.at,
            "ended": stopwatch.wall(),
            "parameters": dict(job.parameters),
            "outcome": outcome,
            "document": document,
        }
        try:
            return self.results.append(entry)
        except EvidenceError as problem:  # what is not kept did not happen
            return {**entry, "outcome": failed("result_lost", str(problem)), "document": None}

    def cancel(self, job: Job) -> None:
        """Ask a job to stop; one without a process is asked as soon as it has one. Harmless where it has ended."""
        job.cancelled = True
        process = self._processes.get(job.id)
        if process is not None and process.stdin is not None and job.result is None:
            process.stdin.write(b"cancel\n")

    async def follow(self, job: Job, after: int = 0) -> AsyncIterator[tuple[int, dict[str, Any] | None]]:
        """The events of a job behind the first `after`, with their numbers from 1, until its result; None: still alive."""
        while True:
            changed = job.changed
            while after < len(job.events):
                after += 1
                yield after, job.events[after - 1]
                if job.events[after - 1]["event"] == "result":
                    return
            try:
                async with asyncio.timeout(HEARTBEAT):
                    await changed.wait()
            except TimeoutError:
                yield after, None

    def recover(self) -> int:
        """Append an outcome for every job that a killed service left without one. Returns how many there were."""
        found = 0
        for note in sorted(self._folder.glob("*/job.json")):
            job_id = note.parent.name
            if job_id in self._jobs:
                continue
            # damaged results are told by whoever asks for them, and nothing is appended to them
            with contextlib.suppress(ValueError, KeyError, TypeError, EvidenceError):
                if self.results.of(job_id) is not None:
                    continue
                told = json.loads(note.read_text())
                fields = (told["kind"], told["tenant"], told["by"], told["at"], told["parameters"])
                job = Job(job_id, *fields, note.parent, 0)
                self._kept(job, failed("job_crashed", "the service ended while it ran"))
                found += 1
        return found

    def tidy(self) -> None:
        """Remove the folders of all but the newest jobs; never one that runs."""
        running = {job.id for job in self.running}
        ended = [one for one in self._folder.glob("*/") if one.name not in running]
        for one in sorted(ended, key=_age)[FOLDERS:]:
            shutil.rmtree(one, ignore_errors=True)

    async def close(self) -> None:
        """Cancel every job and wait for its outcome. What has not ended in `CLOSING` seconds is killed.

        An outcome that is not there even then is left to the next service's `recover`.
        """
        for job in self.running:
            self.cancel(job)
        if await self._have_ended(CLOSING):
            return
        for job in self.running:
            self._kill(job)
        if not await self._have_ended(KILLED):
            for task in self._tasks.values():
                task.cancel()

    async def _have_ended(self, seconds: float) -> bool:
        tasks = list(self._tasks.values())
        return not tasks or not (await asyncio.wait(tasks, timeout=seconds))[1]

    def _kill(self, job: Job) -> None:
        process = self._processes.get(job.id)
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if job.pid is not None:  # of its command, which leads a session of its own
                os.killpg(job.pid, signal.SIGKILL)
        process.kill()


def _age(folder: Path) -> float:
    """The less, the newer; a folder that goes meanwhile is the oldest."""
    try:
        return -folder.stat().st_mtime
    except OSError:
        return math.inf


def failed(code: str, text: str) -> dict[str, Any]:
    """The outcome of a job that came to none."""
    return {"status": "incomplete", "reasons": [{"code": code, "status": "incomplete", "text": text}]}


def concluded(job: Job, exit_status: int | None, why: str, conclude: Conclude) -> dict[str, Any]:
    """The outcome of a job. One that was stopped, lost or cannot be read is never ready."""
    try:
        outcome = conclude(job, exit_status, why)
    except Exception as problem:  # noqa: BLE001 - whatever it is, the job came to nothing and must say so
        return failed("job_crashed", f"its result cannot be read: {problem}"[:500])
    if (exit_status is None or why) and outcome["status"] in {"ready", "at_risk"}:
        return failed("job_crashed", why or "its process was lost")
    return outcome
