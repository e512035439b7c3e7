"""What each fault does to the pieces of one flow. One class per fault, named after it."""

from __future__ import annotations

import math
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Final

from pytest_smartattend.engine.faults import (
    Bandwidth,
    ByteFault,
    Latency,
    LimitData,
    Partition,
    Silence,
    Slicer,
    SlowClose,
)
from pytest_smartattend.engine.units import SECOND
from pytest_smartattend.injectors.wire.pieces import Mark, Piece, Stage

if TYPE_CHECKING:
    from pytest_smartattend.injectors.wire.flow import Flow
    from pytest_smartattend.injectors.wire.grip import Grip
    from pytest_smartattend.injectors.wire.loop import Timer

#: a narrow line hands on so many slices in a second
_SLICES_PER_SECOND: Final = 50


class DelayLine(Stage):
    """Hands pieces on later, whole or in slices, never out of order. Subclasses say when and how much.

    Slices are cut one at a time, when their turn comes, so that a megabyte in slices of one byte stays a megabyte.
    """

    def __init__(self, flow: Flow, grip: Grip) -> None:
        super().__init__(flow)
        self.grip = grip
        self.last = -math.inf  # when the last slice was due, which paces the next
        self._pieces: deque[tuple[float, Piece]] = deque()
        self._offset = 0  # how much of the first piece is gone
        self._planned: tuple[float, int] | None = None
        self._timer: Timer | None = None

    def plan(self, arrived: float, piece: Piece, remaining: int) -> tuple[float, int]:
        """When the next slice of `piece` is due (`monotonic`; infinity: when healed), and its size in bytes."""
        raise NotImplementedError

    def take(self, piece: Piece) -> None:
        """Keep `piece` until it is due."""
        if isinstance(piece, bytes):
            self.flow.held += len(piece)
        self._pieces.append((monotonic(), piece))
        if len(self._pieces) == 1:
            self._advance()

    def release(self) -> None:
        """Hand everything on at once."""
        self._cancel()
        while self._pieces:
            self._hand_on(len(self._pieces[0][1]) if isinstance(self._pieces[0][1], bytes) else 0)

    def drop(self) -> None:
        """Forget what is kept."""
        self._cancel()
        self._pieces.clear()

    def _advance(self) -> None:
        while self._pieces:
            arrived, piece = self._pieces[0]
            if self._planned is None:
                remaining = len(piece) - self._offset if isinstance(piece, bytes) else 0
                self._planned = self.plan(arrived, piece, remaining)
            due, size = self._planned
            if due > monotonic():
                if due < math.inf:
                    self._timer = self.flow.connection.loop.call_at(due, self._wake)
                return
            self.last = due
            self._planned = None
            self._hand_on(size)

    def _wake(self) -> None:
        self._timer = None
        self._advance()
        self.flow.pace()

    def _hand_on(self, size: int) -> None:
        _, piece = self._pieces[0]
        if not isinstance(piece, bytes):
            self._pieces.popleft()
            self.after.take(piece)
            return
        part = piece[self._offset : self._offset + size]
        self._offset += len(part)
        if self._offset >= len(piece):
            self._pieces.popleft()
            self._offset = 0
        self.flow.held -= len(part)
        self.after.take(part)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class LatencyStage(DelayLine):
    """Every piece so much later; the draws of its jitter are counted by piece."""

    def __init__(self, flow: Flow, grip: Grip, fault: Latency) -> None:
        super().__init__(flow, grip)
        self._delay = fault.delay / SECOND
        self._jitter = fault.jitter / SECOND
        self._drawn = 0

    def plan(self, arrived: float, piece: Piece, remaining: int) -> tuple[float, int]:
        """After delay ± jitter, whole; its turn comes after the piece in front of it, which keeps the order."""
        self.grip.acted()
        delay = self._delay
        if self._jitter:
            delay += self._jitter * self.grip.vary(self.flow.way, self._drawn)
            self._drawn += 1
        return arrived + delay, remaining


