"""Upstreams of this process for the TCP proxy: real sockets, one thread per connection."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from pytest_smartattend.injectors.tcp_proxy import TcpProxy

Serve = Callable[[socket.socket], None]


def echo(peer: socket.socket) -> None:
    """Send back what comes, and end when the client has ended."""
    while data := peer.recv(65536):
        peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)


class Upstream:
    """A server whose every connection is handled by `serve` in a thread.

    Attributes:
        address: what `TcpProxy` takes.
        errors: what ended a connection other than in order.
    """

    def __init__(self, serve: Serve, path: Path | None = None) -> None:
        self.errors: list[OSError] = []
        self._serve = serve
        self._peers: list[socket.socket] = []
        if path is None:
            self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
            self.address: tuple[str, int] | str = self._listener.getsockname()
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(path))
            self._listener.listen(512)
            self.address = str(path)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop accepting, and cut what is open."""
        for sock in [self._listener, *self._peers]:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                self._peers.append(peer)
                threading.Thread(target=self._handle, args=(peer,), daemon=True).start()

    def _handle(self, peer: socket.socket) -> None:
        with peer:
            try:
                self._serve(peer)
            except OSError as problem:
                self.errors.append(problem)


@pytest.fixture
def upstream_of() -> Iterator[Callable[..., Upstream]]:
    """Make an upstream: ``upstream_of(serve, path=None)``. All are closed after the test."""
    with ExitStack() as closing:

        def make(serve: Serve = echo, path: Path | None = None) -> Upstream:
            upstream = Upstream(serve, path)
            closing.callback(upstream.close)
            return upstream

        yield make


@pytest.fixture
def echo_proxy(upstream_of: Callable[..., Upstream]) -> Iterator[TcpProxy]:
    """A proxy before an upstream that echoes."""
    with TcpProxy(upstream_of().address, name="echo", seed=1) as proxy:
        yield proxy


@pytest.fixture
def connect() -> Iterator[Callable[[TcpProxy], socket.socket]]:
    """Open a client through a proxy; its reads give up after ten seconds. All are closed after the test."""
    with ExitStack() as closing:

        def through(proxy: TcpProxy) -> socket.socket:
            client = closing.enter_context(socket.create_connection(proxy.address, timeout=10))
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return client

        yield through
