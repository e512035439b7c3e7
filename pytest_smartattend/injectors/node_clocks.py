"""Clocks of machines that are wrong for the length of a ``with``: each machine reads its own.

    clocks = NodeClocks(platform_clock.now)
    with clocks.fault(Skew(-301 * SECOND, node="device")):
        clocks.now("device")                         # five minutes and a second behind

Healing takes effect with the next reading: there is nothing between us and the reading that could lag.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from pytest_smartattend.engine.node_faults import ClockFault, Drift, Skew
from pytest_smartattend.errors import FaultNeverFired


class HeldClockFault:
    """A fault while it holds, and what is known of it afterwards.

    Attributes:
        fault: the value.
        fault_id: its name in reports, such as ``clocks/1:skew``.
        seed: nothing is drawn; kept because every fault in a report has one.
        fired: how often the clock was read while it was wrong.
        laid: when the fault was laid, on the right clock.
    """

    def __init__(self, fault: ClockFault, fault_id: str, seed: int, laid: datetime) -> None:
        self.fault = fault
        self.fault_id = fault_id
        self.seed = seed
        self.fired = 0
        self.laid = laid

    @property
    def replayable(self) -> list[str]:
        """Every reading is hit."""
        return [self.fault_id] * self.fired

    def error(self, now: datetime) -> timedelta:
        """How far the clock is off at `now`."""
        if isinstance(self.fault, Skew):
            return self.fault.offset
        assert isinstance(self.fault, Drift)
        return (now - self.laid) * (self.fault.ppm / 1e6)


class NodeClocks:
    """The clocks of any number of machines, by name; right unless a fault holds. Errors of one machine add up.

    Args:
        now: the right time.
        name: how reports call the path.
        seed: see `HeldClockFault`.
    """

    carries: Final = ClockFault

    def __init__(self, now: Callable[[], datetime], *, name: str = "clocks", seed: int = 0) -> None:
        self.name = name
        self.seed = seed
        self._now = now
        self._held: list[HeldClockFault] = []
        self._installed = 0

    def now(self, node: str) -> datetime:
        """What the clock of `node` reads."""
        now = self._now()
        off = timedelta()
        for held in self._held:
            if held.fault.node == node:
                held.fired += 1
                off += held.error(now)
        return now + off

    @contextmanager
    def fault(self, fault: ClockFault, *, may_not_fire: bool = False) -> Iterator[HeldClockFault]:
        """Hold `fault` for the length of the ``with``.

        Raises:
            FaultNeverFired: nobody read the clock while it was wrong.
        """
        self._installed += 1
        held = HeldClockFault(fault, f"{self.name}/{self._installed}:{fault.kind}", self.seed, self._now())
        self._held.append(held)
        try:
            yield held
        finally:
            self._held.remove(held)
        if not held.fired and not may_not_fire:
            raise FaultNeverFired(
                f"{held.fault_id} ({fault.describe()}) never fired: nobody read that clock. "
                f"Take the time from now({fault.node!r}), or allow it with may_not_fire=True."
            )
