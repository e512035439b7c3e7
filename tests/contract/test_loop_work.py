"""The clock's loop and work that no socket shows: executors, child processes, threads, attached things."""

from __future__ import annotations

import asyncio
import sys
import threading
from datetime import timedelta

import pytest

from pytest_smartattend.errors import ClockStall
from pytest_smartattend.evidence.stopwatch import monotonic_ns
from pytest_smartattend.loop.clock import LoopClock
from tests.contract.loop_peer import HOUR, took


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
    began = monotonic_ns()  # before the work does, or a busy machine takes away from how long that is waited for
    thread.start()
    entered.wait()
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
