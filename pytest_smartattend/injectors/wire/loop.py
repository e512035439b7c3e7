"""One loop over sockets and timers, for a proxy that must add microseconds and be late by less than one millisecond."""

from __future__ import annotations

import heapq
import select
from collections.abc import Callable
from time import monotonic

from pytest_smartattend.injectors.wire.poller import Poller, best

Callback = Callable[[], None]


class Timer:
    """A callback at a time of `monotonic`; `cancel` makes it a nothing."""

    __slots__ = ("callback", "due")

    def __init__(self, due: float, callback: Callback) -> None:
        self.due = due
        self.callback: Callback | None = callback

    def __lt__(self, other: Timer) -> bool:
        return self.due < other.due

    def cancel(self) -> None:
        """Let it pass without calling."""
        self.callback = None


class Loop:
    """Calls back when sockets are ready or timers due, until `stop`. An error in a callback ends the process."""

    def __init__(self, poller: Poller | None = None) -> None:
        self._poller = poller or best()
        self._callbacks: dict[int, Callback] = {}
        self._forgotten: set[int] = set()
        self._timers: list[Timer] = []
        self._running = False

    def watch(self, descriptor: int, events: int, callback: Callback) -> None:
        """Call `callback` when `descriptor` is ready for `events` of `poller`; replaces what was watched on it."""
        self._poller.watch(descriptor, events)
        self._callbacks[descriptor] = callback

    def forget(self, descriptor: int) -> None:
        """Stop watching `descriptor`, if it was watched. To be said before it is closed."""
        if self._callbacks.pop(descriptor, None) is not None:
            self._poller.forget(descriptor)
            self._forgotten.add(descriptor)

    def call_at(self, due: float, callback: Callback) -> Timer:
        """Call `callback` at `due` seconds of `monotonic`."""
        timer = Timer(due, callback)
        heapq.heappush(self._timers, timer)
        return timer

    def stop(self) -> None:
        """Leave `run` after the present round."""
        self._running = False

    def run(self) -> None:
        """Go round until `stop`."""
        wait, callbacks, forgotten = self._poller.wait, self._callbacks, self._forgotten
        self._running = True
        while self._running:
            for descriptor, _ in wait(self._until_next_timer() if self._timers else None):
                # what was forgotten in this round may be closed, and its number another's; if not, it is reported again
                if descriptor not in forgotten:
                    callbacks[descriptor]()
            if forgotten:
                forgotten.clear()
            if self._timers:
                self._call_due()

    def _until_next_timer(self) -> float:
        """Wait for the next timer or an event; returns the timeout that the selector has still to wait, none.

        epoll's timeout is a whole number of milliseconds, rounded up. `select` on the poller itself is exact to some
        ten microseconds.
        """
        timers = self._timers
        while timers and timers[0].callback is None:
            heapq.heappop(timers)
        remaining = timers[0].due - monotonic() if timers else 0.0
        if remaining > 0:
            select.select([self._poller.fileno()], [], [], remaining)
        return 0

    def _call_due(self) -> None:
        now = monotonic()
        while self._timers and self._timers[0].due <= now:
            timer = heapq.heappop(self._timers)
            if timer.callback is not None:
                timer.callback()
