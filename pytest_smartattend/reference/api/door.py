"""The outermost layer: no mistake leaves as a stack trace, and no client is cut off before it can read the answer."""

from __future__ import annotations

import asyncio
import logging

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pytest_smartattend.reference.api.problems import Problem

log = logging.getLogger(__name__)

#: so much of a refused body is still read and thrown away
DRAIN_BYTES = 32 << 20
#: and for so long, in seconds
DRAIN_SECONDS = 5.0


class Door:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = _Body(receive)
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                await body.drain()
            await send(message)

        try:
            await self.app(scope, body.receive, answer)
        except ClientDisconnect:
            log.info("%s %s: the client went away", scope["method"], scope["path"])
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            if started:
                raise
            problem = Problem("internal_error", "it was logged; try again, and tell the operator if it stays")
            await problem.response()(scope, body.receive, answer)


class _Body:
    """The request's body, and whether it was read to its end.

    A server that answers and closes while the client still sends makes the client's system throw the answer away.
    So what was not read is read on, within bounds, before the answer goes out.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._ended = False
        self._began = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._began = True
        self._ended = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def drain(self) -> None:
        left = DRAIN_BYTES
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while not self._ended and left > 0:
                    message = await self.receive()
                    left -= len(message.get("body", b""))
        except TimeoutError:
            log.info("a client kept sending a body that was refused")
