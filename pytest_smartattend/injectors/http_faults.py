"""Faults on the client's side: httpx transports that carry them out around the one that they wrap.

What the network would do is raised as httpx raises it, so that a client cannot tell the difference.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Final

import httpx

from pytest_smartattend.engine.http_faults import Delay, Duplicate, Reset, Timeout, Truncate
from pytest_smartattend.engine.http_rules import Hit
from pytest_smartattend.engine.units import SECOND
from pytest_smartattend.injectors.http_switch import HttpFaults

_KEY: Final = "idempotency-key"


@dataclass(frozen=True)
class _Send:
    """Hand the request to the wrapped transport; with `whole`, body and answer are read to their ends."""

    whole: bool


#: what a play asks of its driver: seconds to sleep, or to send; a `_Send` is answered with the response
_Play = Generator[float | _Send, httpx.Response | None, httpx.Response]


class FaultTransport(httpx.BaseTransport):
    """Carries out the faults of `faults` around `transport`.

    Args:
        transport: what really sends.
        faults: what holds; may change at any time.
        sleep: how delays pass.
    """

    def __init__(
        self, transport: httpx.BaseTransport, faults: HttpFaults, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._transport = transport
        self._faults = faults
        self._sleep = sleep

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` as the faults allow."""
        if not self._faults.rules:
            return self._transport.handle_request(request)
        play, response = _play(self._faults, request), None
        while True:
            try:
                step = play.send(response)
            except StopIteration as end:
                answer: httpx.Response = end.value
                return answer
            response = None
            if isinstance(step, float):
                self._sleep(step)
                continue
            if step.whole:
                request.read()
            response = self._transport.handle_request(request)
            if step.whole:
                response.read()

    def close(self) -> None:
        """Close the wrapped transport."""
        self._transport.close()


class AsyncFaultTransport(httpx.AsyncBaseTransport):
    """`FaultTransport` for `httpx.AsyncClient`; a delay is awaited, so that a virtual clock can carry it."""

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        faults: HttpFaults,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._transport = transport
        self._faults = faults
        self._sleep = sleep

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` as the faults allow."""
        if not self._faults.rules:
            return await self._transport.handle_async_request(request)
        play, response = _play(self._faults, request), None
        while True:
            try:
                step = play.send(response)
            except StopIteration as end:
                answer: httpx.Response = end.value
                return answer
            response = None
            if isinstance(step, float):
                await self._sleep(step)
                continue
            if step.whole:
                await request.aread()
            response = await self._transport.handle_async_request(request)
            if step.whole:
                await response.aread()

    async def aclose(self) -> None:
        """Close the wrapped transport."""
        await self._transport.aclose()


def _play(faults: HttpFaults, request: httpx.Request) -> _Play:
    """One request under its faults, without knowing whether its driver waits or awaits."""
    on_the_way_back: list[Hit] = []
    for hit in faults.hits(request.method, request.url.path, request.headers.get(_KEY)):
        refused = faults.refusal(hit)
        if refused is not None:
            status, headers, body = refused
            return httpx.Response(status, headers=headers, content=body, request=request)
        fault = hit.rule.fault
        if isinstance(fault, Timeout | Reset) and fault.lost == "request":
            yield from _lose(hit, request)
        on_the_way_back.append(hit)
    response = yield from _sent(whole=bool(on_the_way_back))
    for hit in on_the_way_back:
        match hit.rule.fault:
            case Duplicate() as fault:
                hit.fired()
                for _ in range(fault.times):
                    response = yield from _sent(whole=True)
            case Delay():
                hit.fired()
                yield from _silence(hit.late(), request)
            case Timeout() | Reset():
                yield from _lose(hit, request)
            case Truncate() as fault if len(response.content) > fault.bytes:
                hit.fired()
                response = _cut(response, fault.bytes)
    return response


def _sent(*, whole: bool) -> Generator[float | _Send, httpx.Response | None, httpx.Response]:
    response = yield _Send(whole)
    assert response is not None  # the driver answers every _Send with one
    return response


def _lose(hit: Hit, request: httpx.Request) -> Generator[float | _Send, httpx.Response | None, None]:
    hit.fired()
    fault = hit.rule.fault
    if isinstance(fault, Timeout):
        yield from _silence(fault.after / SECOND, request)
        raise httpx.RemoteProtocolError("Server disconnected without sending a response.", request=request)
    raise httpx.ReadError("Connection reset by peer", request=request)


def _silence(seconds: float, request: httpx.Request) -> Generator[float | _Send, httpx.Response | None, None]:
    """Let `seconds` pass, or as many as the client waits for a read, which then times out."""
    patience = request.extensions.get("timeout", {}).get("read")
    if patience is not None and patience < seconds:
        yield float(patience)
        raise httpx.ReadTimeout("timed out", request=request)
    yield seconds


class _CutStream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The beginning of a body, and then the end of the connection."""

    def __init__(self, beginning: bytes, request: httpx.Request | None) -> None:
        self._beginning = beginning
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        yield self._beginning
        raise self._ended()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._beginning
        raise self._ended()

    def _ended(self) -> httpx.RemoteProtocolError:
        return httpx.RemoteProtocolError(
            "peer closed connection without sending complete message body", request=self._request
        )


def _cut(response: httpx.Response, length: int) -> httpx.Response:
    headers = {name: value for name, value in response.headers.items() if name != "content-encoding"}
    headers["content-length"] = str(len(response.content))
    return httpx.Response(response.status_code, headers=headers, stream=_CutStream(response.content[:length], None))
