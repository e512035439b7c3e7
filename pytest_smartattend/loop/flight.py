"""What is in flight on an event loop: why time must not jump now.

A registered descriptor says that somebody waits for the outside, with these exceptions, which only wait to be spoken to:
the loop's own pipe, listening sockets, connections that a server accepted, streams that nobody reads, and what was
declared passive. Of a connection made by `create_connection` whose protocol is not asyncio's own, nobody can tell from
outside whether its answer is complete: it is in flight from registration, or from a write, until an answer begins, and
for `settle` longer after each piece of it.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import socket
import stat
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

_NOBODY: Final = "nobody"


class Wire:
    """One registered descriptor that is not passive by nature, and, if it is a transport's, that transport.

    Attributes:
        outstanding: an answer is owed; only meaningful where the protocol is unknown.
        heard_ns: when the latest piece of an answer came, on the real clock.
    """

    def __init__(self, fd: int, transport: asyncio.Transport | None) -> None:
        self.fd = fd
        self.transport = transport
        self.outstanding = True
        self.heard_ns = 0

    def awaited(self, now_ns: int, settle_ns: int) -> bool:
        """Whether somebody waits, or may wait, to read from it."""
        if self.transport is None:
            return True
        protocol = self.transport.get_protocol()
        if isinstance(protocol, asyncio.StreamReaderProtocol):
            # asyncio's own stream knows exactly whether a task waits to read; the names are private, and a test pins
            # them. A reader that was thrown away waits for nothing.
            reader = protocol._stream_reader  # type: ignore[attr-defined]  # noqa: SLF001
            return reader is not None and reader._waiter is not None  # noqa: SLF001
        return self.outstanding or now_ns - self.heard_ns < settle_ns


class Flight:
    """The ledger of one loop.

    Args:
        transport_of: the loop's socket transport on a descriptor, if it is one.
        settle_ns: how long after a piece of an answer another may follow, in real nanoseconds.
    """

    def __init__(self, transport_of: Callable[[int], Any], settle_ns: int) -> None:
        self._transport_of = transport_of
        self._settle_ns = settle_ns
        self._wires: dict[int, Wire] = {}
        self._writing: set[int] = set()
        self._passive: dict[int, int] = {}
        self._watched: weakref.WeakSet[asyncio.Transport] = weakref.WeakSet()
        self.futures: dict[asyncio.Future[Any], str] = {}
        self.children: list[asyncio.SubprocessTransport] = []

    # kept by the selector

    def registered(self, fd: int, events: int) -> None:
        """A descriptor was registered, or its interest changed."""
        if events & selectors.EVENT_WRITE:
            self._writing.add(fd)
        else:
            self._writing.discard(fd)
        if not events & selectors.EVENT_READ:
            self._wires.pop(fd, None)
        elif fd not in self._wires and not _only_listens(fd):
            transport = self._transport_of(fd)
            # Private, and pinned by a test: a transport that a server accepted knows its server.
            if transport is None or getattr(transport, "_server", None) is None:
                self._wires[fd] = Wire(fd, transport)
                if transport is not None and transport not in self._watched:
                    self._watched.add(transport)
                    self._watch_writes(fd, transport)

    def unregistered(self, fd: int) -> None:
        """A descriptor is not waited for any more."""
        self._writing.discard(fd)
        self._wires.pop(fd, None)

    def heard(self, fd: int, now_ns: int) -> None:
        """A descriptor has something to read."""
        wire = self._wires.get(fd)
        if wire is not None:
            wire.outstanding = False
            wire.heard_ns = now_ns

    def _watch_writes(self, fd: int, transport: Any) -> None:  # noqa: ANN401
        def watched(write: Callable[..., None]) -> Callable[..., None]:
            def noted(*data: Any) -> None:  # noqa: ANN401
                if (wire := self._wires.get(fd)) is not None and wire.transport is transport:
                    wire.outstanding = True
                write(*data)

            return noted

        for name in ("write", "writelines", "sendto"):
            if hasattr(transport, name):
                setattr(transport, name, watched(getattr(transport, name)))

    # declared by hand

    def set_passive(self, fds: list[int], *, passive: bool) -> None:
        """Count these descriptors as idle by nature, or no more."""
        for fd in fds:
            count = self._passive.get(fd, 0) + (1 if passive else -1)
            if count > 0:
                self._passive[fd] = count
            else:
                self._passive.pop(fd, None)

    # asked by the selector

    def is_empty(self) -> bool:
        """Whether there is nothing that could be in flight: the usual case, told cheaply."""
        return not (self._wires or self._writing or self.futures or self.children)

    def is_anything(self, now_ns: int) -> bool:
        """Whether anything that the loop itself can see is in flight."""
        return next(self._items(now_ns), None) is not None

    def ends_by_itself_ns(self, now_ns: int) -> int:
        """In how many nanoseconds the next answer counts as complete; 0 when none is being waited for."""
        left = [
            self._settle_ns - (now_ns - wire.heard_ns)
            for wire in self._wires.values()
            if wire.transport is not None and not wire.outstanding
        ]
        return min((ns for ns in left if ns > 0), default=0)

    def in_words(self, now_ns: int) -> list[str]:
        """All that is in flight, one line each."""
        return [_in_words(item) for item in self._items(now_ns)]

    def passive_in_words(self, fds: list[int]) -> list[str]:
        """Those of `fds` that are registered and do not count, one line each."""
        counted = {*self._wires, *self._writing} - set(self._passive)
        return [_describe(fd) for fd in fds if fd not in counted]

    def _items(self, now_ns: int) -> Iterator[Wire | int | str]:
        for fd in self._writing:
            if fd not in self._passive:
                yield fd
        for fd, wire in self._wires.items():
            if fd not in self._passive and wire.awaited(now_ns, self._settle_ns):
                yield wire
        yield from self.futures.values()
        for child in list(self.children):
            if child.get_returncode() is not None:
                self.children.remove(child)
            elif -child.get_pid() not in self._passive:
                yield f"child process {child.get_pid()}"


def _in_words(item: Wire | int | str) -> str:
    if isinstance(item, str):
        return item
    if isinstance(item, int):
        return f"{_describe(item)}, to be written to"
    return f"{_describe(item.fd)}, to be read from"


def descriptors_of(thing: Any) -> list[int]:  # noqa: ANN401
    """The descriptors of a number, a thing with ``fileno()``, a transport, a stream's writer or a child process.

    A child process is its process id, negated, and its pipes.
    """
    if isinstance(thing, int):
        return [thing]
    transport = getattr(thing, "transport", None) or getattr(thing, "_transport", thing)
    if isinstance(transport, asyncio.SubprocessTransport):
        pipes = [transport.get_pipe_transport(number) for number in range(3)]
        return [-transport.get_pid(), *(pipe.get_extra_info("pipe").fileno() for pipe in pipes if pipe is not None)]
    if isinstance(transport, asyncio.BaseTransport):
        return [(transport.get_extra_info("socket") or transport.get_extra_info("pipe")).fileno()]
    return [int(thing.fileno())]


@contextmanager
def _socket_on(fd: int) -> Iterator[socket.socket | None]:
    """The socket on a descriptor that stays open behind it; None if there is none."""
    try:
        is_socket = stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:  # closed behind the loop's back
        is_socket = False
    if not is_socket:
        yield None
        return
    twin = socket.socket(fileno=fd)
    try:
        yield twin
    finally:
        twin.detach()


def _only_listens(fd: int) -> bool:
    with _socket_on(fd) as found:
        if found is None:
            return False
        if found.type == socket.SOCK_STREAM:
            return bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
        return _peer(found) == _NOBODY


def _describe(fd: int) -> str:
    with _socket_on(fd) as found:
        if found is None:
            return f"descriptor {fd}"
        return f"socket {fd} ({_address(found.getsockname())} to {_peer(found)})"


def _peer(twin: socket.socket) -> str:
    try:
        return _address(twin.getpeername())
    except OSError:
        return _NOBODY


def _address(address: Any) -> str:  # noqa: ANN401
    if isinstance(address, tuple):
        return f"{address[0]}:{address[1]}"
    text = address.decode(errors="replace") if isinstance(address, bytes) else str(address)
    return text or "unnamed"
