"""The idle rule: when an event loop that has nothing to run may let time move, and when it must really wait.

A selector is where asyncio waits, and it may be handed in; so the rule lives in one, and the loop itself stays asyncio's.

In ``discrete`` mode, with nothing to run:

1. Something in flight: wait for it in real time. Time stands still meanwhile. The next timer fires only when real time
   has passed for as long as the timer had to go, counted from when it was set, when the clock last moved, or when the
   flight began, whichever is latest. So a timeout of five seconds round a silent query takes five real seconds, and a
   timer never comes early because earlier round trips took their time. A timer from before the work that is in flight
   is most likely nobody's timeout but the next thing to happen, so it waits for silence: for as long as it had to go, and
   a second at least, in which nothing is heard. So does what is due at the very instant at which the clock stands.
2. Nothing in flight: move to the next deadline, and fire one timer. The next one has to wait until what the first woke
   has run and its round trips are done.
3. No timer either: `ClockDeadlock`.

In ``scaled`` and ``real`` mode time passes by itself, and every wait is a real one, divided by the factor.
"""

from __future__ import annotations

import heapq
import itertools
import select
import selectors
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from pytest_smartattend.engine.clock import VirtualClock
from pytest_smartattend.engine.deadlines import Deadline
from pytest_smartattend.errors import ClockDeadlock, ClockStall
from pytest_smartattend.loop.flight import Flight

_SECOND: Final = 1_000_000_000
#: How often attached things are asked: they cannot wake a selector.
_ASK_AGAIN_NS: Final = 1_000_000
#: For how long, in real time, what has nothing to do with a round trip waits for it while nothing is heard from it.
_PATIENCE_NS: Final = _SECOND
#: A flight that has lasted for so long, in real time, is a steady stream, behind which nothing can wait for silence.
_STREAM_NS: Final = 10 * _SECOND
#: A wait without an end is taken in pieces of an hour.
_LONG_NS: Final = 3600 * _SECOND
#: How many turns in a row may find something to run before the real clock is read.
_TURNS: Final = 1024
#: select(2) takes no descriptor from here on.
_FD_SETSIZE: Final = 1024


class HasFileno(Protocol):
    """A socket or a pipe."""

    def fileno(self) -> int:
        """Its descriptor."""
        ...


FileLike = int | HasFileno
Event = tuple[selectors.SelectorKey, int]


