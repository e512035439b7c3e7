"""What the platform needs from outside and never takes by itself: the time, and new identifiers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID


class Clock(Protocol):
    """The platform's only source of time; the database's ``now()`` is never asked."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        ...


class Alarm(Protocol):
    """What the platform's own workers wait on; it keeps the time of its `Clock`."""

    async def sleep(self, duration: timedelta, *, last: bool = False) -> None:
        """Wait for `duration`, zero or more; with `last`, behind everything else that is due at that instant."""
        ...


class NewId(Protocol):
    """The platform's only source of identifiers."""

    def __call__(self) -> UUID:
        """An identifier that was never handed out before."""
        ...


def write_instant(instant: datetime) -> str:
    """RFC 3339 in UTC, always six decimals and ``Z``: one instant has one spelling, so that it can be hashed.

    Raises:
        ValueError: the instant is naive.
    """
    if instant.tzinfo is None:
        raise ValueError(f"{instant!r} has no time zone; hand over an aware instant")
    written = instant.isoformat("T", "microseconds")
    if not written.endswith("+00:00"):
        written = instant.astimezone(UTC).isoformat("T", "microseconds")
    return f"{written[:-6]}Z"
