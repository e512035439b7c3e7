"""`AckLoss` reads PostgreSQL's answers, however the network cuts them."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_smartattend.engine.faults import AckLoss
from pytest_smartattend.injectors.wire.flow import Flow
from pytest_smartattend.injectors.wire.grip import ActiveFault, Grip
from pytest_smartattend.injectors.wire.pieces import Mark, Piece
from pytest_smartattend.injectors.wire.postgres_acks import AckLossStage, NegotiationStage

SSL_REQUEST = struct.pack("!II", 8, 80877103)
GSSENC_REQUEST = struct.pack("!II", 8, 80877104)
STARTUP = struct.pack("!II", 13, 196608) + b"user\0"


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def _done(tag: bytes) -> bytes:
    return _message(b"C", tag + b"\0")


LOGIN = _message(b"R", b"\0\0\0\0") + _message(b"S", b"server_version\x0018\0")
IDLE, IN_BLOCK, FAILED = (_message(b"Z", status) for status in (b"I", b"T", b"E"))
ROW = _message(b"D", b"Z\0\0\0\5I C\0\0\0\x0bCOMMIT\0")  # data that looks like messages
ERROR = _message(b"E", b"SERROR\0\0")


@dataclass
class Wire:
    """A flow's far end: what came out, and whether the connection was reset. No sockets."""

    fault: AckLoss
    tail: bytes = b""
    is_new: bool = True
    out: list[bytes] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    reset: bool = False

    def __post_init__(self) -> None:
        self.connection = self
        self.active = ActiveFault("db/1:ack_loss", self.fault, 0, lambda: 0.0)
        flow = cast("Flow", self)
        self.up = NegotiationStage(cast("Flow", Sink()), is_new=self.is_new)
        self.up.after = Sink()
        self.down = AckLossStage(flow, Grip(self.active, 0), self.fault, self.up)
        self.down.after = self

    def take(self, piece: Piece) -> None:
        if isinstance(piece, bytes):
            self.out.append(piece)
        else:
            self.marks.append(piece)

    def abort(self) -> None:
        self.reset = True
        self.down.drop()

    def answer(self, data: bytes, cuts: int = 0) -> bytes:
        """Let the server answer, in pieces of `cuts` bytes; what came out of it."""
        self.out.clear()
        for at in range(0, len(data), cuts or len(data)):
            if not self.reset:
                self.down.take(data[at : at + (cuts or len(data))])
        return b"".join(self.out)


class Sink:
    def take(self, piece: Any) -> None:
        pass


def _logged_in(fault: AckLoss) -> Wire:
    wire = Wire(fault)
    wire.up.take(STARTUP)
    assert wire.answer(LOGIN + IDLE) == LOGIN + IDLE
    return wire


COMMITTED = [
    _done(b"INSERT 0 1") + IDLE,
    _message(b"1", b"") + _message(b"2", b"") + ROW + _done(b"INSERT 0 1") + IDLE,
    _done(b"COMMIT") + IDLE,
    _done(b"BEGIN") + _done(b"INSERT 0 1") + _done(b"COMMIT") + _done(b"SELECT 1") + IDLE,
    _done(b"UPDATE 3") + _message(b"N", b"SNOTICE\0\0") + IDLE,
]
NOT_COMMITTED = [
    _done(b"SELECT 1") + IDLE,
    _done(b"BEGIN") + IN_BLOCK,
    _done(b"INSERT 0 1") + IN_BLOCK,
    _done(b"INSERT 0 1") + ERROR + IDLE,
    _done(b"INSERT 0 1") + _done(b"ROLLBACK") + IDLE,
    _done(b"ROLLBACK") + IDLE,
    ERROR + FAILED,
    ROW * 20 + _done(b"SELECT 20") + IDLE,
]


@pytest.mark.parametrize("answer", COMMITTED)
@pytest.mark.parametrize("cuts", [0, 1, 2, 5, 7])
def test_the_answer_to_a_commit_is_lost_however_it_is_cut(answer: bytes, cuts: int) -> None:
    wire = _logged_in(AckLoss())
    passed = wire.answer(answer, cuts)
    assert wire.reset
    assert wire.active.fired == 1
    assert answer.startswith(passed)
    for tag in (b"INSERT", b"COMMIT\0I", b"UPDATE"):
        assert tag not in passed


@pytest.mark.parametrize("answer", NOT_COMMITTED)
@pytest.mark.parametrize("cuts", [0, 1, 2, 5, 7])
def test_every_other_answer_passes_unchanged(answer: bytes, cuts: int) -> None:
    wire = _logged_in(AckLoss())
    assert wire.answer(answer, cuts) == answer
    assert not wire.reset
    assert wire.active.fired == 0


