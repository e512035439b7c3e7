"""Faults of the machines themselves, as values: clocks that are wrong, and processes that die or stand still.

`injectors.node_clocks` and `injectors.worker_processes` carry them out.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from pytest_smartattend.engine.faults import Fault
from pytest_smartattend.engine.units import in_words


@dataclass(frozen=True)
class ClockFault(Fault):
    """A clock that is wrong: that of the machine called `node`."""

    node: str = dataclasses.field(default="device", kw_only=True)


@dataclass(frozen=True)
class Skew(ClockFault):
    """The clock is off by `offset`: ahead, or behind where it is negative."""

    kind: ClassVar[str] = "skew"
    offset: timedelta

    def describe(self) -> str:
        """The fault in plain words."""
        return (
            f"clock of {self.node} {in_words(abs(self.offset))} {'behind' if self.offset < timedelta(0) else 'ahead'}"
        )


@dataclass(frozen=True)
class Drift(ClockFault):
    """From the moment at which the fault is laid, the clock gains `ppm` microseconds a second, or loses them."""

    kind: ClassVar[str] = "drift"
    ppm: float

    def describe(self) -> str:
        """The fault in plain words."""
        return f"clock of {self.node} {'loses' if self.ppm < 0 else 'gains'} {abs(self.ppm):g} µs a second"


@dataclass(frozen=True)
class ProcessFault(Fault):
    """Something happens to one worker process: the `worker`-th by age, from 0, or where it is None one that is drawn."""

    worker: int | None = dataclasses.field(default=None, kw_only=True)

    def _who(self) -> str:
        return "a worker" if self.worker is None else f"worker {self.worker}"


@dataclass(frozen=True)
class Kill(ProcessFault):
    """The worker ends at once (SIGKILL), with whatever it was doing. Healed when as many run as before."""

    kind: ClassVar[str] = "kill"

    def describe(self) -> str:
        """The fault in plain words."""
        return f"{self._who()} killed"


@dataclass(frozen=True)
class Pause(ProcessFault):
    """The worker stands still (SIGSTOP), with its connections and locks held, until the fault heals (SIGCONT)."""

    kind: ClassVar[str] = "pause"

    def describe(self) -> str:
        """The fault in plain words."""
        return f"{self._who()} paused"


@dataclass(frozen=True)
class Restart(ProcessFault):
    """The worker is asked to end (SIGTERM) and replaced. Healed when as many run as before."""

    kind: ClassVar[str] = "restart"

    def describe(self) -> str:
        """The fault in plain words."""
        return f"{self._who()} restarted"


NODE_KINDS: dict[str, type[Fault]] = {fault.kind: fault for fault in (Skew, Drift, Kill, Pause, Restart)}
