"""The clock's loop and sockets: who waits for an answer is waited for, and who only may be spoken to is not."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import closing
from datetime import timedelta

import httpx
import pytest

from pytest_smartattend.evidence.stopwatch import monotonic_ns
from pytest_smartattend.loop.clock import LoopClock
from pytest_smartattend.loop.driven import ClockLoop
from tests.contract.loop_peer import HOUR, peer, took


@pytest.mark.asyncio
async def test_a_stream_that_somebody_reads_is_waited_for_and_an_idle_one_is_not(clock: LoopClock) -> None:
    with peer(0.2, 0.2) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"?")
        async with asyncio.timeout(5):
            assert await reader.readline() == b"ping\n"
        assert clock.elapsed == timedelta(0)
        await asyncio.sleep(3600)  # nobody reads now, and the connection stays open
        assert clock.elapsed == HOUR
        writer.close()
        await writer.wait_closed()


@pytest.mark.asyncio
async def test_a_silent_peer_runs_into_the_timeout_after_as_much_real_time(clock: LoopClock) -> None:
    with peer() as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"?")
        began = monotonic_ns()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.4):
                await reader.readline()
        assert took(began) >= 0.4
        assert clock.elapsed == timedelta(seconds=0.4)
        writer.close()
        await writer.wait_closed()


@pytest.mark.asyncio
async def test_a_timer_set_during_a_long_flight_is_counted_from_when_it_was_set(clock: LoopClock) -> None:
    async def answers(*, count: int) -> None:
        for _ in range(count):
            async with asyncio.timeout(3):
                await asyncio.to_thread(threading.Event().wait, 0.5)

    # Together they take longer than each one's timeout, with never a moment at which nothing is in flight.
    await answers(count=7)
    assert clock.elapsed == timedelta(0)


class Chatter(asyncio.Protocol):
    """A protocol of the user's own: nobody can tell from outside whether an answer is complete."""

    def __init__(self, ended: asyncio.Future[bytes]) -> None:
        self.ended = ended
        self.heard = b""

    def data_received(self, data: bytes) -> None:
        self.heard += data
        if self.heard.endswith(b"\n") and not self.ended.done():
            self.ended.set_result(self.heard)


def patient(clock: LoopClock) -> asyncio.AbstractEventLoop:
    """A loop on which the pieces of an answer may be a second apart: on a busy machine its own 50 ms pass between two."""
    return ClockLoop(clock, settle=timedelta(seconds=1))


async def ask_by_a_protocol_of_ones_own(clock: LoopClock) -> None:
    loop = asyncio.get_running_loop()
    with peer(0.3, 0.01, 0.3, 0.01) as address:
        first: asyncio.Future[bytes] = loop.create_future()
        transport, protocol = await loop.create_connection(lambda: Chatter(first), *address)
        for _ in range(2):
            protocol.ended, protocol.heard = loop.create_future(), b""
            transport.write(b"?")
            async with asyncio.timeout(5):
                assert await protocol.ended == b"ping\n"
        assert clock.elapsed == timedelta(0)
        await asyncio.sleep(3600)  # kept alive, idle
        assert clock.elapsed == HOUR
        transport.close()


async def stop_and_read_again_thousands_of_times() -> None:
    loop = asyncio.get_running_loop()
    with peer(0, 0) as address:
        ended: asyncio.Future[bytes] = loop.create_future()
        transport, _ = await loop.create_connection(lambda: Chatter(ended), *address)
        for _ in range(5000):
            transport.pause_reading()
            transport.resume_reading()
        transport.write(b"?")
        assert await ended == b"ping\n"
        transport.close()


def test_a_protocol_of_ones_own_is_waited_for_until_its_answer_begins_and_a_little_longer() -> None:
    clock = LoopClock()
    with asyncio.Runner(loop_factory=lambda: patient(clock)) as runner:
        runner.run(ask_by_a_protocol_of_ones_own(clock))


def test_a_connection_that_stops_and_reads_again_thousands_of_times_is_as_it_was() -> None:
    with asyncio.Runner(loop_factory=lambda: patient(LoopClock())) as runner:
        runner.run(stop_and_read_again_thousands_of_times())


@pytest.mark.asyncio
async def test_a_server_that_waits_for_requests_does_not_hold_time_up(clock: LoopClock) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            await asyncio.sleep(60)  # a slow handler, on the clock
            writer.write(b"pong\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await asyncio.sleep(3600)
        assert clock.elapsed == HOUR
        writer.write(b"ping\n")
        with clock.passive(writer):  # the peer is ours, and sleeps on this very clock
            assert await reader.readline() == b"pong\n"
        assert clock.elapsed == HOUR + timedelta(seconds=60)
        writer.close()
        await writer.wait_closed()


@pytest.mark.asyncio
async def test_httpx_is_waited_for_also_in_the_middle_of_an_answer_and_its_idle_connection_is_not(
    clock: LoopClock,
) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    pause = threading.Event()

    def serve() -> None:
        connection, _ = listening.accept()
        with closing(connection):
            while connection.recv(4096):
                for piece in (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n", b"po", b"ng"):
                    pause.wait(0.2)
                    connection.sendall(piece)

    thread = threading.Thread(target=serve)
    thread.start()
    async with httpx.AsyncClient(timeout=5) as client:
        for hour in range(2):
            answer = await client.get("http://127.0.0.1:{}".format(*listening.getsockname()[1:]))
            assert answer.text == "pong"
            assert clock.elapsed == hour * HOUR
            await asyncio.sleep(3600)
    thread.join()
    listening.close()


@pytest.mark.asyncio
async def test_a_datagram_server_does_not_hold_time_up_and_its_client_is_waited_for(clock: LoopClock) -> None:
    loop = asyncio.get_running_loop()

    class Server(asyncio.DatagramProtocol):
        transport: asyncio.DatagramTransport

        def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
            self.transport = transport

        def datagram_received(self, data: bytes, addr: object) -> None:
            self.transport.sendto(data, addr)  # type: ignore[arg-type]

    class Client(asyncio.DatagramProtocol):
        def __init__(self) -> None:
            self.heard: asyncio.Future[bytes] = loop.create_future()

        def datagram_received(self, data: bytes, addr: object) -> None:
            self.heard.set_result(data)

    server, _ = await loop.create_datagram_endpoint(Server, local_addr=("127.0.0.1", 0))
    await asyncio.sleep(3600)
    client, protocol = await loop.create_datagram_endpoint(Client, remote_addr=server.get_extra_info("sockname"))
    client.sendto(b"ping")
    async with asyncio.timeout(5):
        assert await protocol.heard == b"ping"
    assert clock.elapsed == HOUR
    for end in (client, server):
        end.close()
    await asyncio.sleep(3600)
    assert clock.elapsed == 2 * HOUR
