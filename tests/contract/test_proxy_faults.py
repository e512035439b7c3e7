"""What every fault of the TCP proxy owes: it fires, holds for open and new connections, and heals."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from pytest_smartattend.engine.fault_journal import replayable
from pytest_smartattend.engine.faults import (
    KINDS,
    Bandwidth,
    Down,
    Fault,
    Latency,
    LimitData,
    Partition,
    ResetPeer,
    Silence,
    Slicer,
    SlowClose,
    SlowOpen,
)
from pytest_smartattend.engine.units import MILLISECOND, SECOND
from pytest_smartattend.errors import FaultNeverFired, FaultNotHealed, InjectionError
from pytest_smartattend.injectors.tcp_proxy import TcpProxy

Connect = Callable[[TcpProxy], socket.socket]
LEAST = 0.080  # seconds by which a slow fault must be felt; late is a loaded machine's right, early is a defect


@dataclass(frozen=True)
class Seen:
    """What a client saw of one exchange: how it ended, what came back, in how many reads, after how long."""

    end: str
    data: bytes
    reads: int
    seconds: float


def exchange(client: socket.socket, data: bytes = b"hello", patience: float = 10) -> Seen:
    """Send `data` to the echo and read until it is all back, or until something else happens."""
    client.settimeout(patience)
    began, back, reads, end = time.monotonic(), b"", 0, "answered"
    try:
        client.sendall(data)
        while len(back) < len(data):
            piece = client.recv(65536)
            if not piece:
                end = "closed"
                break
            back, reads = back + piece, reads + 1
    except TimeoutError:
        end = "silent"
    except ConnectionError:
        end = "reset"
    return Seen(end, back, reads, time.monotonic() - began)


def fate_of_a_new_one(proxy: TcpProxy, connect: Connect) -> str:
    try:
        return exchange(connect(proxy)).end
    except ConnectionResetError:  # a reset may be quicker than the client's own connect
        return "reset"


def slow(client: socket.socket) -> bool:
    seen = exchange(client, b"x" * 100)
    return seen.end == "answered" and seen.data == b"x" * 100 and seen.seconds >= LEAST


def sliced(client: socket.socket) -> bool:
    seen = exchange(client)
    return seen.end == "answered" and seen.reads >= 4 and seen.seconds >= LEAST


def cut_short(client: socket.socket) -> bool:
    seen = exchange(client)
    return (seen.end, seen.data) == ("closed", b"hel")


def silent(client: socket.socket) -> bool:
    return exchange(client, patience=0.15).end == "silent"


def closed(client: socket.socket) -> bool:
    seen = exchange(client)
    return (seen.end, seen.data) == ("closed", b"")


def reset(client: socket.socket) -> bool:
    return exchange(client).end == "reset"


def works_then_reset(client: socket.socket) -> bool:
    worked = exchange(client).end == "answered"
    try:
        client.recv(1)
    except ConnectionResetError:
        return worked
    return False


def ends_late(client: socket.socket) -> bool:
    worked = exchange(client)
    began = time.monotonic()
    client.shutdown(socket.SHUT_WR)
    return worked.seconds < 5 and client.recv(1) == b"" and time.monotonic() - began >= LEAST


def answered(client: socket.socket) -> bool:
    seen = exchange(client)
    return (seen.end, seen.data) == ("answered", b"hello")


@dataclass(frozen=True)
class Case:
    """A fault, what an open and a new connection see of it (None: the new one is refused), and who survives it."""

    fault: Fault
    opened: Callable[[socket.socket], bool]
    new: Callable[[socket.socket], bool] | None
    survives: bool
    fired: int = 2


CASES = [
    Case(Latency(85 * MILLISECOND, 5 * MILLISECOND), slow, slow, survives=True),
    Case(Latency(42 * MILLISECOND, direction="both"), slow, slow, survives=True),
    Case(Latency(80 * MILLISECOND, direction="up"), slow, slow, survives=True),
    Case(Bandwidth(1000), slow, slow, survives=True),
    Case(Slicer(1, 20 * MILLISECOND), sliced, sliced, survives=True),
    Case(LimitData(3), cut_short, cut_short, survives=False),
    Case(Silence(), silent, silent, survives=False),
    Case(Silence(direction="up"), silent, silent, survives=False),
    Case(Silence(direction="down"), silent, silent, survives=False),
    Case(Silence(50 * MILLISECOND), closed, closed, survives=False),
    Case(Partition(), silent, silent, survives=True),
    Case(Partition("up"), silent, silent, survives=True),
    Case(Partition("down"), silent, silent, survives=True),
    Case(ResetPeer(), reset, reset, survives=False),
    Case(ResetPeer(1 * SECOND), works_then_reset, works_then_reset, survives=False),
    Case(Down(), reset, None, survives=False, fired=1),
    Case(SlowClose(80 * MILLISECOND), ends_late, ends_late, survives=False),
    Case(SlowOpen(80 * MILLISECOND), answered, slow, survives=True, fired=1),
]
NAMES = [case.fault.describe() for case in CASES]


def test_the_cases_below_leave_no_fault_out() -> None:
    elsewhere = {"ack_loss"}  # needs PostgreSQL: test_proxy_postgres
    assert {case.fault.kind for case in CASES} | elsewhere == set(KINDS)


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_a_fault_holds_for_open_and_new_connections_and_heals(
    case: Case, echo_proxy: TcpProxy, connect: Connect
) -> None:
    opened = connect(echo_proxy)
    assert answered(opened)
    new = None
    with echo_proxy.fault(case.fault) as held:
        assert case.opened(opened), "an open connection does not feel it"
        if case.new is None:
            with pytest.raises(ConnectionRefusedError):
                connect(echo_proxy)
        elif case.new is reset:
            assert fate_of_a_new_one(echo_proxy, connect) == "reset"
        else:
            new = connect(echo_proxy)
            assert case.new(new), "a new connection does not feel it"
        assert held.fired == case.fired
    assert held.fired == case.fired
    assert answered(connect(echo_proxy)), "a connection after healing still feels it"
    for client in (opened, new):
        if case.survives and client is not None:
            if isinstance(case.fault, Partition):
                assert _what_was_held_back(client, 5) == b"hello"
            assert answered(client), "a connection that should have survived did not"


def _what_was_held_back(client: socket.socket, size: int) -> bytes:
    client.settimeout(10)
    back = b""
    while len(back) < size:
        back += client.recv(size - len(back))
    return back


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_a_fault_that_nothing_passed_fails_its_test(case: Case, echo_proxy: TcpProxy) -> None:
    with pytest.raises(FaultNeverFired, match=case.fault.kind), echo_proxy.fault(case.fault):
        pass
    with echo_proxy.fault(case.fault, may_not_fire=True) as held:
        pass
    assert held.fired == 0


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_ctrl_c_heals_and_stays_ctrl_c(case: Case, echo_proxy: TcpProxy, connect: Connect) -> None:
    with pytest.raises(KeyboardInterrupt), echo_proxy.fault(case.fault):
        signal.raise_signal(signal.SIGINT)
    assert answered(connect(echo_proxy))


def test_a_failure_inside_is_not_hidden_by_a_fault_that_never_fired(echo_proxy: TcpProxy) -> None:
    with pytest.raises(AssertionError, match="what the check says"), echo_proxy.fault(Silence()):
        raise AssertionError("what the check says")


def test_a_probability_of_zero_never_fires(echo_proxy: TcpProxy, connect: Connect) -> None:
    with pytest.raises(FaultNeverFired), echo_proxy.fault(Silence(probability=0)):
        assert answered(connect(echo_proxy))


def test_a_path_that_is_still_broken_is_not_healed(upstream_of: Any, connect: Connect) -> None:
    upstream = upstream_of()
    words = r"echo/1:reset_peer.*the upstream: Connection refused"
    with TcpProxy(upstream.address, name="echo") as proxy, ExitStack() as leaving:
        leaving.enter_context(proxy.fault(ResetPeer()))
        assert fate_of_a_new_one(proxy, connect) == "reset"
        upstream.close()
        with pytest.raises(FaultNotHealed, match=words):
            leaving.close()


def test_an_upstream_that_accepts_and_does_not_answer_is_not_healed(upstream_of: Any, connect: Connect) -> None:
    def ask(sock: socket.socket) -> None:
        sock.settimeout(0.2)
        sock.sendall(b"alive?")
        sock.recv(1)

    mute = upstream_of(lambda peer: peer.recv(1 << 20) and peer.recv(1))
    with TcpProxy(mute.address, exchange=ask) as proxy, ExitStack() as leaving:
        leaving.enter_context(proxy.fault(ResetPeer()))
        assert fate_of_a_new_one(proxy, connect) == "reset"
        with pytest.raises(FaultNotHealed, match="timed out"):
            leaving.close()


def test_faults_can_be_laid_over_each_other(echo_proxy: TcpProxy, connect: Connect) -> None:
    client = connect(echo_proxy)
    with echo_proxy.fault(Latency(80 * MILLISECOND)) as outer:
        with echo_proxy.fault(Slicer(1)) as inner:
            seen = exchange(client)
            assert seen.end == "answered"
            assert seen.seconds >= LEAST
        assert slow(client)
        with echo_proxy.fault(Down()):
            pass
    assert (outer.fault_id, inner.fault_id) == ("echo/1:latency", "echo/2:slicer")
    assert answered(connect(echo_proxy))


def test_while_one_of_two_outages_lasts_the_port_stays_closed(echo_proxy: TcpProxy, connect: Connect) -> None:
    assert answered(connect(echo_proxy))
    with echo_proxy.fault(Down()):
        with echo_proxy.fault(Down(), may_not_fire=True):
            pass
        with pytest.raises(ConnectionRefusedError):
            connect(echo_proxy)
    assert answered(connect(echo_proxy))


def test_the_port_stays_ours_while_the_service_is_down(echo_proxy: TcpProxy, connect: Connect) -> None:
    assert answered(connect(echo_proxy))
    with echo_proxy.fault(Down()), socket.socket() as thief, pytest.raises(OSError, match="in use"):
        thief.bind(echo_proxy.address)
    assert answered(connect(echo_proxy))


@pytest.mark.parametrize("probability", [0.3, 0.7])
def test_the_same_seed_gives_the_same_journal_again(probability: float, upstream_of: Any, connect: Connect) -> None:
    upstream = upstream_of()

    def journal(seed: int) -> tuple[str, list[Any]]:
        with TcpProxy(upstream.address, name="db", seed=seed) as proxy:
            before = [connect(proxy) for _ in range(5)]
            assert all(answered(client) for client in before)
            with proxy.fault(ResetPeer(probability=probability)) as held:
                fates = [exchange(client).end for client in before]
                fates += [fate_of_a_new_one(proxy, connect) for _ in range(20)]
            assert held.fired == fates.count("reset")
            return " ".join(fates), replayable(held.journal)

    first = journal(seed=42)
    assert [journal(seed=42) for _ in range(3)] == [first] * 3
    assert journal(seed=43) != first
    hit = [line for line in first[1] if line[3] == "decided" and line[4] < probability]
    assert first[0].count("reset") == len(hit)


def test_jitter_keeps_the_order_of_bytes(echo_proxy: TcpProxy, connect: Connect) -> None:
    client = connect(echo_proxy)
    sent = b"".join(b"%06d;" % number for number in range(2000))
    with echo_proxy.fault(Latency(20 * MILLISECOND, 20 * MILLISECOND, direction="both")):
        seen = exchange(client, sent)
    assert seen.data == sent


def test_the_end_of_the_stream_waits_for_delayed_bytes(upstream_of: Any, connect: Connect) -> None:
    def say_and_leave(peer: socket.socket) -> None:
        peer.recv(1)
        peer.sendall(b"last words")

    with TcpProxy(upstream_of(say_and_leave).address) as proxy:
        for fault in (Latency(50 * MILLISECOND), Bandwidth(200), Slicer(3, 5 * MILLISECOND)):
            with proxy.fault(fault):
                client = connect(proxy)
                client.sendall(b"?")
                data = b""
                while piece := client.recv(100):
                    data += piece
                assert data == b"last words"


def test_a_connection_that_lost_nothing_outlives_the_silence(echo_proxy: TcpProxy, connect: Connect) -> None:
    idle, talking = connect(echo_proxy), connect(echo_proxy)
    assert answered(idle)
    assert answered(talking)
    with echo_proxy.fault(Silence()):
        assert silent(talking)
    assert answered(idle)
    assert reset(talking)


def test_a_healed_fault_leaves_no_timer_behind(echo_proxy: TcpProxy, connect: Connect) -> None:
    client = connect(echo_proxy)
    assert answered(client)
    with echo_proxy.fault(ResetPeer(after=2 * SECOND), may_not_fire=True):
        pass
    client.settimeout(2.5)
    with pytest.raises(TimeoutError):
        client.recv(1)
    assert answered(client)


def test_a_fault_is_refused_by_name_when_the_proxy_does_not_run(upstream_of: Any) -> None:
    proxy = TcpProxy(upstream_of().address, name="db", patience=timedelta(seconds=1))
    with pytest.raises(InjectionError, match="'db' does not run"), proxy.fault(Silence(5 * SECOND)):
        pass
