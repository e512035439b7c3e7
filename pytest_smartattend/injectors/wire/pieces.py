"""What travels from one end of a connection to the other: bytes, and what becomes of the stream."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pytest_smartattend.injectors.wire.flow import Flow


class Mark(Enum):
    """What is not bytes."""

    END = "the sender will send no more (FIN)"
    RESET = "the sender is gone (RST)"
    CLOSE = "a fault closes the connection once what is before this has passed"


Piece = bytes | Mark


class Taker(Protocol):
    """Something that a piece can be handed to: a stage, or the flow's end."""

    def take(self, piece: Piece) -> None:
        """Take `piece` after all pieces before it."""


class Stage:
    """A fault at work in one flow. Hands on to `after` what it lets through, in order.

    Bytes that it keeps are counted in `flow.held`, so that the flow stops reading before memory fills.
    """

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.after: Taker = flow

    def take(self, piece: Piece) -> None:
        """Take `piece` after all pieces before it."""
        raise NotImplementedError

    def release(self) -> None:
        """Heal: hand on what is kept. Called once, when the stage is already out of the flow."""

    def drop(self) -> None:
        """Forget what is kept: the connection is gone."""
