"""Shapes of the page's pictures: numbers in, SVG path data and percentages out. Knows nothing of what they mean.

A picture is drawn in a field 1,000 wide that the page stretches to its own width; words stand beside it as HTML, so that
they keep their size on a telephone and can be read aloud.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

WIDTH = 1000


def bars(counts: Sequence[float], height: float, most: float, base: Sequence[float] | None = None) -> str:
    """One closed path of bars side by side, standing on `base` (default: the floor). Empty bars leave no trace.

    Args:
        counts: heights, in the unit of `most`.
        height: of the field; the floor is at `height`.
        most: the count that fills the field.
        base: how high each bar begins, in the same unit.
    """
    step = WIDTH / max(1, len(counts))
    pieces = []
    for place, count in enumerate(counts):
        if count > 0:
            low = height - (base[place] if base else 0) / most * height
            rise = max(count / most * height, 1)
            pieces.append(f"M{place * step:.4g} {low:.4g}v-{rise:.4g}h{step:.4g}v{rise:.4g}z")
    return "".join(pieces)


def percent(part: float, whole: float) -> float:
    """`part` as a percentage of `whole`, within 0 and 100, short enough for a style."""
    return round(min(100.0, max(0.0, 100 * part / whole)), 2) if whole > 0 else 0.0


class LogScale:
    """Places on a logarithmic scale that shows every one of `values`, with whole powers of ten at both ends."""

    def __init__(self, values: Iterable[float]) -> None:
        found = [value for value in values if value > 0] or [1.0]
        self._low = math.floor(math.log10(min(found)))
        self._high = max(math.ceil(math.log10(max(found))), self._low + 1)

    def place(self, value: float) -> float:
        """Where `value` is, in percent; what is not above zero stands at the left edge."""
        return percent(math.log10(value) - self._low, self._high - self._low) if value > 0 else 0.0

    def decades(self) -> list[tuple[float, float]]:
        """Place and value of each power of ten."""
        return [(self.place(10.0**power), 10.0**power) for power in range(self._low, self._high + 1)]


def merged(spans: Iterable[tuple[float, float, str]], gap: float) -> list[tuple[float, float, str, int]]:
    """Spans (begin, end, kind) in order of their begin; neighbours of one kind closer than `gap` become one.

    Returns:
        begin, end, kind and how many spans are in it.
    """
    found: list[tuple[float, float, str, int]] = []
    for begin, end, kind in sorted(spans):
        last = found[-1] if found else None
        if last is not None and last[2] == kind and begin - last[1] <= gap:
            found[-1] = (last[0], max(end, last[1]), kind, last[3] + 1)
        else:
            found.append((begin, end, kind, 1))
    return found
