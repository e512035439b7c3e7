"""What the requests of a check were, small enough to be drawn: when each outcome came, and how long answers took."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

#: a check of fewer requests has no picture
LEAST = 100
#: bins of the picture over time
BINS = 100
#: bins of a latency histogram per power of ten: each is 1.58 times as wide as the one before
_PER_DECADE = 5
#: seconds; what is faster falls into the first bin
_FASTEST = 1e-4
OUTCOMES = ("ok", "failed", "unknown")


def drawn(operations: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """`activity` and `latency` of a check's operations, as `Evidence.operation` keeps them; nothing for a few."""
    if len(operations) < LEAST:
        return {}
    return {"activity": _activity(operations), "latency": _latency(sorted(float(one[4]) for one in operations))}


def _activity(operations: Sequence[Sequence[Any]]) -> dict[str, Any]:
    seconds = max(float(one[5]) for one in operations) or 1.0
    found = {outcome: [0] * BINS for outcome in OUTCOMES}
    for one in operations:
        place = min(BINS - 1, max(0, int(float(one[5]) / seconds * BINS)))
        found[one[3] if one[3] in found else "unknown"][place] += 1
    return {"seconds": round(seconds, 6), **found}


def _latency(seconds: Sequence[float]) -> dict[str, Any]:
    counts: dict[int, int] = {}
    for one in seconds:
        place = max(0, math.ceil(math.log10(max(one, _FASTEST) / _FASTEST) * _PER_DECADE - 1e-9))
        counts[place] = counts.get(place, 0) + 1
    bins = [
        [round(_FASTEST * 10 ** (place / _PER_DECADE), 6), counts.get(place, 0)]
        for place in range(min(counts), max(counts) + 1)
    ]
    named = {"p50": 50, "p95": 95, "p99": 99}
    return {
        "count": len(seconds),
        **{name: seconds[max(0, math.ceil(len(seconds) * share / 100) - 1)] for name, share in named.items()},
        "most": seconds[-1],
        "bins": bins,
    }