@given(st.lists(st.sampled_from(NOT_COMMITTED), min_size=1, max_size=8), st.integers(1, 40))
def test_no_byte_is_lost_or_moved_in_what_passes(answers: list[bytes], cuts: int) -> None:
    wire = _logged_in(AckLoss())
    assert wire.answer(b"".join(answers), cuts) == b"".join(answers)


def test_the_answer_before_the_lost_one_still_passes() -> None:
    wire = _logged_in(AckLoss())
    before = ROW + _done(b"SELECT 1") + IDLE
    assert wire.answer(before + COMMITTED[0]) == before
    assert wire.reset


def test_only_the_commands_that_were_named_are_lost() -> None:
    wire = _logged_in(AckLoss(("COMMIT",)))
    assert wire.answer(COMMITTED[0]) == COMMITTED[0]
    wire.answer(COMMITTED[2])
    assert wire.reset


def test_with_times_the_retry_comes_through() -> None:
    first = _logged_in(AckLoss(times=1))
    first.answer(COMMITTED[0])
    assert first.reset
    second = _logged_in(AckLoss(times=1))
    second.active.fired = 1
    assert second.answer(COMMITTED[0]) == COMMITTED[0]


def test_probability_is_drawn_for_each_acknowledgement() -> None:
    wire = _logged_in(AckLoss(probability=0.2))
    passed = 0
    while not wire.reset:
        passed += wire.answer(COMMITTED[0]) == COMMITTED[0]
    decided = [entry for entry in wire.active.entries if entry.event == "decided"]
    assert [entry.nth for entry in decided] == list(range(passed + 1))
    assert [entry.draw < 0.2 for entry in decided] == [False] * passed + [True]


@pytest.mark.parametrize("requests", [[SSL_REQUEST], [GSSENC_REQUEST], [GSSENC_REQUEST, SSL_REQUEST]])
def test_a_refused_encryption_is_followed(requests: list[bytes]) -> None:
    wire = Wire(AckLoss())
    for request in requests:
        wire.up.take(request[:3])
        wire.up.take(request[3:])
        assert wire.answer(b"N") == b"N"
    wire.up.take(STARTUP)
    assert wire.answer(LOGIN + IDLE, 3) == LOGIN + IDLE
    wire.answer(COMMITTED[0])
    assert wire.reset


@pytest.mark.parametrize(("request_", "consent"), [(SSL_REQUEST, b"S"), (GSSENC_REQUEST, b"G")])
def test_an_encrypted_connection_passes_untouched(request_: bytes, consent: bytes) -> None:
    wire = Wire(AckLoss())
    wire.up.take(request_)
    assert wire.answer(consent) == consent
    wire.up.take(b"\x16\x03\x01 hello")
    assert wire.answer(COMMITTED[0]) == COMMITTED[0]
    assert not wire.reset


def test_tls_without_a_request_passes_untouched() -> None:
    wire = Wire(AckLoss())
    wire.up.take(b"\x16\x03\x01 hello")
    assert wire.answer(COMMITTED[0]) == COMMITTED[0]
    assert not wire.reset


def test_a_connection_that_was_open_before_is_read_from_where_the_server_was_ready() -> None:
    ready = Wire(AckLoss(), tail=IDLE, is_new=False)
    ready.answer(COMMITTED[0], 4)
    assert ready.reset
    busy = Wire(AckLoss(), tail=b"middle", is_new=False)
    rest = b" of a row" + _done(b"SELECT 1") + IDLE
    assert busy.answer(rest) == rest
    busy.answer(COMMITTED[0])
    assert busy.reset


@pytest.mark.parametrize(
    "data", [b"HTTP/1.1 200 OK\r\n\r\nbody", b"C\xff\xff\xff\xff and more", b"x\0\0\0\0 too short"]
)
def test_what_is_not_postgresql_passes_untouched(data: bytes) -> None:
    wire = Wire(AckLoss())
    wire.up.take(b"GET / HTTP/1.1\r\n\r\n")
    assert wire.answer(data) + wire.answer(b"more") == data + b"more"
    assert not wire.reset


def test_healing_hands_on_what_was_kept() -> None:
    wire = _logged_in(AckLoss())
    assert wire.answer(_done(b"INSERT 0 1") + IDLE[:3]) == b""
    wire.down.release()
    assert b"".join(wire.out) == _done(b"INSERT 0 1") + IDLE[:3]


def test_the_end_of_the_stream_comes_after_what_was_kept() -> None:
    wire = _logged_in(AckLoss())
    wire.answer(_done(b"INSERT 0 1"))
    wire.down.take(Mark.END)
    assert b"".join(wire.out) == _done(b"INSERT 0 1")
    assert wire.marks == [Mark.END]
