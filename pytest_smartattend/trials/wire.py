"""One connection of a storm: sends bytes, holds some back, and waits for one answer at a time.

A protocol of its own, because a general client costs a storm what it is made for: with fifty connections httpx sent a
hundred requests a second where this sends thousands.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple
from urllib.parse import SplitResult

from pytest_smartattend.engine.history import Outcome
from pytest_smartattend.target.client import outcome_of
from pytest_smartattend.trials.answers import MalformedAnswer, Parser, Raw

#: ``answered``; ``lost``: sent, and no answer came; ``unsent``: there was no connection to send it on
Fate = Literal["answered", "lost", "unsent"]


class Reply(NamedTuple):
    """What became of one request; `raw` is None where no answer came."""

    fate: Fate
    raw: Raw | None = None


_LOST: Final = Reply("lost")
_UNSENT: Final = Reply("unsent")


class _Protocol(asyncio.Protocol):
    """Bytes to replies. `waiter` is set while a request is under way, `entered` when it is held back.

    One timer a connection goes from deadline to deadline; one a request would cost a tenth of the generator's time.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout: float) -> None:
        self._loop = loop
        self._timeout = timeout
        self._begun = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.parser = Parser()
        self.transport: asyncio.Transport | None = None
        self.waiter: asyncio.Future[Reply] | None = None
        self.entered: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._timer = self._loop.call_later(self._timeout, self._watch)

    def data_received(self, data: bytes) -> None:
        try:
            raw = self.parser.feed(data)
        except MalformedAnswer:
            self.end(_LOST)
            return
        if raw is not None:
            if not raw.keeps:
                self.close()
            self.end(Reply("answered", raw))
        elif self.parser.continued:
            self._enter()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self._timer is not None:
            self._timer.cancel()
        raw = self.parser.eof() if self.waiter is not None and exc is None else None
        self.end(_LOST if raw is None else Reply("answered", raw))

    def send(self, data: bytes, *, bodyless: bool) -> asyncio.Future[Reply]:
        """Begin a request with `data`; the future is its reply."""
        self.parser.begin(bodyless=bodyless)
        self._begun = self._loop.time()
        self.waiter = waiter = self._loop.create_future()
        if self.transport is None:  # it went away since it was opened
            self.end(_UNSENT)
        else:
            self.transport.write(data)
        return waiter

    def end(self, reply: Reply) -> None:
        """Settle the request under way, if there is one. After a lost answer the connection is worth nothing."""
        if reply.raw is None:
            self.close()
        waiter, self.waiter = self.waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(reply)
        self._enter()

    def close(self) -> None:
        """End the connection at once."""
        if self.transport is not None:
            self.transport.abort()
            self.transport = None

    def _watch(self) -> None:
        due = (self._begun if self.waiter is not None else self._loop.time()) + self._timeout
        if due <= self._loop.time():
            self.end(_LOST)
        else:
            self._timer = self._loop.call_at(due, self._watch)

    def _enter(self) -> None:
        if self.entered is not None and not self.entered.done():
            self.entered.set_result(None)


class Wire:
    """A connection that is made when there is something to send, and made again after it was lost.

    Args:
        address: the platform's root.
        timeout: seconds after which a connection counts as refused and an answer as lost.
    """

    def __init__(self, address: SplitResult, timeout: float) -> None:
        self._host = address.hostname or "127.0.0.1"
        self._port = address.port or 80
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._protocol: _Protocol | None = None
        self._held: asyncio.Future[Reply] | None = None

    async def open(self) -> bool:
        """Whether there is a connection, after making one if there was none."""
        if self._protocol is not None and self._protocol.transport is not None:
            return True
        try:
            async with asyncio.timeout(self._timeout):
                _, self._protocol = await self._loop.create_connection(self._new, self._host, self._port)
        except OSError:
            return False
        return True

    async def exchange(self, data: bytes) -> Reply:
        """Send one request and wait for its answer."""
        if (self._protocol is None or self._protocol.transport is None) and not await self.open():
            return _UNSENT
        assert self._protocol is not None  # it is open
        return await self._protocol.send(data, bodyless=data.startswith(b"HEAD "))

    def hold(self, data: bytes) -> asyncio.Future[None]:
        """Send all but the last byte of a request, on the connection that was opened.

        Returns:
            done as soon as the platform asked for the rest, answered without it, or went away.
        """
        entered = self._loop.create_future()
        if self._protocol is None:
            entered.set_result(None)
        else:
            self._protocol.entered = entered
            self._held = self._protocol.send(data[:-1], bodyless=data.startswith(b"HEAD "))
        return entered

    @property
    def inside(self) -> bool:
        """Whether the platform asked for the rest of the request that is held back: its handler is waiting."""
        return self._protocol is not None and self._protocol.parser.continued

    def release(self, data: bytes) -> None:
        """Send the last byte of the request that is held back.

        Past the transport where nothing waits in it: that takes a third of the time, and the less time lies between the
        first release and the last, the more requests meet.
        """
        transport = self._protocol and self._protocol.transport
        if not transport:
            return
        try:
            if transport.get_write_buffer_size():
                raise BlockingIOError
            os.write(transport.get_extra_info("socket").fileno(), data[-1:])
        except OSError:  # full, or gone, which the transport will notice
            transport.write(data[-1:])

    async def released(self) -> Reply:
        """Wait for the answer to the request that was released."""
        return _UNSENT if self._held is None else await self._held

    def close(self) -> None:
        """End the connection."""
        if self._protocol is not None:
            self._protocol.close()

    def _new(self) -> _Protocol:
        return _Protocol(self._loop, self._timeout)


def outcome_of_reply(method: str, reply: Reply) -> Outcome:
    """What is known of an attempt: one that was not sent failed, one whose answer was lost may have been done."""
    if reply.raw is None:
        return "failed" if reply.fate == "unsent" else "unknown"
    return outcome_of(method, reply.raw.status)


async def all_closed(wires: Iterable[Wire]) -> None:
    """End all connections, and let the loop take notice of it."""
    for wire in wires:
        wire.close()
    await asyncio.sleep(0)