class IdleSelector(selectors.BaseSelector):
    """A selector that decides, each time there is nothing to run, whether to wait or to move the clock.

    Args:
        clock: what is moved.
        flight: what is in flight.
        real: the real clock in nanoseconds, never going back.
        guard_ns: asked for the real nanoseconds without progress after which a wait is an error.
        who_waits: for messages: the tasks and what they wait for.
    """

    def __init__(
        self,
        clock: VirtualClock,
        flight: Flight,
        real: Callable[[], int],
        guard_ns: Callable[[], int],
        who_waits: Callable[[], str],
    ) -> None:
        self._inner = selectors.DefaultSelector()
        self._clock = clock
        self._flight = flight
        self._real = real
        self._guard_ns = guard_ns
        self._who_waits = who_waits
        self._own_fds: set[int] | None = None
        self._flight_ns: int | None = None  # since when something has been in flight without a pause
        self._moved_ns = 0  # when the clock last moved while something was
        self._woke_ns = 0  # when the work began that is under way: nothing was in flight then
        self._progress_ns = 0  # when the outside was last heard
        self._look_outs: list[tuple[int, int, Callable[[], object]]] = []
        self._tickets = itertools.count()
        self._busy_turns = 0
        self._running_ns = 0  # since when every turn has found something to run

    def opened(self) -> None:
        """The loop is made: what it registered so far is its own and says nothing about work."""
        self._own_fds = {key.fd for key in self._inner.get_map().values()}

    def stamp(self) -> int:
        """The real clock: when a timer is set that may be the timeout of what flies behind it."""
        return self._real()

    def resumed(self) -> None:
        """The loop stood still and runs again: the real time in between belongs to no flight, and brings no timer near."""
        self._flight_ns = None
        self._woke_ns = self._real()

    def look_out(self, nanoseconds: int, callback: Callable[[], object]) -> None:
        """Call `callback` when so much real time has passed, whatever the clock does; it is no deadline of the clock."""
        heapq.heappush(self._look_outs, (self._real() + nanoseconds, next(self._tickets), callback))

    # asyncio's registrations, noted and passed on

    def register(self, fileobj: FileLike, events: int, data: object = None) -> selectors.SelectorKey:
        """As `selectors.BaseSelector.register`."""
        key = self._inner.register(fileobj, events, data)
        if self._own_fds is not None:
            self._flight.registered(key.fd, events)
        return key

    def modify(self, fileobj: FileLike, events: int, data: object = None) -> selectors.SelectorKey:
        """As `selectors.BaseSelector.modify`."""
        key = self._inner.modify(fileobj, events, data)
        self._flight.registered(key.fd, events)
        return key

    def unregister(self, fileobj: FileLike) -> selectors.SelectorKey:
        """As `selectors.BaseSelector.unregister`."""
        key = self._inner.unregister(fileobj)
        self._flight.unregistered(key.fd)
        return key

    def get_map(self) -> Mapping[FileLike, selectors.SelectorKey]:
        """As `selectors.BaseSelector.get_map`."""
        return self._inner.get_map()

    def get_key(self, fileobj: FileLike) -> selectors.SelectorKey:
        """As `selectors.BaseSelector.get_key`."""
        return self._inner.get_key(fileobj)

    def close(self) -> None:
        """As `selectors.BaseSelector.close`."""
        self._inner.close()

    # the rule

    def select(self, timeout: float | None = None) -> list[Event]:
        """What is ready. Without a `timeout` of zero, returns when the loop has something to run.

        Raises:
            ClockDeadlock: nothing will ever wake anybody.
            ClockStall: no progress for as long as the guard allows.
        """
        if timeout is not None and timeout <= 0:
            return self._while_running()
        self._busy_turns = 0
        while self._look_outs and self._look_outs[0][0] <= self._real():
            heapq.heappop(self._look_outs)[2]()
        if self._clock.mode == "discrete":
            return self._discrete()
        return self._paced()

    def _while_running(self) -> list[Event]:
        if self._clock.mode != "discrete":
            self._fire_due()
        else:
            self._busy_turns += 1
            if self._busy_turns % _TURNS == 0:
                self._refuse_to_run_for_ever()
        return self._heard(self._inner.select(0))

    def _refuse_to_run_for_ever(self) -> None:
        now = self._real()
        if self._busy_turns == _TURNS:
            self._running_ns = now
        elif now - self._running_ns > self._guard_ns():
            raise ClockStall(
                f"Something has been running for {self._guard_ns() / _SECOND:g} s without ever waiting, so time stands "
                "still. Wait on the clock: `await clock.sleep(…)` or `asyncio.sleep` above zero, not `sleep(0)` in a "
                f"loop.\n{self._who_waits()}"
            )

    def _discrete(self) -> list[Event]:
        if ready := self._inner.select(0):
            return self._heard(ready)
        if not self._flight.is_empty() or self._clock.awaits_work():
            now = self._real()
            if self._flight.is_anything(now) or self._clock.awaits_work():
                return self._wait_for_flight(now)
        self._flight_ns = None
        self._woke_ns = self._real()
        if self._clock.fire_next():
            return []
        raise ClockDeadlock(self._deadlock())

    def _wait_for_flight(self, now: int) -> list[Event]:
        if self._flight_ns is None:
            self._flight_ns = self._moved_ns = self._progress_ns = now
        first = self._clock.first_deadline()
        stall = self._progress_ns + self._guard_ns()
        until = stall
        if first is not None:
            due = self._due_in_flight(first)
            if now >= due:
                self._moved_ns = now
                self._clock.fire_next()
                return []
            until = min(stall, due)
        if now >= stall:
            raise ClockStall(self._stall(now))
        wait = self._before_look_out(min(until - now, self._patience(now)))
        heard = self._heard(self._block(wait))
        if not heard and (woke := self._real()) > now + wait + _PATIENCE_NS // 2:
            self._progress_ns = woke  # the machine stood still: that nothing was heard meanwhile is nobody's silence
        return heard

    def _due_in_flight(self, first: Deadline) -> int:
        to_go = first.when_ns - self._clock.elapsed_ns()
        due = max(first.set_ns, self._moved_ns) + to_go
        if to_go > 0 and first.set_ns >= self._woke_ns:
            return due
        # It has nothing to do with what is in flight, and comes behind it: unless that one waits for this one.
        silent = max(first.set_ns, self._progress_ns) + max(to_go, _PATIENCE_NS)
        return silent if to_go <= 0 else min(silent, max(due, (self._flight_ns or 0) + _STREAM_NS))

    def _patience(self, now: int) -> int:
        # What cannot wake the selector is asked again; so is a connection whose answer may be complete.
        return self._flight.ends_by_itself_ns(now) or (_ASK_AGAIN_NS if self._clock.reported() else self._guard_ns())

    def _paced(self) -> list[Event]:
        if self._fire_due():
            return self._heard(self._inner.select(0))
        first = self._clock.first_deadline()
        if first is None:
            return self._heard(self._block(self._before_look_out(_LONG_NS)))
        wait = int((first.when_ns - self._clock.elapsed_ns()) / self._clock.factor)
        return self._heard(self._block(self._before_look_out(max(0, wait))))

    def _before_look_out(self, nanoseconds: int) -> int:
        if not self._look_outs:
            return nanoseconds
        return max(0, min(nanoseconds, self._look_outs[0][0] - self._real()))

    def _fire_due(self) -> bool:
        fired = False
        now = self._clock.elapsed_ns()
        while (first := self._clock.first_deadline()) is not None and first.when_ns <= now:
            fired = self._clock.fire_next()
        return fired

    def _heard(self, ready: list[Event]) -> list[Event]:
        if ready:
            self._progress_ns = now = self._real()
            for key, events in ready:
                if events & selectors.EVENT_READ:
                    self._flight.heard(key.fd, now)
        return ready

    def _block(self, nanoseconds: int) -> list[Event]:
        # epoll and kqueue round a wait up to whole milliseconds, 60 of them a second and more at 60x. Their own
        # descriptor can be waited for by select(2), which does not.
        fileno = getattr(self._inner, "fileno", None)
        seconds = nanoseconds / _SECOND
        if fileno is None or (fd := fileno()) >= _FD_SETSIZE:
            return self._inner.select(seconds)
        select.select([fd], [], [], seconds)
        return self._inner.select(0)

    # messages

    def _stall(self, now: int) -> str:
        flying = [*self._flight.in_words(now), *self._clock.declared(), *self._clock.reported()]
        return (
            f"Nothing was heard for {self._guard_ns() / _SECOND:g} s from what is in flight, and time waits for it:\n"
            + "\n".join(f"  - {line}" for line in flying)
            + "\nIf it waits by the wall clock, give it this clock; if it only waits to be spoken to, say so: "
            "`with clock.passive(…)`; if it needs longer, raise the guard: clock.guard.\n" + self._who_waits()
        )

    def _deadlock(self) -> str:
        idle = [key.fd for key in self._inner.get_map().values() if key.fd not in (self._own_fds or ())]
        passive = "".join(f"  - {line}\n" for line in self._flight.passive_in_words(idle))
        return (
            "No timer is set and nothing is in flight, so nobody will ever wake.\n"
            + (f"Registered, but only waiting to be spoken to:\n{passive}" if passive else "")
            + "If somebody outside this loop is at work, say so: `with clock.busy('what')`; else set what they wait "
            f"for.\n{self._who_waits()}"
        )
