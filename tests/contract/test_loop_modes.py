"""How time passes on the clock's loop in each mode."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from pytest_smartattend.evidence.stopwatch import monotonic_ns
from pytest_smartattend.loop.clock import LoopClock
from tests.contract.loop_peer import HOUR, took


@pytest.mark.asyncio
async def test_hours_pass_in_no_time_at_all_when_nothing_is_in_flight(clock: LoopClock) -> None:
    began = monotonic_ns()
    for _ in range(1000):
        await asyncio.sleep(3600)
    assert clock.elapsed == 1000 * HOUR
    assert took(began) < 60


@pytest.mark.parametrize("factor", [60, 1000])
def test_scaled_time_passes_by_itself_and_wakes_in_order(factor: int) -> None:
    clock = LoopClock(mode="scaled", factor=factor)
    woken: list[int] = []

    async def wake(number: int) -> None:
        # a quarter of a real second apart: the four begin one after the other, and a busy machine may come in between
        await asyncio.sleep(number * factor / 12)
        woken.append(number)

    async def main() -> None:
        await asyncio.gather(*(wake(number) for number in (9, 3, 12, 6)))

    began = monotonic_ns()
    clock.run(main())
    assert woken == [3, 6, 9, 12]
    assert timedelta(seconds=factor) <= clock.elapsed
    assert took(began) >= 1


def test_real_time_is_real() -> None:
    clock = LoopClock(mode="real")
    began = monotonic_ns()
    clock.run(asyncio.sleep(0.1))
    assert took(began) >= 0.1
    assert clock.elapsed >= timedelta(seconds=0.1)