class BandwidthStage(DelayLine):
    """Slices as large as the line carries in a fiftieth of a second."""

    def __init__(self, flow: Flow, grip: Grip, fault: Bandwidth) -> None:
        super().__init__(flow, grip)
        self._rate = fault.bytes_per_second
        self._slice = max(1, self._rate // _SLICES_PER_SECOND)

    def plan(self, arrived: float, piece: Piece, remaining: int) -> tuple[float, int]:
        """When the line has carried the slice."""
        if not isinstance(piece, bytes):
            return max(arrived, self.last), 0
        self.grip.acted()
        size = min(self._slice, remaining)
        return max(arrived, self.last) + size / self._rate, size


class SlicerStage(DelayLine):
    """Slices of so many bytes, so far apart."""

    def __init__(self, flow: Flow, grip: Grip, fault: Slicer) -> None:
        super().__init__(flow, grip)
        self._bytes = fault.bytes
        self._delay = fault.delay / SECOND

    def plan(self, arrived: float, piece: Piece, remaining: int) -> tuple[float, int]:
        """One delay after the slice before."""
        if not isinstance(piece, bytes):
            return max(arrived, self.last), 0
        due = self.last + self._delay
        if remaining > self._bytes or due > arrived:
            self.grip.acted()
        return max(arrived, due), min(self._bytes, remaining)


class SlowCloseStage(DelayLine):
    """Bytes pass, the end of the stream waits."""

    def __init__(self, flow: Flow, grip: Grip, fault: SlowClose) -> None:
        super().__init__(flow, grip)
        self._delay = fault.delay / SECOND

    def plan(self, arrived: float, piece: Piece, remaining: int) -> tuple[float, int]:
        """Bytes at once, the end later."""
        if isinstance(piece, bytes):
            return arrived, remaining
        self.grip.acted()
        return arrived + self._delay, 0


class PartitionStage(DelayLine):
    """Nothing passes until healed."""

    def __init__(self, flow: Flow, grip: Grip, _: Partition) -> None:
        super().__init__(flow, grip)

    def plan(self, arrived: float, piece: Piece, remaining: int) -> tuple[float, int]:
        """Never."""
        self.grip.acted()
        return math.inf, 0


class SilenceStage(Stage):
    """Swallows everything; a connection that lost something cannot go on after it."""

    def __init__(self, flow: Flow, grip: Grip, _: Silence) -> None:
        super().__init__(flow)
        self._grip = grip
        self._lost = False

    def take(self, piece: Piece) -> None:
        """Lose `piece`."""
        self._lost = True
        self._grip.acted()

    def release(self) -> None:
        """Reset the connection, if its stream has a hole."""
        if self._lost:
            self.flow.connection.abort()


class LimitDataStage(Stage):
    """Lets so many bytes pass, then closes."""

    def __init__(self, flow: Flow, grip: Grip, fault: LimitData) -> None:
        super().__init__(flow)
        self._grip = grip
        self._left = fault.bytes

    def take(self, piece: Piece) -> None:
        """Hand on what is within the limit, and close at the limit."""
        if self._left <= 0:
            return
        if not isinstance(piece, bytes):
            self.after.take(piece)
            return
        part = piece[: self._left]
        self._left -= len(part)
        if self._left == 0:
            self._grip.acted()
        self.after.take(part)
        if self._left == 0:
            self.after.take(Mark.CLOSE)


def stage_for(fault: ByteFault, flow: Flow, grip: Grip) -> Stage:
    """The stage that carries `fault` out in `flow`."""
    match fault:
        case Latency():
            return LatencyStage(flow, grip, fault)
        case Bandwidth():
            return BandwidthStage(flow, grip, fault)
        case Slicer():
            return SlicerStage(flow, grip, fault)
        case LimitData():
            return LimitDataStage(flow, grip, fault)
        case Silence():
            return SilenceStage(flow, grip, fault)
        case Partition():
            return PartitionStage(flow, grip, fault)
        case SlowClose():
            return SlowCloseStage(flow, grip, fault)
    raise NotImplementedError(f"no stage carries out {fault.kind}; write one and add it here")
