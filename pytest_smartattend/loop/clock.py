"""The clock that tests hold: the engine's, with waiting in a coroutine, a loop of its own, and the bridge to `datetime`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar

from pytest_smartattend.engine.clock import EPOCH, Mode, VirtualClock, nanoseconds
from pytest_smartattend.engine.deadlines import Ties
from pytest_smartattend.errors import ClockError
from pytest_smartattend.evidence.stopwatch import monotonic_ns
from pytest_smartattend.loop.driven import GUARD, ClockLoop
from pytest_smartattend.loop.flight import descriptors_of

T = TypeVar("T")

#: Behind everything else that is due at the same instant, whenever it was set.
_LAST = 1


class LoopClock(VirtualClock):
    """A `VirtualClock` on the machine's monotonic clock, which drives an event loop.

    Attributes:
        guard: for how long the outside may be silent while time waits for it, in real time, before `ClockStall`.

    Raises:
        ClockError: as `VirtualClock`.
    """

    def __init__(
        self,
        start: datetime = EPOCH,
        mode: Mode = "discrete",
        factor: float = 1,
        *,
        seed: int = 0,
        ties: Ties = "seeded",
        guard: timedelta = GUARD,
    ) -> None:
        super().__init__(start, mode, factor, seed=seed, ties=ties, real=monotonic_ns)
        self.guard = guard
        self._loop: ClockLoop | None = None

    def new_loop(self) -> ClockLoop:
        """The event loop that moves this clock; one at a time.

        Raises:
            ClockError: there is one already.
        """
        self._loop = ClockLoop(self, guard=lambda: self.guard)
        return self._loop

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run `main` to its end on a loop of this clock, as `asyncio.run` does on one of the wall's.

        Raises:
            ClockError: a loop runs already.
            ClockDeadlock, ClockStall: time could not move on.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            with asyncio.Runner(loop_factory=self.new_loop) as runner:
                return runner.run(main)
        main.close()
        raise ClockError("an event loop runs here already. Await the coroutine instead of running it.")

    def _here(self) -> ClockLoop:
        running = asyncio.get_running_loop()
        if running is not self._loop or self._loop is None:
            kind = f"{type(running).__module__}.{type(running).__qualname__}"
            raise ClockError(
                f"this coroutine runs on a {kind}, which this clock does not move. Mark the test with "
                "@pytest.mark.asyncio and let it ask for the fixture `clock`, or start it by clock.run(…); a loop such as "
                "uvloop's keeps its time to itself and cannot be used."
            )
        return self._loop

    async def sleep(self, duration: timedelta, *, last: bool = False) -> None:
        """Wait until `duration` has passed.

        Args:
            duration: zero or more.
            last: wake behind everything else that is due at that instant.

        Raises:
            ClockError: backwards, or on a loop that this clock does not move.
        """
        if duration < timedelta(0):
            raise ClockError(f"time cannot move back by {-duration}. Give a duration of zero or more.")
        await self._sleep_until(self.elapsed_ns() + nanoseconds(duration), last=last)

    async def sleep_until(self, moment: datetime, *, last: bool = False) -> None:
        """Wait until `moment`; not at all when it is past.

        Raises:
            ClockError: a naive moment, or a loop that this clock does not move.
        """
        await self._sleep_until(self.offset_ns(moment), last=last)

    async def _sleep_until(self, when_ns: int, *, last: bool) -> None:
        loop = self._here()
        woken: asyncio.Future[None] = loop.create_future()
        if when_ns <= self.elapsed_ns() and not last:
            await asyncio.sleep(0)
            return

        def wake() -> None:
            if not woken.done():
                woken.set_result(None)

        # the last of its instant is nobody's timeout: it also comes behind what is in flight then
        deadline = self.call_at(when_ns, wake, rank=_LAST if last else 0, set_ns=0 if last else loop.stamp())
        try:
            await woken
        finally:
            self.cancel(deadline)

    @contextmanager
    def passive(self, *things: Any) -> Iterator[None]:  # noqa: ANN401
        """Declare connections, streams, descriptors or child processes idle: they only wait to be spoken to.

        Raises:
            ClockError: no loop moves this clock now.
        """
        if self._loop is None or self._loop.is_closed():
            raise ClockError(
                "no event loop moves this clock now, so nothing is in flight. Declare it in the coroutine."
            )
        flight = self._loop.flight
        found = [fd for thing in things for fd in descriptors_of(thing)]
        flight.set_passive(found, passive=True)
        try:
            yield
        finally:
            flight.set_passive(found, passive=False)

    def wall(self, through: Literal["freezegun", "time-machine"] = "freezegun") -> AbstractContextManager[None]:
        """Let `datetime.now`, `time.time` and their kin follow this clock within the ``with``.

        Raises:
            ClockError: see `loop.wall`.
        """
        from pytest_smartattend.loop import wall

        bridges: dict[str, Callable[[VirtualClock], AbstractContextManager[None]]] = {
            "freezegun": wall.through_freezegun,
            "time-machine": wall.through_time_machine,
        }
        if through not in bridges:
            raise ClockError(f"there is no bridge through {through!r}. Give freezegun or time-machine.")
        return bridges[through](self)
