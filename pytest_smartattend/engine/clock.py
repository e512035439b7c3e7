"""A clock that a test moves: integer nanoseconds, deadlines, and a count of work that must not be jumped past.

The clock decides nothing about asyncio, sockets or threads; a driver (the room `loop`) asks it for the next deadline and
moves it there when nothing is in flight. Without a driver a test moves it itself, by `advance` and `run_until`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Final, Literal, Protocol

from pytest_smartattend.engine.deadlines import Deadline, Deadlines, Ties
from pytest_smartattend.errors import ClockError

Mode = Literal["discrete", "scaled", "real"]

#: Where a clock starts when nobody says otherwise: a Monday morning, the same in every run and every report.
EPOCH: Final = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)

_UNIX: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Attached(Protocol):
    """Something outside the loop that works on its own: a process, a socket, a remote platform."""

    def in_flight(self) -> Iterable[str]:
        """What it is working on now, each in a few words; empty when it only waits for the clock."""


def nanoseconds(duration: timedelta) -> int:
    """`duration` in nanoseconds, exactly."""
    return duration // _MICROSECOND * 1000


def _aware(moment: datetime, name: str) -> datetime:
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise ClockError(
            f"{name} is {moment.isoformat()} without a time zone, which names another instant on every machine. "
            "Give an aware datetime, such as datetime(2026, 3, 2, 8, tzinfo=UTC)."
        )
    return moment.astimezone(UTC)


class Node:
    """One machine's view of the common clock: skewed, drifting, and never running backwards.

    Only what it reads differs. Its timers stay on the common axis, as a machine's sleeps do not know its calendar.

    Attributes:
        id: which machine.
        skew: how far its calendar is ahead (behind, if negative) at the clock's start.
        drift_ppm: how many microseconds it gains in each second of the common clock.
    """

    def __init__(self, clock: VirtualClock, node_id: str, skew: timedelta, drift_ppm: float) -> None:
        self.id = node_id
        self._clock = clock
        self._latest_ns = -(1 << 127)
        self.adjust(skew, drift_ppm)

    def adjust(self, skew: timedelta, drift_ppm: float = 0.0) -> None:
        """Set another skew and drift. A calendar that would jump back stands still until it has caught up.

        Raises:
            ClockError: it would lose a whole second in each, or more, and run backwards.
        """
        if not drift_ppm > -1_000_000:
            raise ClockError(
                f"a drift of {drift_ppm} ppm makes {self.id!r} run backwards. Give more than -1,000,000 ppm."
            )
        self.skew = skew
        self.drift_ppm = drift_ppm
        self._gain = Fraction(drift_ppm) / 1_000_000
        self._skew_ns = nanoseconds(skew)

    def now_ns(self) -> int:
        """Nanoseconds since 1970 on this machine's calendar."""
        elapsed = self._clock.elapsed_ns()
        ns = self._clock.start_ns + elapsed + self._skew_ns + elapsed * self._gain.numerator // self._gain.denominator
        self._latest_ns = max(self._latest_ns, ns)
        return self._latest_ns

    def now(self) -> datetime:
        """This machine's calendar, aware, UTC, in whole microseconds."""
        return _UNIX + timedelta(microseconds=self.now_ns() // 1000)


class VirtualClock:
    """Time for one test.

    - ``discrete``: stands still until it is moved, and is moved from deadline to deadline.
    - ``scaled``: `factor` times as fast as the real clock.
    - ``real``: as fast as the real clock.

    Args:
        start: an aware moment; where the clock starts.
        mode: see above.
        factor: seconds of this clock in one real second; only for ``scaled``.
        seed: the root of the order of ties.
        ties: ``seeded`` shuffles deadlines of one instant by `seed`; ``as-set`` keeps the order in which they were set.
        real: the real clock in nanoseconds, never going back; needed unless the mode is ``discrete``.

    Attributes:
        driver: who moves it, in words; empty while a test does it by hand.
        on_release: called when `busy` work ends, in the thread in which it does.

    Raises:
        ClockError: a naive start, a factor that is not above zero or not meant, a missing real clock.
    """

    def __init__(
        self,
        start: datetime = EPOCH,
        mode: Mode = "discrete",
        factor: float = 1,
        *,
        seed: int = 0,
        ties: Ties = "seeded",
        real: Callable[[], int] | None = None,
    ) -> None:
        if mode not in ("discrete", "scaled", "real"):
            raise ClockError(f"there is no mode {mode!r}. Give discrete, scaled or real.")
        if ties not in ("seeded", "as-set"):
            raise ClockError(f"ties cannot be {ties!r}. Give seeded or as-set.")
        if not 0 < factor < float("inf"):
            raise ClockError(f"a factor of {factor} does not move time forward. Give a number above zero, such as 60.")
        if factor != 1 and mode != "scaled":
            raise ClockError(f"a factor of {factor} means nothing to a {mode} clock. Give mode='scaled'.")
        if real is None and mode != "discrete":
            raise ClockError(f"a {mode} clock follows the real one. Hand it in: real=monotonic_ns.")
        self.start = _aware(start, "start")
        self.start_ns = nanoseconds(self.start - _UNIX)
        self.mode: Mode = mode
        self.factor = factor
        self.seed = seed
        self._ratio = Fraction(factor)
        self._real = real
        self._real_start = real() if real is not None else 0
        self._elapsed = 0
        self._deadlines = Deadlines(seed, ties)
        self._nodes: dict[str, Node] = {}
        self._busy: dict[int, str] = {}
        self._tickets = itertools.count()
        self._attached: list[Attached] = []
        self._followers: list[Callable[[], object]] = []
        self._in_callback = False
        self.on_release: Callable[[], object] | None = None
        self.driver = ""

    def elapsed_ns(self) -> int:
        """Nanoseconds since the start, never going back."""
        if self.mode == "discrete":
            return self._elapsed
        if self._real is not None:
            passed = (self._real() - self._real_start) * self._ratio.numerator // self._ratio.denominator
            self._elapsed = max(self._elapsed, passed)
        return self._elapsed

    @property
    def elapsed(self) -> timedelta:
        """Time since the start, in whole microseconds."""
        return timedelta(microseconds=self.elapsed_ns() // 1000)

    def now_ns(self) -> int:
        """Nanoseconds since 1970."""
        return self.start_ns + self.elapsed_ns()

    def now(self) -> datetime:
        """The calendar: aware, UTC, in whole microseconds."""
        return self.start + timedelta(microseconds=self.elapsed_ns() // 1000)

    def node(self, node_id: str, *, skew: timedelta = timedelta(0), drift_ppm: float = 0.0) -> Node:
        """The view of the machine `node_id`. Asked for again, the same view is adjusted.

        Raises:
            ClockError: a drift that would run backwards.
        """
        known = self._nodes.get(node_id)
        if known is None:
            self._nodes[node_id] = known = Node(self, node_id, skew, drift_ppm)
        else:
            known.adjust(skew, drift_ppm)
        return known

    def offset_ns(self, moment: datetime, name: str = "the moment") -> int:
        """`moment` in nanoseconds after the start.

        Raises:
            ClockError: it has no time zone.
        """
        return nanoseconds(_aware(moment, name) - self.start)

    # deadlines

    def call_at(self, when_ns: int, callback: Callable[[], object], *, rank: int = 0, set_ns: int = 0) -> Deadline:
        """Have `callback` called `when_ns` nanoseconds after the start, or at once when that is past.

        Within one instant a higher `rank` comes later, whenever it was set. `set_ns` is for the driver: see `Deadline`.
        """
        deadline = Deadline(when_ns, callback, set_ns)
        self._deadlines.add(deadline, rank)
        return deadline

    def cancel(self, deadline: Deadline) -> None:
        """Forget `deadline`."""
        self._deadlines.cancel(deadline)

    def forget_deadlines(self) -> None:
        """Forget all deadlines: their driver is closed."""
        self._deadlines.clear()

    def first_deadline(self) -> Deadline | None:
        """For the driver: the deadline that falls due next."""
        return self._deadlines.first()

    def next_deadline(self) -> datetime | None:
        """When the next deadline falls due; None when there is none."""
        first = self._deadlines.first()
        return None if first is None else self.start + timedelta(microseconds=first.when_ns // 1000)

    def fire_next(self) -> bool:
        """For the driver: move to the next deadline and call what waits for it; false when there is none.

        Exactly one is called, also when more are due at the same instant.
        """
        deadline = self._deadlines.pop()
        if deadline is None or (callback := deadline.callback) is None:
            return False
        deadline.callback = None
        if deadline.when_ns > self._elapsed:
            self._move_to(deadline.when_ns)
        before, self._in_callback = self._in_callback, True
        try:
            callback()
        finally:
            self._in_callback = before
        return True

    # moved by hand

    def advance(self, duration: timedelta) -> None:
        """Let `duration` pass, calling what falls due on the way, each at its own instant.

        Raises:
            ClockError: backwards; from inside a callback or under a running loop; not a discrete clock.
        """
        if duration < timedelta(0):
            raise ClockError(f"time cannot move back by {-duration}. Give a duration of zero or more.")
        self._run_to(self.elapsed_ns() + nanoseconds(duration))

    def run_until(self, moment: datetime) -> None:
        """Let time pass until `moment`, calling what falls due on the way.

        Raises:
            ClockError: a naive or past moment; and as `advance`.
        """
        target = self.offset_ns(moment)
        if target < self.elapsed_ns():
            raise ClockError(f"{moment.isoformat()} is past: it is {self.now().isoformat()}. Give a later moment.")
        self._run_to(target)

    def _run_to(self, target_ns: int) -> None:
        if self.driver:
            raise ClockError(
                f"{self.driver} moves this clock, when nothing is in flight. Wait for it: `await clock.sleep(…)`."
            )
        if self._in_callback:
            raise ClockError(
                "the clock was moved from inside a callback of its own, while it is on its way already. "
                "Set a deadline there instead: clock.call_at(…), or `await clock.sleep(…)` in a coroutine."
            )
        if self.mode != "discrete":
            raise ClockError(f"a {self.mode} clock moves by itself. Wait for it: `await clock.sleep(…)`.")
        while (first := self._deadlines.first()) is not None and first.when_ns <= target_ns:
            self.fire_next()
        self._move_to(target_ns)

    def _move_to(self, when_ns: int) -> None:
        if self.mode == "discrete" and when_ns > self._elapsed:
            self._elapsed = when_ns
            for follower in self._followers:
                follower()

    @contextmanager
    def following(self, moved: Callable[[], object]) -> Iterator[None]:
        """Have `moved` called after each move of a discrete clock, before anything that fell due is."""
        self._followers.append(moved)
        try:
            yield
        finally:
            self._followers.remove(moved)

    # work in flight

    @contextmanager
    def busy(self, label: str) -> Iterator[None]:
        """Declare work that time must not jump past: nobody else can see it. May be entered in any thread."""
        ticket = next(self._tickets)
        self._busy[ticket] = label
        try:
            yield
        finally:
            del self._busy[ticket]
            if self.on_release is not None:
                self.on_release()

    @contextmanager
    def attach(self, thing: Attached) -> Iterator[None]:
        """Ask `thing` for its work in flight before each move."""
        self._attached.append(thing)
        try:
            yield
        finally:
            self._attached.remove(thing)

    def awaits_work(self) -> bool:
        """For the driver: whether anything was declared that time must not jump past now."""
        return bool(self._busy) or bool(self._attached and self.reported())

    def declared(self) -> list[str]:
        """The labels of `busy` work now in flight."""
        return list(self._busy.values())

    def reported(self) -> list[str]:
        """What attached things say is in flight now."""
        return [label for thing in self._attached for label in thing.in_flight()]
