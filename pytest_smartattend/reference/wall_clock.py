"""The real time and real identifiers: what a platform in production is given."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime


class WallClock:
    """This machine's clock. Fits `domain.ports.Clock`."""

    def now(self) -> datetime:
        """The present instant in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - the one place where the platform's clock is made


def new_id() -> uuid.UUID:
    """A random identifier. Fits `domain.ports.NewId`."""
    return uuid.uuid4()
