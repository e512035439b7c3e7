"""Faults on the platform's side: ASGI middleware, so that the platform sees and measures what its clients suffer.

Lay it inside the platform's own metrics and outside its handlers. It is ASGI and no more, for a middleware made of
requests and responses would cost a thousand times as much while no fault holds.

ASGI gives an application no way to end a connection before an answer, so `Reset` and `Timeout` end it within one: a 502
is begun, whose body never comes, and the server closes the connection. The client has then no answer, as it should be.
The faults are those of this process; each worker of a platform counts for itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from pytest_smartattend.engine.http_faults import Delay, Duplicate, Reset, Timeout, Truncate
from pytest_smartattend.engine.http_rules import Hit
from pytest_smartattend.engine.units import SECOND
from pytest_smartattend.injectors.http_switch import HttpFaults

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
Sleep = Callable[[float], Awaitable[object]]

_KEY: Final = b"idempotency-key"


class FaultMiddleware:
    """Carries out the faults of `faults` before `app`.

    Args:
        app: the application, or the next middleware.
        faults: what holds; may change at any time.
        sleep: how delays pass; on a virtual loop they are virtual.
    """

    def __init__(self, app: Application, faults: HttpFaults, sleep: Sleep = asyncio.sleep) -> None:
        self._app = app
        self._faults = faults
        self._sleep = sleep

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Hand on, unless a fault holds for requests."""
        if self._faults.rules and scope["type"] == "http":
            await self._under_faults(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _under_faults(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        key = next((value.decode("latin-1") for name, value in scope["headers"] if name == _KEY), None)
        on_the_way_back: list[Hit] = []
        for hit in self._faults.hits(scope["method"], scope["path"], key):
            refused = self._faults.refusal(hit)
            if refused is not None:
                await _refuse(send, *refused)
                return
            fault = hit.rule.fault
            if isinstance(fault, Timeout | Reset) and fault.lost == "request":
                await self._lose(hit, send)
                return
            on_the_way_back.append(hit)
        if on_the_way_back:
            await self._answer_under(on_the_way_back, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer_under(
        self, hits: list[Hit], scope: MutableMapping[str, Any], receive: Receive, send: Send
    ) -> None:
        lost: Hit | None = None
        for hit in hits:
            match hit.rule.fault:
                case Duplicate() as fault:
                    body, live = await _whole(receive), receive
                    hit.fired()
                    for _ in range(fault.times):
                        await self._app(dict(scope), _replayed(body, live), _to_nobody)
                    receive = _replayed(body, live)
                case Delay():
                    send = self._delayed(send, hit)
                case Truncate() as fault:
                    send = _truncated(send, hit, fault.bytes)
                case Timeout() | Reset():
                    lost = lost or hit
        if lost is None:
            await self._app(scope, receive, send)
        else:
            await self._app(scope, receive, _to_nobody)
            await self._lose(lost, send)

    def _delayed(self, send: Send, hit: Hit) -> Send:
        async def late(message: Message) -> None:
            if message["type"] == "http.response.start":
                hit.fired()
                await self._sleep(hit.late())
            await send(message)

        return late

    async def _lose(self, hit: Hit, send: Send) -> None:
        hit.fired()
        if isinstance(hit.rule.fault, Timeout):
            await self._sleep(hit.rule.fault.after / SECOND)
        await send({"type": "http.response.start", "status": 502, "headers": [(b"content-length", b"1")]})


async def _refuse(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


def _truncated(send: Send, hit: Hit, length: int) -> Send:
    """Pass `length` bytes of the body under the head of the whole one, and then nothing, not even its end."""
    left = length

    async def cut(message: Message) -> None:
        nonlocal left
        if message["type"] != "http.response.body":
            await send(message)
            return
        body = message.get("body", b"")
        if left >= len(body):
            left -= len(body)
            await send(message)
        elif left >= 0:
            hit.fired()
            await send({"type": "http.response.body", "body": body[:left], "more_body": True})
            left = -1

    return cut


async def _whole(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if message["type"] != "http.request" or not message.get("more_body", False):
            return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A receive that gives `body` once, and after that what the connection gives."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def _to_nobody(message: Message) -> None:
    """Let the application answer into the void."""
