"""The clock's loop against real sockets, threads and processes."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta

import httpx
import pytest

from pytest_smartattend.errors import ClockDeadlock, ClockError, ClockStall
from pytest_smartattend.evidence.stopwatch import monotonic_ns
from pytest_smartattend.loop.clock import LoopClock

HOUR = timedelta(hours=1)
SECOND_NS = 1_000_000_000


@contextmanager
def peer(*pauses: float) -> Iterator[tuple[str, int]]:
    """A server in a thread: answers each message in two pieces, each after the next pause; silent when none is left."""
    listening = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()
    accepted: list[socket.socket] = []

    def serve() -> None:
        connection, _ = listening.accept()
        accepted.append(connection)
        with closing(connection), suppress(OSError):
            left = list(pauses)
            while connection.recv(64):
                for piece in (b"pi", b"ng\n"):
                    if not left:
                        break
                    ended.wait(left.pop(0))
                    connection.sendall(piece)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listening.getsockname()
    finally:
        ended.set()
        for connection in accepted:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        # wakes the accept of a test that never connected
        with closing(socket.socket()) as nudge:
            nudge.connect_ex(listening.getsockname())
        thread.join()
        listening.close()


def took(began: int) -> float:
    return (monotonic_ns() - began) / SECOND_NS


@pytest.mark.asyncio
async def test_hours_pass_in_no_time_at_all_when_nothing_is_in_flight(clock: LoopClock) -> None:
    began = monotonic_ns()
    for _ in range(1000):
        await asyncio.sleep(3600)
    assert clock.elapsed == 1000 * HOUR
    assert took(began) < 60


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
            async with asyncio.timeout(0.3):
                await asyncio.to_thread(threading.Event().wait, 0.1)

    # Together they take longer than each one's timeout, with never a moment at which nothing is in flight.
    await answers(count=6)
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


@pytest.mark.asyncio
async def test_a_protocol_of_ones_own_is_waited_for_until_its_answer_begins_and_a_little_longer(
    clock: LoopClock,
) -> None:
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


@pytest.mark.asyncio
async def test_a_connection_that_stops_and_reads_again_thousands_of_times_is_as_it_was(clock: LoopClock) -> None:
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


@pytest.mark.asyncio
async def test_work_in_an_executor_is_waited_for(clock: LoopClock) -> None:
    sleeping = asyncio.create_task(asyncio.sleep(3600))
    async with asyncio.timeout(5):
        await asyncio.to_thread(threading.Event().wait, 0.2)
    assert clock.elapsed == timedelta(0)
    await sleeping


@pytest.mark.asyncio
async def test_a_child_process_is_waited_for(clock: LoopClock) -> None:
    slow = "import time; time.sleep(0.3); print('done')"
    async with asyncio.timeout(20):
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", slow, stdout=asyncio.subprocess.PIPE)
        assert (await child.communicate())[0] == b"done\n"
    assert child.returncode == 0
    assert clock.elapsed == timedelta(0)


@pytest.mark.asyncio
async def test_a_child_process_that_serves_is_idle_when_it_is_declared_so(clock: LoopClock) -> None:
    child = await asyncio.create_subprocess_exec("cat", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    with clock.passive(child):
        await asyncio.sleep(3600)
    assert clock.elapsed == HOUR
    assert (await child.communicate(b"mew"))[0] == b"mew"


@pytest.mark.asyncio
async def test_declared_work_in_another_thread_is_waited_for(clock: LoopClock) -> None:
    entered, ended = threading.Event(), threading.Event()

    def work() -> None:
        with clock.busy("a thread of the platform's own"):
            entered.set()
            ended.wait(0.3)

    thread = threading.Thread(target=work)
    thread.start()
    entered.wait()
    began = monotonic_ns()
    await asyncio.sleep(3600)
    assert 0.2 <= took(began) < 20  # woken by its end, not by the guard's
    assert clock.elapsed == HOUR
    thread.join()


class Elsewhere:
    """A process that answers when asked what it is doing."""

    def __init__(self, polls: int) -> None:
        self.polls = polls

    def in_flight(self) -> list[str]:
        self.polls -= 1
        return ["a request in the second platform"] if self.polls > 0 else []


@pytest.mark.asyncio
async def test_an_attached_thing_is_asked_until_it_is_quiet(clock: LoopClock) -> None:
    elsewhere = Elsewhere(polls=20)
    with clock.attach(elsewhere):
        await asyncio.sleep(3600)
    assert elsewhere.polls <= 0
    assert clock.elapsed == HOUR


def test_an_attached_thing_that_never_gets_quiet_is_named() -> None:
    clock = LoopClock(guard=timedelta(seconds=0.3))
    with pytest.raises(ClockStall, match="a request in the second platform"), clock.attach(Elsewhere(polls=1 << 40)):
        clock.run(asyncio.sleep(3600))


def test_a_deadlock_says_who_waits_for_what() -> None:
    async def gate_keeper(gate: asyncio.Event) -> None:
        await gate.wait()

    async def main() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(gate_keeper(asyncio.Event()), name="keeper of the gate")

    with pytest.raises(ClockDeadlock) as caught:
        LoopClock().run(main())
    said = str(caught.value)
    assert "keeper of the gate" in said
    assert "in test_a_deadlock_says_who_waits_for_what.<locals>.gate_keeper" in said
    assert "in Event.wait" in said
    assert "clock.busy(" in said


def test_a_deadlock_beside_a_listening_socket_names_the_socket() -> None:
    async def main() -> None:
        async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0):
            await asyncio.Event().wait()

    with pytest.raises(
        ClockDeadlock, match=r"only waiting to be spoken to:\n  - socket \d+ \(127\.0\.0\.1:\d+ to nobody\)"
    ):
        LoopClock().run(main())


def test_work_that_never_ends_is_a_stall_that_names_it() -> None:
    async def main(clock: LoopClock) -> None:
        with clock.busy("a lock that nobody lets go"):
            await asyncio.Event().wait()

    clock = LoopClock(guard=timedelta(seconds=0.3))
    with pytest.raises(ClockStall, match=r"(?s)0\.3 s.*a lock that nobody lets go.*Task-.*in Event\.wait"):
        clock.run(main(clock))


def test_a_coroutine_that_waits_by_spinning_is_a_stall_that_names_it() -> None:
    clock = LoopClock(guard=timedelta(seconds=0.3))

    async def impatient() -> None:
        while clock.elapsed < HOUR:  # noqa: ASYNC110
            await asyncio.sleep(0)

    with pytest.raises(ClockStall, match=r"(?s)without ever waiting.*in test_a_cor.*impatient"):
        clock.run(impatient())


def test_after_a_deadlock_the_tasks_are_cancelled_and_the_clock_can_be_used_again() -> None:
    cleaned = []
    clock = LoopClock()

    async def main() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(60)
            cleaned.append(clock.elapsed)

    with pytest.raises(ClockDeadlock):
        clock.run(main())
    assert cleaned == [timedelta(seconds=60)]
    clock.run(asyncio.sleep(60))
    assert clock.elapsed == timedelta(seconds=120)


@pytest.mark.asyncio
async def test_moving_the_clock_by_hand_under_its_loop_is_refused(clock: LoopClock) -> None:
    with pytest.raises(ClockError, match=r"await clock\.sleep"):
        clock.advance(HOUR)
    with pytest.raises(ClockError, match=r"await clock\.sleep"):
        clock.run_until(clock.start + HOUR)


def test_a_loop_of_another_make_is_refused_with_advice() -> None:
    with pytest.raises(ClockError, match=r"asyncio\.unix_events.*does not move.*uvloop"):
        asyncio.run(LoopClock().sleep(HOUR))


@pytest.mark.asyncio
async def test_a_second_loop_on_one_clock_is_refused(clock: LoopClock) -> None:
    with pytest.raises(ClockError, match="second clock"):
        clock.new_loop()
    with pytest.raises(ClockError, match="Await the coroutine"):
        clock.run(asyncio.sleep(1))


@pytest.mark.parametrize("factor", [60, 1000])
def test_scaled_time_passes_by_itself_and_wakes_in_order(factor: int) -> None:
    clock = LoopClock(mode="scaled", factor=factor)
    woken: list[int] = []

    async def wake(number: int) -> None:
        await asyncio.sleep(number)
        woken.append(number)

    async def main() -> None:
        await asyncio.gather(*(wake(number) for number in (9, 3, 12, 6)))

    began = monotonic_ns()
    clock.run(main())
    assert woken == [3, 6, 9, 12]
    assert timedelta(seconds=12) <= clock.elapsed
    assert took(began) >= 12 / factor


def test_real_time_is_real() -> None:
    clock = LoopClock(mode="real")
    began = monotonic_ns()
    clock.run(asyncio.sleep(0.1))
    assert took(began) >= 0.1
    assert clock.elapsed >= timedelta(seconds=0.1)
