"""asyncio's own selector loop with another clock: timers are the engine's deadlines, idleness is judged by `idle`."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final, TypeVar, TypeVarTuple

from pytest_smartattend.engine.clock import VirtualClock, nanoseconds
from pytest_smartattend.engine.deadlines import Deadline
from pytest_smartattend.engine.units import MILLISECOND, SECOND
from pytest_smartattend.errors import ClockError
from pytest_smartattend.evidence.stopwatch import monotonic_ns
from pytest_smartattend.loop import waiting
from pytest_smartattend.loop.flight import Flight
from pytest_smartattend.loop.idle import IdleSelector

T = TypeVar("T")
Args = TypeVarTuple("Args")

_SECOND: Final = 1_000_000_000
#: About 146 years, in nanoseconds, and more than any number of seconds that means a moment.
_NEVER: Final = 1 << 62
#: Modules whose timers are no deadlines: psycopg looks up from every wait each 0.1 s, to see whether somebody pressed
#: Ctrl-C. They keep real time and move nothing, or a slow query would move the clock, and a listening one slow it down.
LOOK_OUTS: Final = frozenset({"psycopg.waiting"})
GUARD: Final = 30 * SECOND
SETTLE: Final = 50 * MILLISECOND


class Timer(asyncio.TimerHandle):
    """What `call_later` returns: asyncio's handle, whose deadline lies in the clock."""

    __slots__ = ("_args_given", "_asked", "_clock", "_context_given", "_deadline", "_on")

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: asyncio.AbstractEventLoop,
        context: contextvars.Context,
        clock: VirtualClock,
    ) -> None:
        super().__init__(when, callback, args, loop, context)
        # asyncio's handle has all these under private names
        self._asked = callback
        self._args_given = args
        self._context_given = context
        self._on = loop
        self._clock = clock
        self._deadline: Deadline | None = None

    def wait_until(self, when_ns: int, set_ns: int) -> None:
        """Fall due at `when_ns`; the real clock reads `set_ns` now."""
        self._deadline = self._clock.call_at(when_ns, self.due, set_ns=set_ns)

    def cancel(self) -> None:
        """As `asyncio.TimerHandle.cancel`."""
        super().cancel()
        if self._deadline is not None:
            self._clock.cancel(self._deadline)
            self._deadline = None

    def due(self) -> None:
        """Call what was asked for, unless somebody cancelled it in the meantime; what it raises goes to the loop."""
        self._deadline = None
        if self.cancelled():
            return
        try:
            self._context_given.run(self._asked, *self._args_given)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as problem:  # noqa: BLE001
            said = {"message": f"Exception in callback {self!r}", "exception": problem, "handle": self}
            self._on.call_exception_handler(said)


