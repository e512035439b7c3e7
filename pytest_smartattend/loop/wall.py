"""The bridge to `datetime` and `time`: code that reads the wall's clock itself sees the virtual one.

What follows: `datetime.now`, `utcnow`, `today`, `date.today`, `time.time`, `time_ns`, `gmtime`, `localtime`, `strftime`.
What does not: `time.monotonic` and `perf_counter`, which measure; asyncio's own timers have a clock of their own.

freezegun does it by default. It replaces names in every loaded module, which takes milliseconds. time-machine, where it
is installed, replaces the functions below them, which takes microseconds; it can only follow a discrete clock.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

import freezegun
from freezegun import api

from pytest_smartattend.engine.clock import VirtualClock
from pytest_smartattend.errors import ClockError

#: What freezegun replaces too, and we put back: a deadline of a library's own must not stand still with the calendar.
_MEASURES: Final = ("monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns")
_OWN: list[object] = []


def _refuse_another() -> None:
    if _OWN:
        raise ClockError("the wall's clock follows a virtual one already. Leave the first `with clock.wall()` before.")
    if api.freeze_factories:
        raise ClockError(
            "freezegun holds the time already, and a calendar cannot follow two clocks. Leave your freeze_time out of "
            "this test, or leave `clock.wall()` out and move the frozen time yourself."
        )
    time_machine = sys.modules.get("time_machine")
    if time_machine is not None and time_machine.escape_hatch.is_travelling():
        raise ClockError(
            "time-machine holds the time already, and a calendar cannot follow two clocks. Leave your travel out of this "
            "test, or leave `clock.wall()` out and move the travelled time yourself."
        )


@contextmanager
def through_freezegun(clock: VirtualClock) -> Iterator[None]:
    """Let the calendar follow `clock`, in any mode.

    Raises:
        ClockError: something else holds the time, also when it began to within the ``with``.
    """
    _refuse_another()

    def told() -> datetime:
        return clock.now().replace(tzinfo=None)

    def undisturbed() -> None:
        if api.freeze_factories[-1] is not told:
            raise ClockError(
                "freezegun was told to freeze time within `clock.wall()`, and a calendar cannot follow two clocks. Leave "
                "your freeze_time out: this clock moves the calendar."
            )

    freezer = freezegun.freeze_time(told())
    freezer.start()
    # Not a private name, but no documented one either; a test pins it.
    api.freeze_factories[-1] = told  # type: ignore[call-overload]
    _let_measures_be(freezer)
    _OWN.append(told)
    try:
        with clock.following(undisturbed):
            yield
            undisturbed()
    finally:
        _OWN.remove(told)
        freezer.stop()


def _let_measures_be(freezer: Any) -> None:  # noqa: ANN401
    real = {name: getattr(api, f"real_{name}") for name in _MEASURES}
    for name, function in real.items():
        setattr(time, name, function)
    for module, attribute, original in freezer.undo_changes:
        if original in real.values():
            setattr(module, attribute, original)


@contextmanager
def through_time_machine(clock: VirtualClock) -> Iterator[None]:
    """Let the calendar follow a discrete `clock`.

    Raises:
        ClockError: time-machine is not installed; the clock is not discrete; something else holds the time.
    """
    try:
        time_machine = importlib.import_module("time_machine")
    except ImportError:
        raise ClockError(
            "time-machine is not installed. Install pytest-smartattend[time-machine], or take freezegun."
        ) from None
    if clock.mode != "discrete":
        raise ClockError(f"time-machine cannot follow a {clock.mode} clock. Take freezegun: clock.wall('freezegun').")
    _refuse_another()
    with time_machine.travel(clock.now(), tick=False) as traveller:
        _OWN.append(traveller)
        try:
            with clock.following(lambda: traveller.move_to(clock.now(), tick=False)):
                yield
        finally:
            _OWN.remove(traveller)
