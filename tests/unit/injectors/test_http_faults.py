"""Delays pass on the clock that was handed in, and an error that the wrapped part raises stays what it is."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from pytest_smartattend.engine.http_faults import Delay, Duplicate, RateLimit, Timeout
from pytest_smartattend.engine.units import SECOND
from pytest_smartattend.injectors.asgi_faults import FaultMiddleware
from pytest_smartattend.injectors.http_faults import AsyncFaultTransport, FaultTransport
from pytest_smartattend.injectors.http_switch import HttpFaults

HOUR = timedelta(hours=1)


def answer(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={})


def test_a_transport_lets_hours_pass_on_the_clock_it_was_given() -> None:
    faults, slept = HttpFaults(), list[float]()
    transport = FaultTransport(httpx.MockTransport(answer), faults, sleep=slept.append)
    with httpx.Client(transport=transport, timeout=None) as http, faults.fault(Delay(HOUR)):
        assert http.get("http://test/api/a").status_code == 200
    assert slept == [3600.0]


def test_a_transport_waits_no_longer_than_its_client() -> None:
    faults, slept = HttpFaults(), list[float]()
    transport = FaultTransport(httpx.MockTransport(answer), faults, sleep=slept.append)
    timed_out = pytest.raises(httpx.ReadTimeout)
    with httpx.Client(transport=transport, timeout=5) as http, faults.fault(Timeout(HOUR)), timed_out:
        http.get("http://test/api/a")
    assert slept == [5.0]


def test_an_async_transport_awaits_the_clock_it_was_given() -> None:
    faults, slept = HttpFaults(), list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def ask() -> int:
        transport = AsyncFaultTransport(httpx.MockTransport(answer), faults, sleep=sleep)
        async with httpx.AsyncClient(transport=transport, timeout=None) as http:
            return (await http.get("http://test/api/a")).status_code

    with faults.fault(Delay(HOUR)):
        assert asyncio.run(ask()) == 200
    assert slept == [3600.0]


async def greeting(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def run(middleware: FaultMiddleware, kind: str = "http") -> list[str]:
    seen: list[str] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        seen.append(message["type"])

    scope = {"type": kind, "method": "GET", "path": "/api/a", "headers": []}
    asyncio.run(middleware(scope, receive, send))
    return seen


def test_the_middleware_awaits_the_clock_it_was_given() -> None:
    faults, slept = HttpFaults(), list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    with faults.fault(Delay(HOUR)):
        assert run(FaultMiddleware(greeting, faults, sleep)) == ["http.response.start", "http.response.body"]
    assert slept == [3600.0]


def test_what_is_no_request_passes_the_middleware_untouched() -> None:
    faults = HttpFaults()
    with faults.fault(Timeout(HOUR), may_not_fire=True) as held:
        assert run(FaultMiddleware(greeting, faults), "websocket") == ["http.response.start", "http.response.body"]
    assert held.journal == []


def test_an_error_of_the_wrapped_transport_stays_what_it_is() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    faults = HttpFaults()
    http = httpx.Client(transport=FaultTransport(httpx.MockTransport(refuse), faults))
    with http, faults.fault(Duplicate(), may_not_fire=True), pytest.raises(httpx.ConnectError):
        http.get("http://test/api/a")


def test_a_rate_limit_frees_its_places_on_the_clock_it_was_given() -> None:
    times = iter((0.0, 5.0, 10.0))
    faults = HttpFaults(now=lambda: next(times))
    http = httpx.Client(transport=FaultTransport(httpx.MockTransport(answer), faults))
    with http, faults.fault(RateLimit(1, 10 * SECOND)):
        statuses = [http.get("http://test/api/a").status_code for _ in range(3)]
    assert statuses == [200, 429, 200]


def test_faults_can_be_laid_while_requests_go_on() -> None:
    faults = HttpFaults()
    with httpx.Client(transport=FaultTransport(httpx.MockTransport(answer), faults), timeout=None) as http:
        assert http.get("http://test/api/a").status_code == 200
        with faults.fault(RateLimit(1, HOUR)) as outer, faults.fault(Delay(timedelta(0))) as inner:
            assert [http.get("http://test/api/a").status_code for _ in range(2)] == [200, 429]
        assert http.get("http://test/api/a").status_code == 200
    assert (outer.fired, inner.fired) == (1, 1)
    assert [entry.event for entry in inner.journal] == ["fired", "hit", "hit"]
