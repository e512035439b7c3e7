"""Clocks that are wrong while a fault holds, and right again after it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pytest_smartattend.engine.faults import KINDS, from_json
from pytest_smartattend.engine.node_faults import NODE_KINDS, Drift, Pause, Skew
from pytest_smartattend.errors import FaultNeverFired, UsageError
from pytest_smartattend.injectors.node_clocks import NodeClocks

MINUTE = timedelta(minutes=1)


class Hand:
    """A clock that stands where it was put."""

    def __init__(self) -> None:
        self.at = datetime(2026, 3, 2, 8, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


def test_a_skew_is_that_of_one_machine_and_goes_with_the_fault() -> None:
    clock = Hand()
    clocks = NodeClocks(clock.now)
    for off in (5 * MINUTE, -5 * MINUTE):
        with clocks.fault(Skew(off, node="a")) as held:
            assert clocks.now("a") == clock.at + off
            assert clocks.now("b") == clock.at
        assert clocks.now("a") == clock.at
        assert held.fired == 1


def test_a_drift_begins_where_it_is_laid_and_adds_to_a_skew() -> None:
    clock = Hand()
    clocks = NodeClocks(clock.now)
    clock.at += 10 * MINUTE
    with clocks.fault(Drift(-100_000, node="a")), clocks.fault(Skew(MINUTE, node="a")):
        assert clocks.now("a") == clock.at + MINUTE
        clock.at += 10 * MINUTE
        assert clocks.now("a") == clock.at


def test_a_clock_that_nobody_reads_has_shown_nothing() -> None:
    clocks = NodeClocks(Hand().now)
    with pytest.raises(FaultNeverFired, match="clocks/1:skew"), clocks.fault(Skew(MINUTE, node="a")):
        clocks.now("b")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Skew(timedelta(days=2)),
        lambda: Drift(-1_000_000),
        lambda: Skew(MINUTE, node=""),
        lambda: Pause(worker=-1),
    ],
)
def test_what_makes_no_sense_is_refused(make: object) -> None:
    assert callable(make)
    with pytest.raises(UsageError, match="Give"):
        make()


def test_faults_of_machines_survive_the_way_to_json_and_back() -> None:
    for fault in (Skew(-MINUTE, node="a"), Drift(12.5), Pause(worker=1), Pause()):
        assert from_json(fault.to_json(), {**KINDS, **NODE_KINDS}) == fault
        assert fault.describe()
