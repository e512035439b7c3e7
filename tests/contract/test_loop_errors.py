"""What the clock's loop says where time cannot move, and what it refuses."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from pytest_smartattend.errors import ClockDeadlock, ClockError, ClockStall
from pytest_smartattend.loop.clock import LoopClock
from tests.contract.loop_peer import HOUR


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
