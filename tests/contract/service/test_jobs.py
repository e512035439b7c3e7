"""Jobs without a service around them: what is cancelled ends, and so does the service, whatever a job does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from pytest_smartattend.service import jobs as service
from pytest_smartattend.service.jobs import Job, Jobs
from tests.contract.service.test_service import alive

WAITS = [sys.executable, "-c", "import signal; signal.pause()"]
#: generous: it only bounds how long a failure takes
PATIENCE = 60.0


def why(_job: Job, _exit_status: int | None, why: str) -> dict[str, Any]:
    return {"status": "incomplete", "reasons": [{"code": "x", "status": "incomplete", "text": why}]}


def started(jobs: Jobs, seconds: float) -> Job:
    job = jobs.new("time_drift", "a tenant", "somebody", {}, seconds)
    jobs.start(job, jobs.order(job, WAITS), why)
    return job


def reason(job: Job) -> str:
    assert job.result is not None
    return str(job.result["outcome"]["reasons"][0]["text"])


def test_what_is_cancelled_before_it_has_a_process_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, jobs = asyncio.create_subprocess_exec, Jobs(tmp_path)

    async def cancelled_while_it_is_spawned() -> Job:
        begun, may = asyncio.Event(), asyncio.Event()

        async def late(*command: Any, **how: Any) -> asyncio.subprocess.Process:
            begun.set()
            await may.wait()
            return await honest(*command, **how)

        monkeypatch.setattr(asyncio, "create_subprocess_exec", late)
        job = started(jobs, seconds=5)
        await begun.wait()
        jobs.cancel(job)
        may.set()
        async for _ in jobs.follow(job):
            pass
        await jobs.close()
        return job

    assert reason(asyncio.run(cancelled_while_it_is_spawned())) == "cancelled"


def test_the_service_ends_though_a_jobs_process_does_not_and_takes_it_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "CLOSING", 0.5)
    jobs, spawned = Jobs(tmp_path), []
    honest = asyncio.create_subprocess_exec

    async def noted(*command: Any, **how: Any) -> asyncio.subprocess.Process:
        spawned.append(await honest(*command, **how))
        return spawned[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)

    async def closed_while_it_stands_still() -> Job:
        job = started(jobs, seconds=PATIENCE)
        async for _ in jobs.follow(job):  # its first event: it has started
            break
        os.kill(spawned[0].pid, signal.SIGSTOP)  # it hears of no cancellation
        try:
            async with asyncio.timeout(PATIENCE / 2):
                await jobs.close()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(spawned[0].pid, signal.SIGCONT)
        return job

    job = asyncio.run(closed_while_it_stands_still())
    assert reason(job) == "its process was lost"
    assert job.pid is not None
    ending = threading.Event()
    for _ in range(500):
        if not alive(job.pid):
            break
        ending.wait(0.01)
    assert [pid for pid in (job.pid, spawned[0].pid) if alive(pid)] == []


def test_the_service_ends_though_an_outcome_is_never_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLOSING", "KILLED"):
        monkeypatch.setattr(service, name, 0.2)
    jobs = Jobs(tmp_path)

    async def never(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    async def closed() -> None:
        started(jobs, seconds=PATIENCE)
        await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE / 2):
            await jobs.close()

    monkeypatch.setattr(asyncio, "create_subprocess_exec", never)
    asyncio.run(closed())
