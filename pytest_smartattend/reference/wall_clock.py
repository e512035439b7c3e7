"""The real time and real identifiers: what a platform in production is given."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta


class WallClock:
    """This machine's clock. Fits `domain.ports.Clock` and `domain.ports.Alarm`."""

    def now(self) -> datetime:
        """The present instant in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - the one place where the platform's clock is made

    async def sleep(self, duration: timedelta, *, last: bool = False) -> None:
        """Wait for `duration`. Two things are never due at one instant here, so nothing comes last."""
        await asyncio.sleep(duration.total_seconds())


def new_id() -> uuid.UUID:
    """A random identifier. Fits `domain.ports.NewId`."""
    return uuid.uuid4()
