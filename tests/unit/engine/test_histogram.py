"""A histogram's percentiles are close to the truth, never below it, whatever it holds."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_smartattend.engine.histogram import Histogram

MICROSECOND = timedelta(microseconds=1)


def filled(durations: list[int]) -> Histogram:
    histogram = Histogram()
    for duration in durations:
        histogram.record(duration)
    return histogram


@given(st.lists(st.integers(1_000, 10**13), min_size=1), st.floats(0, 100))
def test_a_percentile_is_at_most_a_hundredth_above_the_exact_one(durations: list[int], percent: float) -> None:
    rank = max(1, -int(-len(durations) * percent // 100))
    exact = sorted(durations)[rank - 1]
    seen = filled(durations).percentile(percent) / MICROSECOND * 1000
    assert exact - 500 <= seen <= exact * (1 + 1 / 128) + 500  # a timedelta is exact to a microsecond


@given(st.lists(st.integers(0, 10**13), min_size=1))
def test_percentiles_rise(durations: list[int]) -> None:
    histogram = filled(durations)
    assert all(low <= high for low, high in pairwise(histogram.percentile(percent) for percent in range(101)))


def test_count_extremes_and_mean_are_exact() -> None:
    seen = filled([3_000_000, 1_000_000, 2_000_000]).to_json()
    assert (seen["count"], seen["least_seconds"], seen["mean_seconds"], seen["most_seconds"]) == (
        3,
        0.001,
        0.002,
        0.003,
    )


def test_an_empty_histogram_has_nothing_to_say() -> None:
    assert Histogram().to_json()["p99_seconds"] == 0
    assert Histogram().percentile(50) == timedelta(0)


def test_a_clock_that_went_back_counts_as_no_time() -> None:
    assert filled([-5]).most == 0


def test_a_percentile_beyond_a_hundred_is_refused() -> None:
    with pytest.raises(ValueError, match="from 0 to 100"):
        Histogram().percentile(101)
