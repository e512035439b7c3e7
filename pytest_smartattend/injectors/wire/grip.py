"""A fault that is installed, and its grip on each connection: the draw, whether it fired, the journal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pytest_smartattend.engine.dice import decide
from pytest_smartattend.engine.fault_journal import Entry
from pytest_smartattend.engine.faults import AckLoss, ConnectionFault, Fault


class ActiveFault:
    """One installed fault.

    Attributes:
        fault: the value.
        fired: connections on which it acted; for `AckLoss`, acknowledgements that it lost.
        entries: its journal, oldest first.
    """

    def __init__(self, fault_id: str, fault: Fault, seed: int, seconds: Callable[[], float]) -> None:
        self.fault = fault
        self.fired = 0
        self.entries: list[Entry] = []
        self._id = fault_id
        self._seed = seed
        self._seconds = seconds
        self._met = 0

    def meet(self) -> Grip | None:
        """Decide about the next connection; None when it is spared."""
        number = self._met
        self._met += 1
        grip = Grip(self, number)
        if isinstance(self.fault, AckLoss) or not isinstance(self.fault, ConnectionFault):
            return grip
        grip.drawn = self.draw("connection", number)
        self.note("decided", number, 0, grip.drawn)
        return grip if grip.drawn < self.fault.probability else None

    def draw(self, key: str, n: int) -> float:
        """The draw for the `n`-th event of `key`."""
        return decide(self._seed, self._id, key, n)

    def note(self, event: Literal["decided", "fired"], connection: int, nth: int, draw: float) -> None:
        """Write one line into the journal."""
        self.entries.append(Entry(self._id, event, connection, nth, draw, round(self._seconds(), 6)))


class Grip:
    """What an installed fault has decided about one connection.

    Attributes:
        active: the installed fault.
        number: the connection's ordinal among those that the fault met.
        drawn: the draw that decided.
    """

    def __init__(self, active: ActiveFault, number: int) -> None:
        self.active = active
        self.number = number
        self.drawn = 0.0
        self._acted = False

    def vary(self, way: str, n: int) -> float:
        """A draw in [-1, 1) for the `n`-th piece of one direction. Not journaled: seed and ordinals give it again."""
        return 2 * self.active.draw(f"connection {self.number} {way}", n) - 1

    def decide(self, nth: int, probability: float) -> bool:
        """Whether the `nth` event on this connection is hit."""
        draw = self.active.draw(f"connection {self.number}", nth)
        self.active.note("decided", self.number, nth, draw)
        self.drawn = draw
        return draw < probability

    def acted(self) -> None:
        """Count this connection as hit, once."""
        if not self._acted:
            self._acted = True
            self.acted_on(0)

    def acted_on(self, nth: int) -> None:
        """Count the `nth` event as hit."""
        self.active.fired += 1
        self.active.note("fired", self.number, nth, self.drawn)