class ClockLoop(asyncio.SelectorEventLoop):
    """An event loop on `clock`.

    Args:
        clock: what it reads and, in discrete mode, moves.
        guard: for how long the outside may be silent while time waits for it, in real time; asked each time.
        settle: how long after a piece of an answer another may follow, in real time, where the protocol cannot tell.

    Raises:
        ClockError: another loop moves this clock.
    """

    def __init__(
        self, clock: VirtualClock, *, guard: Callable[[], timedelta] = lambda: GUARD, settle: timedelta = SETTLE
    ) -> None:
        self._virtual = clock
        self._flight = Flight(self._transport_on, nanoseconds(settle))
        self._idle = IdleSelector(
            clock, self._flight, monotonic_ns, lambda: nanoseconds(guard()), lambda: waiting.in_words(self)
        )
        super().__init__(self._idle)
        if clock.driver:
            super().close()  # asyncio complains of a loop that is thrown away open
            raise ClockError(f"{clock.driver} moves this clock already. Close it first, or make a second clock.")
        self._idle.opened()
        clock.driver = "an event loop"
        clock.on_release = self._wake

    @property
    def flight(self) -> Flight:
        """What is in flight on this loop."""
        return self._flight

    def stamp(self) -> int:
        """For deadlines set past `call_later`: their `set_ns`."""
        return self._idle.stamp()

    def run_forever(self) -> None:
        """As `asyncio.BaseEventLoop.run_forever`."""
        self._idle.resumed()
        super().run_forever()

    def close(self) -> None:
        """As `asyncio.BaseEventLoop.close`; the clock can be moved by hand again."""
        if not self.is_closed():
            super().close()
            self._virtual.forget_deadlines()
            self._virtual.driver = ""
            self._virtual.on_release = None

    def _transport_on(self, fd: int) -> asyncio.Transport | None:
        # Private, and pinned by a test: there is no public way from a descriptor to its transport.
        found: asyncio.Transport | None = self._transports.get(fd)  # type: ignore[attr-defined]
        return found

    def _wake(self) -> None:
        # Released in another thread, work in flight may be all that a wait was for.
        with suppress(RuntimeError):  # no loop runs in this thread
            if asyncio.get_running_loop() is self:
                return
        with suppress(RuntimeError):  # it was closed meanwhile
            self.call_soon_threadsafe(_nothing)

    # timers

    def time(self) -> float:
        """Seconds since the clock's start."""
        return self._virtual.elapsed_ns() / _SECOND

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Args], object],
        *args: *Args,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """As `asyncio.BaseEventLoop.call_later`, on this clock."""
        now = self._virtual.elapsed_ns()
        return self._set(now / _SECOND + delay, now + _whole(delay), now, callback, args, context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Args], object],
        *args: *Args,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """As `asyncio.BaseEventLoop.call_at`, on this clock."""
        return self._set(when, _whole(when), self._virtual.elapsed_ns(), callback, args, context)

    def _set(
        self,
        when: float,
        when_ns: int,
        now_ns: int,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: contextvars.Context | None,
    ) -> asyncio.TimerHandle:
        context = contextvars.copy_context() if context is None else context
        timer = Timer(when, callback, args, self, context, self._virtual)
        if getattr(callback, "__module__", None) in LOOK_OUTS:
            self._idle.look_out(when_ns - now_ns, timer.due)
        elif when <= now_ns / _SECOND:
            self.call_soon(timer.due)  # which enters the context itself
        elif when_ns < _NEVER:
            # What rounds to nothing still passes time, or a loop that waits for the rest of a delay would never end.
            timer.wait_until(max(when_ns, now_ns + 1), self._idle.stamp())
        return timer

    # work that no descriptor shows

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Args], T], *args: *Args) -> asyncio.Future[T]:
        """As `asyncio.BaseEventLoop.run_in_executor`; in flight until it is done."""
        future = super().run_in_executor(executor, func, *args)
        self._flight.futures[future] = f"{getattr(func, '__qualname__', None) or repr(func)} in an executor"
        future.add_done_callback(self._flight.futures.pop)
        return future

    async def shutdown_default_executor(self, *limit: float) -> None:
        """As `asyncio.BaseEventLoop.shutdown_default_executor`; its threads are in flight."""
        with self._virtual.busy("the default executor, which ends its threads"):
            await super().shutdown_default_executor(*limit)

    async def subprocess_exec(
        self,
        protocol_factory: Callable[[], Any],
        *args: Any,  # noqa: ANN401
        **options: Any,  # noqa: ANN401
    ) -> tuple[asyncio.SubprocessTransport, Any]:
        """As `asyncio.BaseEventLoop.subprocess_exec`; in flight until it ends, unless declared passive."""
        return self._child(await super().subprocess_exec(protocol_factory, *args, **options))

    async def subprocess_shell(
        self,
        protocol_factory: Callable[[], Any],
        cmd: bytes | str,
        **options: Any,  # noqa: ANN401
    ) -> tuple[asyncio.SubprocessTransport, Any]:
        """As `asyncio.BaseEventLoop.subprocess_shell`; in flight until it ends, unless declared passive."""
        return self._child(await super().subprocess_shell(protocol_factory, cmd, **options))

    def _child(self, made: tuple[asyncio.SubprocessTransport, T]) -> tuple[asyncio.SubprocessTransport, T]:
        self._flight.children.append(made[0])
        return made


def _whole(seconds: float) -> int:
    return round(seconds * _SECOND) if seconds < _NEVER else _NEVER


def _nothing() -> None:
    """What a loop is woken with."""
