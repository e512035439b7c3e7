"""Dividing a run among machines: who runs which check, and whether everybody's part has come back.

The parts are worked out by every machine for itself, from the same checks and the same recorded durations. Each document
therefore carries the digest of the whole plan, and documents of different plans are not put together.
"""

from __future__ import annotations

import hashlib
import heapq
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: seconds that a check counts for while nothing at all is recorded
UNKNOWN = 1.0


@dataclass(frozen=True)
class Plan:
    """Who runs what.

    Attributes:
        of: how many shards there are.
        part: check → its shard, from 1.
        loads: the recorded seconds of each shard, in order.
    """

    of: int
    part: Mapping[str, int]
    loads: Sequence[float]

    @property
    def digest(self) -> str:
        """sha256 over every check and its shard: two plans with one digest are one plan."""
        lines = "".join(f"{name}\t{number}\n" for name, number in sorted(self.part.items()))
        return hashlib.sha256(f"{self.of}\n{lines}".encode("utf-8", "surrogatepass")).hexdigest()


def divide(checks: Collection[str], of: int, seconds: Mapping[str, float]) -> Plan:
    """Give each check to a shard: the longest first, each to the shard that has least to do.

    Args:
        checks: ids.
        of: the number of shards, from 1.
        seconds: recorded durations; a check without one counts as the median of those recorded.
    """
    known = [seconds[name] for name in checks if name in seconds]
    usual = statistics.median(known) if known else UNKNOWN
    weights = {name: max(seconds.get(name, usual), 0.001) for name in checks}
    queue = [(0.0, number) for number in range(1, of + 1)]
    part = {}
    for name in sorted(weights, key=lambda name: (-weights[name], name)):
        load, number = heapq.heappop(queue)
        part[name] = number
        heapq.heappush(queue, (load + weights[name], number))
    return Plan(of, part, [load for load, _ in sorted(queue, key=lambda one: one[1])])


def recorded(document: Mapping[str, Any]) -> dict[str, float]:
    """Seconds of each check that a document knows: those of its slowest attempt."""
    return {
        check["id"]: max(attempt["seconds"] for attempt in check["attempts"])
        for group in document["groups"]
        for check in group["checks"]
        if check["attempts"]
    }


def absent(shards: Iterable[Mapping[str, Any]]) -> list[str]:
    """The shards whose part is not in a document, as ``2/3``; empty for a run that was not divided."""
    present = {entry["number"]: entry["of"] for entry in shards}
    of = max(present.values(), default=0)
    return [f"{number}/{of}" for number in range(1, of + 1) if number not in present]
