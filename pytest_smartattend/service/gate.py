"""ASGI middleware of the service: outages for a simulation's own requests, and streams of events beside the metrics."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from pytest_smartattend.reference.api.access import Access
from pytest_smartattend.reference.api.problems import Problem
from pytest_smartattend.reference.store.sessions import StoreUnreachable
from pytest_smartattend.service.endpoints import EVENTS
from pytest_smartattend.service.jobs import Job, Jobs
from pytest_smartattend.service.simulations import HEADER

_EVENTS = re.compile(r"/api/validation/jobs/([^/]+)/events")


class Outage:
    """Inside the platform's metrics: a simulation's request that asks for it is answered 503.

    Only while that simulation runs, and only for a token of its own tenant; any other request is not touched.
    """

    def __init__(self, app: ASGIApp, jobs: Jobs, access: Access) -> None:
        self.app = app
        self._jobs = jobs
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request through, or answer it."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            job_id, _, action = headers.get(HEADER, "").partition(" ")
            if action == "abort" and self._holds(job_id, headers.get("authorization")):
                problem = Problem("unavailable", "an outage is simulated; try again later", part="database")
                await problem.response()(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _holds(self, job_id: str, authorization: str | None) -> bool:
        job = self._jobs.find(job_id)
        if job is None or job.result is not None or job.tenant is None:
            return False
        return str(self._access.claimed_tenant(authorization)) == job.tenant


class Events:
    """Outside the platform's metrics, for an hour of listening is no slow answer: ``GET …/jobs/{id}/events``.

    Args:
        app: the platform.
        jobs: of this service.
        access: judges the caller.
        visible: whether a caller may see a job.
    """

    def __init__(self, app: ASGIApp, jobs: Jobs, access: Access, visible: Callable[..., Job]) -> None:
        self.app = app
        self._jobs = jobs
        self._access = access
        self._visible = visible

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer requests for events, and pass others through."""
        found = _EVENTS.fullmatch(scope["path"]) if scope["type"] == "http" and scope["method"] == "GET" else None
        if found is None:
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            caller = await self._access.admit(EVENTS, request.headers.get("authorization"))
            job = self._visible(self._jobs, caller, found[1])
        except Problem as problem:
            await problem.response()(scope, receive, send)
            return
        except StoreUnreachable as why:
            away = Problem("unavailable", str(why), headers={"Retry-After": "1"}, part=why.part)
            await away.response()(scope, receive, send)
            return
        last = request.headers.get("last-event-id", "")
        after = min(int(last), len(job.events)) if last.isdecimal() and len(last) < 9 else 0
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        await StreamingResponse(self._lines(job, after), media_type="text/event-stream", headers=headers)(
            scope, receive, send
        )

    async def _lines(self, job: Job, after: int) -> AsyncIterator[str]:
        async for number, event in self._jobs.follow(job, after):
            if event is None:
                yield ": still running\n\n"
            else:
                yield f"id: {number}\nevent: {event['event']}\ndata: {json.dumps(event)}\n\n"
