"""The engine's clock, moved by hand."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_smartattend.engine.clock import EPOCH, VirtualClock, nanoseconds
from pytest_smartattend.engine.deadlines import Ties
from pytest_smartattend.errors import ClockError

HOUR = timedelta(hours=1)
DELAYS = st.lists(st.integers(0, 50), min_size=1, max_size=40)


class Wall:
    """A real clock that a test winds."""

    def __init__(self) -> None:
        self.ns = 7_000

    def __call__(self) -> int:
        return self.ns


def test_it_starts_at_the_printed_epoch_and_stands_still() -> None:
    clock = VirtualClock()
    assert clock.now() == EPOCH == datetime(2026, 3, 2, 8, tzinfo=UTC)
    assert clock.now_ns() == 1_772_438_400_000_000_000
    assert clock.elapsed == timedelta(0)


def test_a_start_in_another_time_zone_is_the_same_instant() -> None:
    clock = VirtualClock(datetime(2026, 3, 2, 10, tzinfo=timezone(timedelta(hours=2))))
    assert clock.now() == EPOCH
    assert clock.now().tzinfo is UTC


@pytest.mark.parametrize(
    ("make", "advice"),
    [
        (lambda: VirtualClock(datetime(2026, 3, 2, 8)), "aware datetime"),  # noqa: DTZ001
        (lambda: VirtualClock(mode="scaled", factor=0, real=Wall()), "above zero"),
        (lambda: VirtualClock(mode="scaled", factor=-60, real=Wall()), "above zero"),
        (lambda: VirtualClock(mode="scaled", factor=float("inf"), real=Wall()), "above zero"),
        (lambda: VirtualClock(mode="scaled", factor=float("nan"), real=Wall()), "above zero"),
        (lambda: VirtualClock(factor=60), "mode='scaled'"),
        (lambda: VirtualClock(mode="real"), "real=monotonic_ns"),
        (lambda: VirtualClock(mode="fast"), "discrete, scaled or real"),  # type: ignore[arg-type]
        (lambda: VirtualClock(ties="any"), "seeded or as-set"),  # type: ignore[arg-type]
        (lambda: VirtualClock().advance(-HOUR), "zero or more"),
        (lambda: VirtualClock().run_until(EPOCH - HOUR), "later moment"),
        (lambda: VirtualClock().run_until(datetime(2026, 3, 2, 9)), "aware datetime"),  # noqa: DTZ001
        (lambda: VirtualClock(mode="real", real=Wall()).advance(HOUR), "moves by itself"),
        (lambda: VirtualClock().node("n1", drift_ppm=-1_000_000), "more than -1,000,000"),
        (lambda: VirtualClock().node("n1", drift_ppm=float("nan")), "more than -1,000,000"),
    ],
)
def test_what_a_clock_cannot_do_is_an_error_that_says_what_to_do(make: Callable[[], Any], advice: str) -> None:
    with pytest.raises(ClockError, match=advice):
        make()


def test_each_deadline_is_called_at_its_own_instant() -> None:
    clock = VirtualClock()
    seen: list[datetime] = []
    for hours in (3, 1, 2, 5):
        clock.call_at(nanoseconds(hours * HOUR), lambda: seen.append(clock.now()))
    assert clock.next_deadline() == EPOCH + HOUR
    clock.run_until(EPOCH + 4 * HOUR)
    assert seen == [EPOCH + HOUR, EPOCH + 2 * HOUR, EPOCH + 3 * HOUR]
    assert clock.now() == EPOCH + 4 * HOUR
    assert clock.next_deadline() == EPOCH + 5 * HOUR
    clock.advance(HOUR)
    assert clock.next_deadline() is None


def test_a_callback_may_set_a_deadline_but_not_move_the_clock() -> None:
    clock = VirtualClock()
    refused: list[str] = []
    later: list[timedelta] = []

    def callback() -> None:
        clock.call_at(nanoseconds(2 * HOUR), lambda: later.append(clock.elapsed))
        with pytest.raises(ClockError) as caught:
            clock.advance(HOUR)
        refused.append(str(caught.value))

    clock.call_at(nanoseconds(HOUR), callback)
    clock.advance(3 * HOUR)
    assert "Set a deadline there instead" in refused[0]
    assert later == [2 * HOUR]


def test_followers_hear_of_a_move_before_anything_that_is_due_does() -> None:
    clock = VirtualClock()
    order: list[str] = []
    clock.call_at(nanoseconds(HOUR), lambda: order.append("due"))
    with clock.following(lambda: order.append(f"moved to {clock.elapsed}")):
        clock.advance(HOUR)
    clock.advance(HOUR)
    assert order == ["moved to 1:00:00", "due"]


def order_of(seed: int, count: int = 8, ties: Ties = "seeded") -> list[int]:
    clock = VirtualClock(seed=seed, ties=ties)
    seen: list[int] = []
    for number in range(count):
        clock.call_at(1000, lambda number=number: seen.append(number))  # type: ignore[misc]
    clock.advance(HOUR)
    return seen


def test_ties_are_ordered_by_the_seed_and_every_order_comes_up() -> None:
    assert order_of(7) == order_of(7)
    assert sorted(order_of(7)) == list(range(8))
    assert len({tuple(order_of(seed, 3)) for seed in range(100)}) == 6
    assert order_of(7, ties="as-set") == list(range(8))


def test_the_order_of_a_seed_is_known_and_never_changes() -> None:
    # a report's seed is worth what it gives again
    assert order_of(20260302) == [1, 4, 3, 7, 2, 6, 5, 0]


def test_looking_at_the_next_deadline_does_not_change_the_order() -> None:
    def order(*, look: bool) -> list[int]:
        clock = VirtualClock(seed=7)
        seen: list[int] = []
        for number in range(8):
            clock.call_at(1000, lambda number=number: seen.append(number))  # type: ignore[misc]
            if look:
                clock.next_deadline()
        clock.advance(HOUR)
        return seen

    assert order(look=True) == order(look=False)


def test_a_higher_rank_runs_last_within_its_instant_whenever_it_was_set() -> None:
    clock = VirtualClock(seed=3)
    seen: list[str] = []

    def first() -> None:
        seen.append("first")
        clock.call_at(1000, lambda: seen.append("set in the instant itself"))

    clock.call_at(1000, lambda: seen.append("last"), rank=1)
    clock.call_at(1000, first)
    clock.call_at(1001, lambda: seen.append("next instant"))
    clock.advance(HOUR)
    assert seen == ["first", "set in the instant itself", "last", "next instant"]


def test_a_cancelled_deadline_is_never_called_and_ten_thousand_leave_nothing_behind() -> None:
    clock = VirtualClock()
    for _ in range(10_000):
        clock.cancel(clock.call_at(nanoseconds(HOUR), lambda: pytest.fail("it was cancelled")))
    assert len(clock._deadlines._heap) < 1000
    assert clock.next_deadline() is None
    clock.advance(2 * HOUR)


def test_a_scaled_clock_follows_the_real_one_exactly() -> None:
    wall = Wall()
    clock = VirtualClock(mode="scaled", factor=60, real=wall)
    wall.ns += 1_000_000_001
    assert clock.elapsed_ns() == 60_000_000_060
    wall.ns -= 5
    assert clock.elapsed_ns() == 60_000_000_060


def test_busy_work_is_counted_and_forgotten_also_after_an_error() -> None:
    clock = VirtualClock()
    released: list[int] = []
    clock.on_release = lambda: released.append(1)
    with clock.busy("outer"), suppress(ZeroDivisionError), clock.busy("inner"):
        assert clock.declared() == ["outer", "inner"]
        raise ZeroDivisionError
    assert clock.declared() == []
    assert not clock.awaits_work()
    assert len(released) == 2


def test_a_skewed_node_differs_by_its_skew_and_a_drifting_one_by_its_drift() -> None:
    clock = VirtualClock()
    ahead = clock.node("ahead", skew=timedelta(milliseconds=250))
    behind = clock.node("behind", skew=timedelta(seconds=-5))
    fast = clock.node("fast", drift_ppm=50)
    clock.advance(timedelta(days=1))
    assert ahead.now() - clock.now() == timedelta(milliseconds=250)
    assert clock.now() - behind.now() == timedelta(seconds=5)
    assert fast.now() - clock.now() == timedelta(seconds=4.32)
    assert clock.node("ahead", skew=timedelta(0)) is ahead


def test_a_node_set_back_stands_still_until_it_has_caught_up() -> None:
    clock = VirtualClock()
    node = clock.node("n1", skew=HOUR)
    before = node.now()
    clock.node("n1", skew=-HOUR)
    assert node.now() == before
    clock.advance(timedelta(hours=1.5))
    assert node.now() == before
    clock.advance(HOUR)
    assert node.now() == EPOCH + timedelta(hours=1.5)


@given(DELAYS, st.integers(0, 2**64 - 1))
def test_whatever_is_set_falls_due_in_the_order_of_its_deadlines_and_once(delays: list[int], seed: int) -> None:
    clock = VirtualClock(seed=seed)
    seen: list[tuple[int, int]] = []
    for delay in delays:
        clock.call_at(delay, lambda delay=delay: seen.append((delay, clock.elapsed_ns())))  # type: ignore[misc]
    clock.advance(HOUR)
    assert sorted(delay for delay, _ in seen) == sorted(delays)
    assert all(delay == at for delay, at in seen)
    assert all(one[1] <= other[1] for one, other in pairwise(seen))


@given(DELAYS, st.sets(st.integers(0, 39)), st.integers(0, 99))
def test_what_was_cancelled_never_falls_due_and_moves_no_other(
    delays: list[int], cancelled: set[int], seed: int
) -> None:
    clock = VirtualClock(seed=seed)
    seen: list[int] = []
    deadlines = [
        clock.call_at(delay, lambda number=number: seen.append(number))  # type: ignore[misc]
        for number, delay in enumerate(delays)
    ]
    for number in cancelled:
        if number < len(deadlines):
            clock.cancel(deadlines[number])
    clock.advance(HOUR)
    assert sorted(seen) == sorted(set(range(len(delays))) - cancelled)
    assert [delays[number] for number in seen] == sorted(delays[number] for number in seen)


@given(st.lists(st.tuples(st.integers(-(10**6), 10**6), st.integers(0, 10**9)), max_size=30))
def test_no_node_ever_runs_backwards(changes: list[tuple[int, int]]) -> None:
    clock = VirtualClock()
    node = clock.node("n1")
    latest = node.now_ns()
    for skew, passed in changes:
        clock.node("n1", skew=timedelta(microseconds=skew), drift_ppm=skew / 2)
        assert node.now_ns() >= latest
        latest = node.now_ns()
        clock.advance(timedelta(microseconds=passed // 1000))
