"""Durations by the million, in a few kilobytes: a histogram whose buckets grow with what they hold.

The buckets are those of HdrHistogram with seven bits: exact below 256 ns, and above that never wider than 1/128 of
their value, so that a percentile is at most 0.8 % too high and never too low.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

_BITS: Final = 7
_NANOSECONDS: Final = 1e9


class Histogram:
    """Records durations in whole nanoseconds.

    Attributes:
        count: how many were recorded.
        total: their sum, in nanoseconds.
        least, most: the shortest and the longest, in nanoseconds; 0 while there is none.
    """

    __slots__ = ("_buckets", "count", "least", "most", "total")

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}
        self.count = 0
        self.total = 0
        self.least = 0
        self.most = 0

    def record(self, nanoseconds: int) -> None:
        """Count one duration; one below zero is taken as zero, for clocks of two places may disagree."""
        value = max(0, nanoseconds)
        shift = value.bit_length() - _BITS - 1
        bucket = value if shift <= 0 else (shift << _BITS) + (value >> shift)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1
        if value < self.least or not self.count:
            self.least = value
        if value > self.most:
            self.most = value
        self.count += 1
        self.total += value

    def percentile(self, percent: float) -> timedelta:
        """The duration that `percent` of all do not exceed; zero while there is none.

        Raises:
            ValueError: `percent` is not from 0 to 100.
        """
        if not 0 <= percent <= 100:
            raise ValueError(f"no {percent}th percentile; give a number from 0 to 100")
        rank = max(1, -(-self.count * percent // 100))
        for bucket in sorted(self._buckets):
            rank -= self._buckets[bucket]
            if rank <= 0:
                return _span(min(_highest(bucket), self.most))
        return _span(self.most)

    def to_json(self) -> dict[str, Any]:
        """Count, mean and the usual percentiles, in seconds."""
        named = {"p50": 50, "p90": 90, "p99": 99, "p999": 99.9}
        return {
            "count": self.count,
            "mean_seconds": self.total / self.count / _NANOSECONDS if self.count else 0.0,
            "least_seconds": self.least / _NANOSECONDS,
            **{f"{name}_seconds": self.percentile(percent).total_seconds() for name, percent in named.items()},
            "most_seconds": self.most / _NANOSECONDS,
        }


def _highest(bucket: int) -> int:
    """The longest duration that falls into `bucket`, in nanoseconds."""
    if bucket < 2 << _BITS:
        return bucket
    shift = (bucket >> _BITS) - 1
    return ((bucket - (shift << _BITS) + 1) << shift) - 1


def _span(nanoseconds: int) -> timedelta:
    return timedelta(microseconds=nanoseconds / 1000)
