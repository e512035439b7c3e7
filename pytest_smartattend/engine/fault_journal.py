"""What a proxy decided and what it did: enough to see that a seed gave the same faults again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Entry:
    """One line of the journal.

    Attributes:
        fault: the fault's id in its proxy, such as ``database/1:latency``.
        event: ``decided``, before anything happens, or ``fired``, the first time that it acted there.
        connection: the ordinal, from 0, of the connection among those that the fault met.
        nth: the ordinal of the acknowledgement on that connection for `AckLoss`, else 0.
        draw: the draw in [0, 1); the event is hit when it is below the fault's probability.
        at: when, in seconds since the proxy started. No part of what a seed promises.
    """

    fault: str
    event: Literal["decided", "fired"]
    connection: int
    nth: int
    draw: float
    at: float

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, field by field."""
        return asdict(self)


def replayable(entries: Iterable[Entry]) -> list[tuple[str, int, int, str, float]]:
    """What the same seed and the same traffic give again: everything but the times, in an order of its own.

    Connections that arrive at once may swap their ordinals from run to run; the list as a whole stays the same as long
    as they are alike.
    """
    return sorted((entry.fault, entry.connection, entry.nth, entry.event, entry.draw) for entry in entries)
