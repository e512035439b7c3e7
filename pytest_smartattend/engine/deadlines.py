"""Deadlines in the order in which they fall due. Ties are broken by a seed, so that no order is an accident.

Two deadlines never fall due together: one is always handed out before the other, and whoever asks decides when the
second may follow. That makes a run repeatable, and another seed tries another order.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import shake_128
from typing import Final, Literal

Ties = Literal["seeded", "as-set"]

# Larger than any drawn position: who joins an instant after its order was drawn comes behind those.
_UNDRAWN: Final = 1 << 62
_TOO_FEW_TO_SWEEP: Final = 256
#: Bytes of one draw; two draws are practically never equal.
_DIE: Final = 8


@dataclass(slots=True, eq=False)
class Deadline:
    """One moment at which something is to happen.

    Attributes:
        when_ns: nanoseconds after the clock's start.
        callback: what to call; None once it was handed out or cancelled.
        set_ns: the real clock's reading when it was set, in nanoseconds, if its driver says so.
    """

    when_ns: int
    callback: Callable[[], object] | None
    set_ns: int = 0


class Deadlines:
    """A heap of deadlines; of those of one instant, lower ranks come first, and ties are shuffled by `seed`."""

    def __init__(self, seed: int, ties: Ties) -> None:
        self._seed = seed
        self._first_order = _UNDRAWN if ties == "seeded" else 0
        self._heap: list[tuple[int, int, int, int, Deadline]] = []
        self._count = 0
        self._drawn = 0
        self._cancelled = 0

    def add(self, deadline: Deadline, rank: int = 0) -> None:
        """Note `deadline`; those of a higher `rank` come last within their instant."""
        self._count += 1
        heapq.heappush(self._heap, (deadline.when_ns, rank, self._first_order, self._count, deadline))

    def cancel(self, deadline: Deadline) -> None:
        """Forget `deadline`; one that was handed out or cancelled already is left alone."""
        if deadline.callback is None:
            return
        deadline.callback = None
        self._cancelled += 1
        # A timeout round every query leaves one behind each time, which its instant may never come to collect.
        if self._cancelled > _TOO_FEW_TO_SWEEP and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[4].callback is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def first(self) -> Deadline | None:
        """The next one, which stays in; None when there is none. Of tied ones any: looking draws no order yet."""
        heap = self._heap
        while heap and heap[0][4].callback is None:
            heapq.heappop(heap)
            self._cancelled -= 1
        if not heap:
            return None
        return heap[0][4]

    def pop(self) -> Deadline | None:
        """The next one, taken out; None when there is none."""
        if self.first() is None:
            return None
        heap = self._heap
        head = heap[0]
        # In a heap the second smallest is one of the two children of the smallest. The order is drawn only now: who joins
        # the instant until its first is handed out has the same chance as all others.
        if head[2] == _UNDRAWN and any(child[0] == head[0] and child[1] == head[1] for child in heap[1:3]):
            self._draw()
        return heapq.heappop(heap)[4]

    def clear(self) -> None:
        """Forget all."""
        self._heap.clear()
        self._cancelled = 0

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled

    def _draw(self) -> None:
        heap = self._heap
        when, rank = heap[0][:2]
        tied = []
        while heap and heap[0][0] == when and heap[0][1] == rank:
            entry = heapq.heappop(heap)
            if entry[4].callback is None:
                self._cancelled -= 1
            else:
                tied.append(entry)
        # One hash for all of them: a thousand tasks that wake at the same instant are no rarity here. The position drawn
        # so far tells this draw from every other.
        dice = shake_128(f"{self._seed}|clock ties|{self._drawn}".encode()).digest(_DIE * len(tied))
        for n in sorted(range(len(tied)), key=lambda n: dice[n * _DIE : (n + 1) * _DIE]):
            self._drawn += 1
            heapq.heappush(heap, (when, rank, self._drawn, tied[n][3], tied[n][4]))
