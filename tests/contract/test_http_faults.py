"""One contract for every side: as transport of a client, as transport of an async client, as middleware of a platform.

The platform is a real server on loopback; what a client sees must be the same wherever the fault is carried out.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import uvicorn

from pytest_smartattend.engine.http_faults import Abort, Delay, Duplicate, RateLimit, Reset, Timeout, Truncate
from pytest_smartattend.engine.http_rules import HttpRule
from pytest_smartattend.engine.units import MILLISECOND, SECOND
from pytest_smartattend.errors import FaultNeverFired
from pytest_smartattend.injectors.asgi_faults import FaultMiddleware
from pytest_smartattend.injectors.http_faults import AsyncFaultTransport, FaultTransport
from pytest_smartattend.injectors.http_switch import HttpFaults
from pytest_smartattend.trials.requests import Request
from pytest_smartattend.trials.storm import Storm

Ask = Callable[..., httpx.Response]


class Counting:
    """An application that keeps the body of every request that reaches it."""

    def __init__(self) -> None:
        self.bodies: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.bodies.append(body.decode())
        text = json.dumps({"id": len(self.bodies), "padding": "x" * 100}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(text)).encode())]
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        await send({"type": "http.response.body", "body": text[:20], "more_body": True})
        await send({"type": "http.response.body", "body": text[20:]})


class Side:
    """A platform, the faults that hold for it, and a way to ask it."""

    def __init__(self, faults: HttpFaults, app: Counting, ask: Ask, base_url: str) -> None:
        self.faults = faults
        self.app = app
        self.ask = ask
        self.base_url = base_url


@pytest.fixture(params=["transport", "async transport", "middleware"])
def side(request: pytest.FixtureRequest) -> Iterator[Side]:
    app, faults = Counting(), HttpFaults(seed=5)
    served: Any = FaultMiddleware(app, faults) if request.param == "middleware" else app
    server = uvicorn.Server(uvicorn.Config(served, log_level="critical", lifespan="off"))
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield Side(faults, app, _asking(request.param, faults, base_url), base_url)
        finally:
            server.should_exit = True
            thread.join()


def _asking(kind: str, faults: HttpFaults, base_url: str) -> Ask:
    def synchronous(method: str = "POST", path: str = "/api/a", **options: Any) -> httpx.Response:
        transport: httpx.BaseTransport = httpx.HTTPTransport()
        if kind == "transport":
            transport = FaultTransport(transport, faults)
        with httpx.Client(transport=transport, base_url=base_url) as http:
            return http.request(method, path, **{"content": b"body", "timeout": 10, **options})

    def asynchronous(method: str = "POST", path: str = "/api/a", **options: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = AsyncFaultTransport(httpx.AsyncHTTPTransport(), faults)
            async with httpx.AsyncClient(transport=transport, base_url=base_url) as http:
                return await http.request(method, path, **{"content": b"body", "timeout": 10, **options})

        return asyncio.run(ask())

    return asynchronous if kind == "async transport" else synchronous


def test_without_faults_everything_passes(side: Side) -> None:
    answer = side.ask()
    assert (answer.status_code, answer.json()["id"]) == (201, 1)
    assert side.app.bodies == ["body"]


def test_an_abort_answers_in_the_place_of_the_platform(side: Side) -> None:
    with side.faults.fault(Abort(503, retry_after=1500 * MILLISECOND, match="POST /a", first=2)) as held:
        answers = [side.ask() for _ in range(3)]
        other = side.ask(path="/api/b")
    assert [answer.status_code for answer in answers] == [503, 503, 201]
    assert other.status_code == 201
    assert answers[0].headers["retry-after"] == "2"
    assert answers[0].headers["content-type"] == "application/problem+json"
    assert answers[0].json()["code"] == "injected_fault"
    assert held.fired == 2
    assert len(side.app.bodies) == 2


def test_a_fault_that_was_taken_off_is_gone(side: Side) -> None:
    with side.faults.fault(Abort()):
        assert side.ask().status_code == 503
    assert side.ask().status_code == 201
    assert side.faults.rules == ()


def test_a_lost_request_never_reaches_the_platform(side: Side) -> None:
    with side.faults.fault(Reset("request")) as held, pytest.raises(httpx.TransportError):
        side.ask()
    assert held.fired == 1
    assert side.app.bodies == []


def test_a_lost_answer_leaves_the_work_done(side: Side) -> None:
    with side.faults.fault(Reset("answer")), pytest.raises(httpx.TransportError):
        side.ask()
    assert side.app.bodies == ["body"]


def reached(side: Side, times: int) -> None:
    """As often the platform was reached, though on a busy machine perhaps after its client had lost its patience."""
    deadline = time.monotonic() + 10
    while len(side.app.bodies) < times:
        assert time.monotonic() < deadline, side.app.bodies
        time.sleep(0.01)
    assert len(side.app.bodies) == times


@pytest.mark.parametrize(("lost", "times"), [("request", 0), ("answer", 1)])
def test_a_client_that_is_less_patient_than_the_silence_times_out(side: Side, lost: Any, times: int) -> None:
    with side.faults.fault(Timeout(4 * SECOND, lost)), pytest.raises(httpx.ReadTimeout):
        side.ask(timeout=1)
    reached(side, times)


def test_a_client_that_is_more_patient_than_the_silence_loses_its_answer(side: Side) -> None:
    begun = time.perf_counter()
    with side.faults.fault(Timeout(200 * MILLISECOND)), pytest.raises(httpx.RemoteProtocolError):
        side.ask()
    assert time.perf_counter() - begun >= 0.2


def test_a_delay_holds_the_answer_and_not_the_work(side: Side) -> None:
    begun = time.perf_counter()
    with side.faults.fault(Delay(1 * SECOND)):
        assert side.ask().status_code == 201
        assert time.perf_counter() - begun >= 1
        with pytest.raises(httpx.ReadTimeout):
            side.ask(timeout=0.5)
    reached(side, 2)


def test_a_truncated_answer_is_no_answer(side: Side) -> None:
    with side.faults.fault(Truncate(30)) as held, pytest.raises(httpx.RemoteProtocolError):
        side.ask()
    assert held.fired == 1
    assert side.app.bodies == ["body"]


def test_an_answer_shorter_than_the_cut_passes_whole(side: Side) -> None:
    with side.faults.fault(Truncate(10_000), may_not_fire=True) as held:
        assert side.ask().json()["id"] == 1
    assert held.fired == 0


def test_a_duplicate_reaches_the_platform_again_with_its_body(side: Side) -> None:
    with side.faults.fault(Duplicate(2)):
        assert side.ask().json()["id"] == 3
    assert side.app.bodies == ["body"] * 3


def test_a_rate_limit_refuses_what_is_too_much(side: Side) -> None:
    with side.faults.fault(RateLimit(2, 3600 * SECOND)) as held:
        answers = [side.ask() for _ in range(4)]
    assert [answer.status_code for answer in answers] == [201, 201, 429, 429]
    assert 3500 < int(answers[2].headers["retry-after"]) <= 3600
    assert held.fired == 2


def test_several_faults_hold_at_once(side: Side) -> None:
    with side.faults.fault(Duplicate()), side.faults.fault(Abort(nth=2)), side.faults.fault(Reset("answer", nth=3)):
        assert side.ask().status_code == 201
        assert side.ask().status_code == 503
        with pytest.raises(httpx.TransportError):
            side.ask()
    assert len(side.app.bodies) == 4


def test_a_fault_that_never_fired_fails_by_name(side: Side) -> None:
    nowhere, second = Abort(match="POST /nowhere"), Abort(nth=2)
    unmatched = r"http/1:abort .* no request matched 'POST /nowhere'"
    with pytest.raises(FaultNeverFired, match=unmatched), side.faults.fault(nowhere):
        side.ask()
    with pytest.raises(FaultNeverFired, match="1 requests matched, and none was hit"), side.faults.fault(second):
        side.ask()


def test_what_the_body_raises_is_not_hidden_by_a_fault_that_never_fired(side: Side) -> None:
    with pytest.raises(KeyboardInterrupt), side.faults.fault(Abort()):
        raise KeyboardInterrupt
    assert side.faults.rules == ()


def test_the_journal_is_what_the_seed_foretells_in_any_order(side: Side) -> None:
    fault, keys = Abort(probability=0.5, by="key"), [f"key-{n % 5}" for n in range(12)]
    with side.faults.fault(fault) as held:
        for key in keys:
            side.ask(headers={"Idempotency-Key": key})
    foretold = HttpRule(fault, held.fault_id, held.seed)
    for key in reversed(keys):
        foretold.hit("POST", "/a", key)
    assert [entry for entry in held.journal if entry.event != "fired"] == foretold.journal()
    assert held.fired == sum(entry.event == "hit" for entry in foretold.journal()) > 0


@pytest.mark.parametrize("side", ["middleware"], indirect=True)
def test_a_storm_sees_what_the_middleware_did_as_unknown(side: Side) -> None:
    request = Request("POST", "/a", body={"a": 1})
    with side.faults.fault(Reset("answer", probability=0.3)) as held:
        result = Storm(side.base_url).closed([request] * 60, workers=4)
    unknown = sum(operation.outcome == "unknown" for operation in result.history)
    assert unknown == held.fired == result.replies["lost"]
    assert len(side.app.bodies) == 60
