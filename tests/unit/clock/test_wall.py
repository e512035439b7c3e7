"""The bridge to `datetime` and `time`."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from datetime import UTC, timedelta
from importlib.util import find_spec
from typing import Literal

import freezegun
import pytest
from freezegun import api

from pytest_smartattend.errors import ClockError
from pytest_smartattend.loop.clock import LoopClock

Through = Literal["freezegun", "time-machine"]
BOTH = [
    "freezegun",
    pytest.param(
        "time-machine", marks=pytest.mark.skipif(not find_spec("time_machine"), reason="time-machine is not installed")
    ),
]


def test_the_names_of_freezegun_that_we_lean_on_are_still_there() -> None:
    assert isinstance(api.freeze_factories, list)
    with freezegun.freeze_time("2026-03-02") as factory:
        assert api.freeze_factories[-1] is factory
    assert freezegun.freeze_time("2026-03-02").undo_changes == []
    assert api.real_monotonic_ns is time.monotonic_ns


@pytest.mark.parametrize("through", BOTH)
def test_the_calendar_follows_and_the_stopwatches_do_not(through: Through) -> None:
    clock = LoopClock()
    before = time.monotonic()
    with clock.wall(through):
        for _ in range(3):
            assert dt.datetime.now(UTC) == clock.now()
            assert dt.datetime.now(UTC).replace(tzinfo=None) == clock.now().replace(tzinfo=None)
            assert time.time() == clock.now().timestamp()
            assert abs(time.time_ns() - clock.now_ns()) < 1000  # freezegun goes through a float
            assert dt.date.today() == clock.now().date()  # noqa: DTZ011
            clock.advance(timedelta(days=400, microseconds=3))
        assert before <= time.monotonic() < before + 60
        assert time.perf_counter_ns() != time.perf_counter_ns()
    assert abs(time.time() - time.clock_gettime(time.CLOCK_REALTIME)) < 60


@pytest.mark.parametrize("through", BOTH)
def test_asyncio_sleeps_under_the_bridge_and_wakes_at_the_calendars_time(through: Through) -> None:
    clock = LoopClock()

    async def main() -> list[dt.datetime]:
        seen = []
        for _ in range(3):
            await asyncio.sleep(3600)
            seen.append(dt.datetime.now(UTC))
        return seen

    with clock.wall(through):
        assert clock.run(main()) == [clock.start + timedelta(hours=hours) for hours in (1, 2, 3)]


def test_a_scaled_clock_is_followed_by_freezegun_and_refused_for_time_machine() -> None:
    clock = LoopClock(mode="scaled", factor=1000)
    with clock.wall():
        low = clock.now()
        told = dt.datetime.now(UTC)
        assert low <= told <= clock.now()
    if find_spec("time_machine"):
        with pytest.raises(ClockError, match=r"clock\.wall\('freezegun'\)"), clock.wall("time-machine"):
            pass


@pytest.mark.parametrize("through", BOTH)
def test_a_calendar_that_somebody_else_holds_is_refused_with_advice(through: Through) -> None:
    clock = LoopClock()
    with (
        freezegun.freeze_time("2030-01-01"),
        pytest.raises(ClockError, match="Leave your freeze_time out"),
        clock.wall(through),
    ):
        pass
    with (
        clock.wall(through),
        pytest.raises(ClockError, match=r"Leave the first `with clock\.wall\(\)`"),
        clock.wall(),
    ):
        pass
    assert api.freeze_factories == []


def test_a_calendar_that_time_machine_holds_is_refused_with_advice() -> None:
    time_machine = pytest.importorskip("time_machine")
    with (
        time_machine.travel("2030-01-01"),
        pytest.raises(ClockError, match="Leave your travel out"),
        LoopClock().wall(),
    ):
        pass


def test_a_freeze_within_the_bridge_is_found_at_the_next_move() -> None:
    clock = LoopClock()
    with clock.wall(), freezegun.freeze_time("2030-01-01"), pytest.raises(ClockError, match="this clock moves"):
        clock.advance(timedelta(hours=1))


def test_an_unknown_bridge_is_an_error() -> None:
    with pytest.raises(ClockError, match="freezegun or time-machine"):
        LoopClock().wall("libfaketime")  # type: ignore[arg-type]
