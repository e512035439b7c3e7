"""One direction of a connection: read, through the stages of the faults, send; with back-pressure."""

from __future__ import annotations

import socket
import struct
from collections import deque
from typing import TYPE_CHECKING, Final

from pytest_smartattend.injectors.wire.loop import Callback, Loop
from pytest_smartattend.injectors.wire.pieces import Mark, Piece, Stage, Taker
from pytest_smartattend.injectors.wire.poller import READ, WRITE

if TYPE_CHECKING:
    from pytest_smartattend.injectors.wire.connection import Connection

# one buffer for all flows: the process has one thread, and what cannot be sent at once is copied out of it
_BUFFER: Final = bytearray(256 * 1024)
_VIEW: Final = memoryview(_BUFFER)
#: bytes per read while a fault is at work: small enough that delays are felt by piece and not by megabyte
_STAGED_READ: Final = 16 * 1024
#: bytes that stages of one flow may keep before it stops reading
_HELD_LIMIT: Final = 1024 * 1024
#: bytes at the end of a stream that are remembered: PostgreSQL's ReadyForQuery
_TAIL: Final = 6
_LINGER_ZERO: Final = struct.pack("ii", 1, 0)


class Endpoint:
    """One socket of a connection, and what the loop watches on it."""

    def __init__(self, loop: Loop, sock: socket.socket) -> None:
        self.sock = sock
        self.closed = False
        self._loop = loop
        self._reading: Callback | None = None
        self._writing: Callback | None = None

    def read_with(self, callback: Callback | None) -> None:
        """Call `callback` while there is something to read; None stops."""
        self._reading = callback
        self._watch()

    def write_with(self, callback: Callback | None) -> None:
        """Call `callback` while there is room to write; None stops."""
        self._writing = callback
        self._watch()

    def close(self, *, reset: bool = False) -> None:
        """Close in order, or with `reset` so that the peer sees a TCP RST."""
        if self.closed:
            return
        self.closed = True
        self._loop.forget(self.sock.fileno())
        if reset and self.sock.family != socket.AF_UNIX:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self.sock.close()

    def _watch(self) -> None:
        if self.closed:
            return
        # nothing is watched with no callback: an error would be reported again and again, to no one
        if self._reading and self._writing:
            self._loop.watch(self.sock.fileno(), READ | WRITE, self._either)
        elif self._reading:
            self._loop.watch(self.sock.fileno(), READ, self._reading)
        elif self._writing:
            self._loop.watch(self.sock.fileno(), WRITE, self._writing)
        else:
            self._loop.forget(self.sock.fileno())

    def _either(self) -> None:
        if self._writing:
            self._writing()
        if self._reading and not self.closed:
            self._reading()


class Flow:
    """Bytes from `source` to `sink`. It is itself the last `Taker` of its stages: what it takes, it sends.

    Attributes:
        held: bytes that stages keep.
        tail: the last bytes read from the source, up to six.
        finished: the end of the stream has been passed on.
    """

    def __init__(self, connection: Connection, source: Endpoint, sink: Endpoint, way: str) -> None:
        self.connection = connection
        self.source = source
        self.sink = sink
        self.way = way
        self.held = 0
        self.tail = b""
        self.finished = False
        self.stages: list[Stage] = []
        self._entry: Taker = self
        self._read_size = 0  # 0: as much as the buffer takes
        self._unsent: deque[bytes] = deque()
        self._reading = False
        self._source_ended = False
        self._ending = False
        self._recv_into = source.sock.recv_into
        self._send = sink.sock.send

    def add(self, stage: Stage) -> None:
        """Put `stage` behind the others."""
        self.stages.append(stage)
        self._relink()

    def remove(self, stage: Stage) -> None:
        """Take `stage` out and let it hand on what it kept."""
        self.stages.remove(stage)
        self._relink()
        stage.release()
        self.pace()

    def _relink(self) -> None:
        takers: list[Taker] = [*self.stages, self]
        for stage, after in zip(self.stages, takers[1:], strict=True):
            stage.after = after
        self._entry = takers[0]
        self._read_size = _STAGED_READ if self.stages else 0

    def pace(self) -> None:
        """Read on, or stop reading: while sending is stuck or stages are full, the sender has to wait."""
        wanted = self.connection.linked and not self._source_ended and not self._unsent and self.held < _HELD_LIMIT
        if wanted != self._reading:
            self._reading = wanted
            self.source.read_with(self.read if wanted else None)

    def read(self) -> None:
        """Read once and pass it on. The way without faults is short: this is where microseconds are won."""
        try:
            count = self._recv_into(_BUFFER, self._read_size)
        except BlockingIOError:
            return
        except OSError:
            self.connection.broke(self.source)
            return
        if count >= _TAIL:
            self.tail = bytes(_VIEW[count - _TAIL : count])
        elif count:
            self.tail = (self.tail + _VIEW[:count])[-_TAIL:]
        else:
            self._source_ended = True
            self.pace()
            self._entry.take(Mark.END)
            return
        if self._entry is not self:
            self._entry.take(bytes(_VIEW[:count]))
            self.pace()
            return
        try:
            sent = self._send(_VIEW[:count])
        except BlockingIOError:
            sent = 0
        except OSError:
            self.connection.broke(self.sink)
            return
        if sent < count:
            self._keep(bytes(_VIEW[sent:count]))

    def take(self, piece: Piece) -> None:
        """Send bytes, or do what the mark says."""
        if piece is Mark.RESET:
            self.connection.abort()
        elif piece is Mark.CLOSE:
            self.connection.hang_up()
        elif self.sink.closed or self._ending:
            return
        elif piece is Mark.END:
            self._ending = True
            if not self._unsent:
                self._finish()
        elif self._unsent:
            self._unsent.append(piece)
        else:
            self._send_now(piece)

    def end(self) -> None:
        """A fault ends the stream here: nothing more is read, and what is ready to be sent still is."""
        self._source_ended = True
        self.pace()
        self.take(Mark.END)

    def lost(self, endpoint: Endpoint) -> None:
        """The peer behind `endpoint` is gone: nothing more to read from it, or to send to it."""
        if endpoint is self.source:
            self._source_ended = True
            self._entry.take(Mark.RESET)
        else:
            self._unsent.clear()

    def drop(self) -> None:
        """The connection is gone: forget everything."""
        self._source_ended = True
        self._unsent.clear()
        for stage in self.stages:
            stage.drop()

    def _send_now(self, piece: bytes) -> None:
        try:
            sent = self._send(piece)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.connection.broke(self.sink)
            return
        if sent < len(piece):
            self._keep(piece[sent:])

    def _keep(self, rest: bytes) -> None:
        self._unsent.append(rest)
        self.sink.write_with(self._drain)
        self.pace()

    def _drain(self) -> None:
        while self._unsent:
            piece = self._unsent[0]
            try:
                sent = self._send(piece)
            except BlockingIOError:
                return
            except OSError:
                self.connection.broke(self.sink)
                return
            if sent < len(piece):
                self._unsent[0] = piece[sent:]
                return
            self._unsent.popleft()
        self.sink.write_with(None)
        if self._ending:
            self._finish()
        else:
            self.pace()

    def _finish(self) -> None:
        self.finished = True
        try:
            self.sink.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.connection.broke(self.sink)
            return
        self.connection.flow_finished()
