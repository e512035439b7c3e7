"""`AckLoss`: read PostgreSQL's answers as messages, and lose the one that says a transaction is committed.

A server's message is a type byte, a length of 4 bytes that counts itself, and a body. Before the first message, a
client may ask for encryption (SSLRequest, GSSENCRequest), which the server answers with one bare byte.

CommandComplete is not yet the commit: in the extended protocol a statement outside a transaction block is committed
when the Sync after it is carried out. ReadyForQuery with status idle is. So answers are kept from a CommandComplete
on until ReadyForQuery says what became of it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from pytest_smartattend.injectors.wire.pieces import Piece, Stage

if TYPE_CHECKING:
    from pytest_smartattend.engine.faults import AckLoss
    from pytest_smartattend.injectors.wire.flow import Flow
    from pytest_smartattend.injectors.wire.grip import Grip

_ENCRYPTION_REQUESTS: Final = frozenset({80877103, 80877104})  # SSLRequest, GSSENCRequest
_TLS_HANDSHAKE: Final = 0x16
_COMMAND_COMPLETE: Final = ord("C")
_ERROR: Final = ord("E")
_READY: Final = ord("Z")
_OTHER: Final = 0
_WILL_ENCRYPT: Final = frozenset(b"SG")
_IDLE: Final = b"Z\0\0\0\5I"
_READY_MESSAGES: Final = frozenset({_IDLE, b"Z\0\0\0\5T", b"Z\0\0\0\5E"})
#: the longest that a CommandComplete may claim to be; PostgreSQL's tags end at 64
_LONGEST_TAG: Final = 256


class NegotiationStage(Stage):
    """Watches the client's first messages, for the bare bytes that the server will answer.

    Attributes:
        starting: the client has not yet sent its StartupMessage.
        asked: requests for encryption that the server has yet to answer.
        unreadable: the connection is encrypted, or does not speak PostgreSQL's protocol.
    """

    def __init__(self, flow: Flow, *, is_new: bool) -> None:
        super().__init__(flow)
        self.starting = is_new
        self.asked = 0
        self.unreadable = False
        self._head = b""

    def take(self, piece: Piece) -> None:
        """Hand `piece` on unchanged."""
        if self.starting and isinstance(piece, bytes):
            self._look_at(piece)
        self.after.take(piece)

    def _look_at(self, data: bytes) -> None:
        self._head += data
        if self._head[0] == _TLS_HANDSHAKE:  # without a request, as PostgreSQL 17 allows
            self.unreadable = True
        while len(self._head) >= 8 and struct.unpack_from("!4xI", self._head)[0] in _ENCRYPTION_REQUESTS:
            self.asked += 1
            self._head = self._head[8:]
        self.starting = len(self._head) < 8 and not self.unreadable


class ServerMessages:
    """Cuts the server's bytes into messages, from a boundary on."""

    def __init__(self, negotiation: NegotiationStage) -> None:
        self.rest = b""  # the beginning of a message whose kind or body has still to come
        self._negotiation = negotiation
        self._skip = 0

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Kind and bytes of each message in `data`; one that is long and of no interest may come in parts."""
        data, self.rest = self.rest + data, b""
        position = min(self._skip, len(data))
        self._skip -= position
        if position:
            yield _OTHER, data[:position]
        while position < len(data) and not self._negotiation.unreadable:
            kind, size = self._message_at(data, position)
            if not size:
                self.rest = data[position:]
                return
            self._skip = max(0, position + size - len(data))
            yield kind, data[position : position + size]
            position += size
        if position < len(data):
            yield _OTHER, data[position:]

    def _message_at(self, data: bytes, position: int) -> tuple[int, int]:
        """Kind and size of the message at `position`; size 0 while that cannot be said, or it must be seen whole."""
        kind = data[position]
        if self._negotiation.asked and kind != _ERROR:
            self._negotiation.asked -= 1
            self._negotiation.unreadable = kind in _WILL_ENCRYPT
            return _OTHER, 1
        if len(data) - position < 5:
            return kind, 0
        size = 1 + int.from_bytes(data[position + 1 : position + 5], "big")
        whole = kind in (_COMMAND_COMPLETE, _READY)
        if size < 5 or (whole and size > _LONGEST_TAG):
            self._negotiation.unreadable = True
            return _OTHER, len(data) - position
        return kind, 0 if whole and position + size > len(data) else size


class AckLossStage(Stage):
    """Watches the server's messages, and resets the connection in place of an acknowledgement."""

    def __init__(self, flow: Flow, grip: Grip, fault: AckLoss, negotiation: NegotiationStage) -> None:
        super().__init__(flow)
        self._grip = grip
        self._fault = fault
        self._commands = frozenset(tag.encode() for tag in fault.commands)
        self._negotiation = negotiation
        self._messages = ServerMessages(negotiation)
        # on a connection that was open before, messages begin anew where the server had last become ready
        self._in_step = negotiation.starting or flow.tail in _READY_MESSAGES
        self._kept: list[bytes] = []  # from the first CommandComplete of interest on
        self._committed = False
        self._acknowledgements = 0

    def take(self, piece: Piece) -> None:
        """Read `piece`, and hand on all but a lost acknowledgement."""
        if not isinstance(piece, bytes):
            self.release()
            self.after.take(piece)
        elif self._in_step and not self._negotiation.unreadable:
            self._read(piece)
        else:
            self.after.take(piece)
            self._in_step = piece[-len(_IDLE) :] in _READY_MESSAGES

    def release(self) -> None:
        """Hand on what is kept."""
        rest = b"".join(self._kept) + self._messages.rest
        self.drop()
        if rest:
            self.after.take(rest)

    def drop(self) -> None:
        """Forget what is kept."""
        self._kept.clear()
        self._messages.rest = b""

    def _read(self, data: bytes) -> None:
        passed: list[bytes] = []
        lost = False
        for kind, message in self._messages.feed(data):
            (self._kept if self._is_kept(kind, message) else passed).append(message)
            if kind == _READY and self._kept:
                lost = self._committed and message == _IDLE and self._is_lost()
                if lost:
                    break
                passed.extend(self._kept)
                self._kept.clear()
        if passed:
            self.after.take(b"".join(passed))
        if lost:
            self.flow.connection.abort()
        elif self._negotiation.unreadable:
            self.release()

    def _is_kept(self, kind: int, message: bytes) -> bool:
        if kind == _COMMAND_COMPLETE:
            tag = message[5:-1].split(b" ", 1)[0]
            if not self._kept and tag not in self._commands:
                return False
            # of several statements in one cycle, the last that commits or rolls back decides
            self._committed = tag in self._commands or (self._committed and tag != b"ROLLBACK")
            return True
        if kind == _ERROR:
            self._committed = False
        return bool(self._kept)

    def _is_lost(self) -> bool:
        active = self._grip.active
        if self._fault.times is not None and active.fired >= self._fault.times:
            return False
        nth = self._acknowledgements
        self._acknowledgements += 1
        if not self._grip.decide(nth, self._fault.probability):
            return False
        self._grip.acted_on(nth)
        return True
