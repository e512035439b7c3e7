"""The proxy itself: the port, its connections, the faults that are installed."""

from __future__ import annotations

import errno
import os
import socket
import sys
from time import monotonic
from typing import Final

from pytest_smartattend.engine.fault_journal import Entry
from pytest_smartattend.engine.faults import Down, Fault
from pytest_smartattend.injectors.wire.connection import Connection
from pytest_smartattend.injectors.wire.flow import Endpoint
from pytest_smartattend.injectors.wire.grip import ActiveFault
from pytest_smartattend.injectors.wire.loop import Loop
from pytest_smartattend.injectors.wire.poller import READ

LOOPBACK: Final = "127.0.0.1"
_BACKLOG: Final = 4096
_ACCEPTS_PER_ROUND: Final = 64
_OUT_OF_DESCRIPTORS: Final = frozenset({errno.EMFILE, errno.ENFILE})


class Proxy:
    """Listens on a port of loopback that the system chose, and keeps it while the fault `Down` refuses.

    Attributes:
        port: the port.
        upstream_address: what `socket.connect` takes: (host, port), or the path of a Unix socket.
        upstream_error: why the last upstream could not be connected.
    """

    def __init__(self, loop: Loop, upstream_family: int, upstream: str | list[str | int], seed: int) -> None:
        self.loop = loop
        self.upstream_address = upstream if isinstance(upstream, str) else tuple(upstream)
        self.upstream_error = ""
        self._troubles: dict[str, None] = {}
        self._upstream_family = upstream_family
        self._seed = seed
        self._born = monotonic()
        self._connections: dict[Connection, None] = {}
        self._probes: set[Connection] = set()
        self._faults: dict[str, ActiveFault] = {}
        self._spare = os.open(os.devnull, os.O_RDONLY)
        # bound and never listening: while nothing listens, no one else is given the port
        self._holder = self._bind(0)
        self.port: int = self._holder.getsockname()[1]
        self._listener: socket.socket | None = None
        self._listen()

    def install(self, fault_id: str, fault: Fault) -> None:
        """Let `fault` hold for every open connection, and for those to come.

        Raises:
            ValueError: a fault of this id is installed.
        """
        if fault_id in self._faults:
            raise ValueError(f"{fault_id} is installed already")
        active = self._faults[fault_id] = ActiveFault(fault_id, fault, self._seed, lambda: monotonic() - self._born)
        if isinstance(fault, Down):
            self._stop_listening()
        for connection in [known for known in self._connections if known not in self._probes]:
            connection.suffer(active)

    def remove(self, fault_id: str) -> tuple[int, list[Entry]]:
        """Heal; returns how often the fault fired, and its journal. Nothing happens when there is none of this id.

        Raises:
            OSError: the port cannot be listened on again.
        """
        active = self._faults.pop(fault_id, None)
        if active is None:
            return 0, []
        for connection in list(self._connections):
            connection.recover(active)
        if self._listener is None and not any(isinstance(other.fault, Down) for other in self._faults.values()):
            self._listen()
        return active.fired, active.entries

    def fired(self, fault_id: str) -> int:
        """How often an installed fault has fired."""
        active = self._faults.get(fault_id)
        return 0 if active is None else active.fired

    def is_linked(self, probe_port: int) -> bool:
        """Whether the owner's probe, which connected from `probe_port`, has reached the upstream.

        From then on it is no one's client: it is not counted, and no fault meets it while it closes.
        """
        for connection in self._connections:
            if connection.client_port == probe_port and connection.linked:
                self._probes.add(connection)
                return True
        return False

    def count(self) -> int:
        """How many connections of clients are open."""
        return len(self._connections) - len(self._probes)

    def take_troubles(self) -> list[str]:
        """What went wrong in the proxy itself since it was last asked, each once."""
        troubles = list(self._troubles)
        self._troubles.clear()
        return troubles

    def closed(self, connection: Connection) -> None:
        """Told by a connection when both its sockets are closed."""
        self._connections.pop(connection, None)
        self._probes.discard(connection)

    def _bind(self, port: int) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sys.platform != "linux":  # BSD lets two sockets share a port by this name only
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((LOOPBACK, port))
        return sock

    def _listen(self) -> None:
        listener = self._bind(self.port)
        listener.settimeout(0)
        listener.listen(_BACKLOG)
        self.loop.watch(listener.fileno(), READ, self._accept)
        self._listener = listener

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self.loop.forget(self._listener.fileno())
            self._listener.close()
            self._listener = None

    def _accept(self) -> None:
        for _ in range(_ACCEPTS_PER_ROUND):
            if self._listener is None:
                return
            try:
                client, address = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as problem:
                if problem.errno not in _OUT_OF_DESCRIPTORS:
                    raise
                self._turn_away()
                return
            self._begin(client, address[1])

    def _begin(self, client: socket.socket, client_port: int) -> None:
        try:
            upstream = socket.socket(self._upstream_family, socket.SOCK_STREAM)
        except OSError as problem:
            if problem.errno not in _OUT_OF_DESCRIPTORS:
                raise
            self._short_of_descriptors()
            Endpoint(self.loop, client).close(reset=True)
            return
        for sock in (client, upstream):
            sock.settimeout(0)
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(self, client, upstream, client_port)
        self._connections[connection] = None
        for active in list(self._faults.values()):
            if not connection.gone:
                connection.suffer(active)
        if not connection.gone:
            connection.open()

    def _turn_away(self) -> None:
        """No descriptor is left to accept with: give up the spare one for a moment, so that the client learns."""
        self._short_of_descriptors()
        os.close(self._spare)
        try:
            if self._listener is not None:
                client, _ = self._listener.accept()
                Endpoint(self.loop, client).close(reset=True)
        except OSError:
            pass  # the client has gone by itself, or another thread of the machine was faster
        finally:
            self._spare = os.open(os.devnull, os.O_RDONLY)

    def _short_of_descriptors(self) -> None:
        self._troubles["no file descriptor was left for a connection, so it was reset; raise `ulimit -n`"] = None
