"""The TCP proxy without a fault: what is sent arrives, to the last byte, and ends as it would without a proxy."""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_smartattend.errors import InjectionError
from pytest_smartattend.injectors.tcp_proxy import TcpProxy

Connect = Callable[[TcpProxy], socket.socket]
MEGABYTE = 1024 * 1024


def _read_all(sock: socket.socket) -> tuple[int, bytes]:
    digest, size = hashlib.sha256(), 0
    while piece := sock.recv(1 << 18):
        digest.update(piece)
        size += len(piece)
    return size, digest.digest()


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline, "it did not come about within 10 s"
        time.sleep(0.005)


def test_64_megabytes_come_back_byte_for_byte(echo_proxy: TcpProxy, connect: Connect) -> None:
    data = hashlib.shake_256(b"64 MB").digest(MEGABYTE) * 64
    client = connect(echo_proxy)

    def send() -> None:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    assert _read_all(client) == (len(data), hashlib.sha256(data).digest())
    sender.join()
    _until(lambda: echo_proxy.connections() == 0)


def test_a_unix_socket_can_be_the_upstream(upstream_of: Any, connect: Connect, tmp_path: Path) -> None:
    with TcpProxy(upstream_of(path=tmp_path / "s").address) as proxy:
        client = connect(proxy)
        client.sendall(b"hello" * 100_000)
        client.shutdown(socket.SHUT_WR)
        assert _read_all(client)[0] == 500_000


def test_the_client_may_end_first_and_still_be_answered(upstream_of: Any, connect: Connect) -> None:
    def answer_at_the_end(peer: socket.socket) -> None:
        size, _ = _read_all(peer)
        peer.sendall(b"%d" % size)

    with TcpProxy(upstream_of(answer_at_the_end).address) as proxy:
        client = connect(proxy)
        client.sendall(b"x" * 1000)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b"1000"
        assert client.recv(100) == b""


def test_the_upstream_may_end_first_and_still_be_told(upstream_of: Any, connect: Connect) -> None:
    told: list[int] = []

    def end_and_listen(peer: socket.socket) -> None:
        peer.sendall(b"bye")
        peer.shutdown(socket.SHUT_WR)
        told.append(_read_all(peer)[0])

    with TcpProxy(upstream_of(end_and_listen).address) as proxy:
        client = connect(proxy)
        assert client.recv(100) == b"bye"
        assert client.recv(100) == b""
        client.sendall(b"x" * 1000)
        client.close()
        _until(lambda: told == [1000])
        _until(lambda: proxy.connections() == 0)


def test_a_reset_by_the_client_reaches_the_upstream(upstream_of: Any, connect: Connect) -> None:
    upstream = upstream_of()
    with TcpProxy(upstream.address) as proxy:
        client = connect(proxy)
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        _until(lambda: [type(problem) for problem in upstream.errors] == [ConnectionResetError])
        _until(lambda: proxy.connections() == 0)


def test_a_reset_by_the_upstream_reaches_the_client(upstream_of: Any, connect: Connect) -> None:
    def slam(peer: socket.socket) -> None:
        peer.recv(1)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with TcpProxy(upstream_of(slam).address) as proxy:
        client = connect(proxy)
        client.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_an_upstream_that_refuses_resets_the_client(connect: Connect) -> None:
    with socket.socket() as taken:  # nobody listens there, and nobody else is given the port meanwhile
        taken.bind(("127.0.0.1", 0))
        with TcpProxy(taken.getsockname()) as proxy, pytest.raises(ConnectionResetError):
            connect(proxy).recv(1)


def test_a_client_that_does_not_read_stops_the_sender_and_fills_no_memory(upstream_of: Any, connect: Connect) -> None:
    sent: list[int] = []

    def pour(peer: socket.socket) -> None:
        peer.settimeout(1)
        while True:
            try:
                sent.append(peer.send(b"x" * 65536))
            except TimeoutError:
                break
        peer.settimeout(None)

    with TcpProxy(upstream_of(pour).address) as proxy:
        client = connect(proxy)
        before = _resident(proxy)
        stuck = -1
        while stuck != len(sent):
            stuck = len(sent)
            time.sleep(1.2)
        assert _resident(proxy) - before < 16 * MEGABYTE
        assert _read_all(client)[0] == sum(sent)


def _resident(proxy: TcpProxy) -> int:
    statm = Path(f"/proc/{proxy.pid}/statm")
    if not statm.exists():
        pytest.skip("this system has no /proc to read memory from")
    return int(statm.read_text().split()[1]) * 4096


def test_200_connections_at_once_each_get_their_own_bytes(echo_proxy: TcpProxy, connect: Connect) -> None:
    clients = [connect(echo_proxy) for _ in range(200)]
    for round_ in range(5):
        for number, client in enumerate(clients):
            client.sendall(b"%d/%d;" % (round_, number) * 50)
    _until(lambda: echo_proxy.connections() == 200)
    for client in clients:
        client.shutdown(socket.SHUT_WR)
    for number, client in enumerate(clients):
        sent = b"".join(b"%d/%d;" % (round_, number) * 50 for round_ in range(5))
        assert _read_all(client) == (len(sent), hashlib.sha256(sent).digest())
    _until(lambda: echo_proxy.connections() == 0)


def test_a_name_that_does_not_resolve_is_said_with_its_path() -> None:
    with pytest.raises(InjectionError, match=r"'database' cannot be resolved: no-such-host.invalid:5432"):
        TcpProxy(("no-such-host.invalid", 5432), name="database").start()
