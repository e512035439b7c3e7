"""A fault's hold on one connection: stages in its flows, a timer, or a wait before it opens."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from pytest_smartattend.engine.faults import AckLoss, ByteFault, Down, ResetPeer, Silence, SlowOpen
from pytest_smartattend.engine.units import SECOND
from pytest_smartattend.injectors.wire.postgres_acks import AckLossStage, NegotiationStage
from pytest_smartattend.injectors.wire.stages import stage_for

if TYPE_CHECKING:
    from pytest_smartattend.injectors.wire.connection import Connection
    from pytest_smartattend.injectors.wire.flow import Flow
    from pytest_smartattend.injectors.wire.grip import Grip
    from pytest_smartattend.injectors.wire.loop import Timer
    from pytest_smartattend.injectors.wire.pieces import Stage


class Hold:
    """What a fault has put into one connection, so that it can be taken out again."""

    def __init__(self) -> None:
        self._stages: list[tuple[Flow, Stage]] = []
        self._timer: Timer | None = None

    def add(self, flow: Flow, stage: Stage) -> None:
        """Put `stage` into `flow`."""
        flow.add(stage)
        self._stages.append((flow, stage))

    def later(self, connection: Connection, seconds: float, act: Callable[[], None]) -> None:
        """Call `act` after so long."""
        self._timer = connection.loop.call_at(monotonic() + seconds, act)

    def drop(self) -> None:
        """The connection is gone: leave no timer."""
        if self._timer is not None:
            self._timer.cancel()

    def lift(self) -> None:
        """Take everything out; stages hand on what they kept."""
        self.drop()
        for flow, stage in self._stages:
            flow.remove(stage)


def take_hold(connection: Connection, grip: Grip) -> Hold:
    """Carry out on `connection` what `grip` has decided."""
    hold = Hold()
    fault = grip.active.fault
    match fault:
        case Down():
            _act_after(hold, connection, grip, 0, connection.abort)
        case ResetPeer():
            _act_after(hold, connection, grip, fault.after / SECOND, connection.abort)
        case SlowOpen():
            if not connection.opened:
                connection.wait += fault.delay / SECOND
                grip.acted()
        case AckLoss():
            negotiation = NegotiationStage(connection.up, is_new=not connection.opened)
            hold.add(connection.up, negotiation)
            hold.add(connection.down, AckLossStage(connection.down, grip, fault, negotiation))
        case ByteFault():
            for flow in (connection.up, connection.down):
                if fault.direction in (flow.way, "both"):
                    hold.add(flow, stage_for(fault, flow, grip))
            if isinstance(fault, Silence) and fault.after is not None:
                _act_after(hold, connection, grip, fault.after / SECOND, connection.hang_up)
    return hold


def _act_after(hold: Hold, connection: Connection, grip: Grip, seconds: float, act: Callable[[], None]) -> None:
    def fire() -> None:
        grip.acted()
        act()

    if seconds:
        hold.later(connection, seconds, fire)
    else:
        fire()
