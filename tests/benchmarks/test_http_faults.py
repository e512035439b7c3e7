"""What faults of requests cost while they hold and while they do not. Printed, never asserted.

The figures go to ``docs/reference/benchmarks-storms.md``.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from starlette.middleware.base import BaseHTTPMiddleware

from pytest_smartattend.engine.http_faults import Abort
from pytest_smartattend.injectors.asgi_faults import FaultMiddleware
from pytest_smartattend.injectors.http_faults import FaultTransport
from pytest_smartattend.injectors.http_switch import HttpFaults

ROUNDS = 9
CALLS = 20_000
NEVER = 1e-12  # a share that is drawn for each request and never hits
SCOPE = {"type": "http", "method": "POST", "path": "/api/school/attendance", "headers": [(b"host", b"h")]}

App = Callable[[Any, Any, Any], Awaitable[None]]


async def bare(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(_: Any) -> None:
    return


def nanoseconds(app: App, calls: int) -> float:
    async def call() -> float:
        began = time.perf_counter_ns()
        for _ in range(calls):
            await app(dict(SCOPE), receive, send)
        return (time.perf_counter_ns() - began) / calls

    return asyncio.run(call())


def faults_with(stack: ExitStack, *faults: Abort) -> HttpFaults:
    switch = HttpFaults()
    for fault in faults:
        stack.enter_context(switch.fault(fault, may_not_fire=True))
    return switch


async def handed_on(request: Any, call_next: Any) -> Any:
    return await call_next(request)


def test_the_middleware(capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere, drawn = Abort(match="POST /elsewhere"), Abort(probability=NEVER)
    with ExitStack() as stack:
        apps: dict[str, tuple[App, int]] = {
            "bare": (bare, CALLS),
            "no fault": (FaultMiddleware(bare, HttpFaults()), CALLS),
            "1 fault, another endpoint": (FaultMiddleware(bare, faults_with(stack, elsewhere)), CALLS),
            "1 fault, drawn, not hit": (FaultMiddleware(bare, faults_with(stack, drawn)), CALLS // 4),
            "4 faults, drawn, not hit": (FaultMiddleware(bare, faults_with(stack, *[drawn] * 4)), CALLS // 4),
            "BaseHTTPMiddleware that does nothing": (BaseHTTPMiddleware(bare, dispatch=handed_on), 300),
        }
        seen: dict[str, list[float]] = {name: [] for name in apps}
        for _ in range(ROUNDS):
            for name, (app, calls) in apps.items():
                seen[name].append(nanoseconds(app, calls))
    floor = seen["bare"]
    with capsys.disabled():
        print(f"\nMedians of {ROUNDS} interleaved rounds; ASGI calls in one process.")
        print("| middleware | ns a request | added ns | added ns, best round |\n| --- | ---: | ---: | ---: |")
        for name, taken in seen.items():
            added = [a - b for a, b in zip(taken, floor, strict=True)]
            print(f"| {name} | {statistics.median(taken):.0f} | {statistics.median(added):.0f} | {min(added):.0f} |")


def test_the_transport(capsys: pytest.CaptureFixture[str]) -> None:
    def microseconds(transport: httpx.BaseTransport) -> float:
        with httpx.Client(transport=transport) as http:
            began = time.perf_counter()
            for _ in range(500):
                http.post("http://test/api/school/attendance", content=b"{}")
            return (time.perf_counter() - began) / 500 * 1e6

    with ExitStack() as stack:
        inner = httpx.MockTransport(lambda _: httpx.Response(200))
        ways = {
            "httpx, answered in process": inner,
            "no fault": FaultTransport(inner, HttpFaults()),
            "1 fault, drawn, not hit": FaultTransport(inner, faults_with(stack, Abort(probability=NEVER))),
        }
        seen: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, transport in ways.items():
                seen[name].append(microseconds(transport))
    with capsys.disabled():
        print("\n| transport | µs a request |\n| --- | ---: |")
        for name, taken in seen.items():
            print(f"| {name} | {statistics.median(taken):.0f} |")
