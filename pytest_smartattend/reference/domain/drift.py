"""How far a client's clock may be off (SPEC 2): bands by the size of the drift, whatever its sign."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Band(StrEnum):
    """What becomes of a submission: accepted, accepted and flagged, refused, refused with an incident."""

    ACCEPTED = "accepted"
    FLAGGED = "flagged"
    BLOCKED = "blocked"
    CRITICAL = "critical"

    @property
    def refused(self) -> bool:
        """Whether no record is made."""
        return self in {Band.BLOCKED, Band.CRITICAL}


@dataclass(frozen=True, slots=True)
class Thresholds:
    """A tenant's limits; each is the largest drift of its band. The defaults are those of SPEC 2."""

    accepted: timedelta = timedelta(seconds=5)
    flagged: timedelta = timedelta(seconds=300)
    blocked: timedelta = timedelta(seconds=600)


def milliseconds(length: timedelta) -> float:
    """A length in milliseconds, to the microsecond."""
    return length / timedelta(microseconds=1) / 1000


class DriftRules:
    """Judges the clocks of clients."""

    def drift(self, client_time: datetime, now: datetime) -> timedelta:
        """The client's clock minus ours; positive where it is ahead."""
        return client_time - now

    def size(self, drift: timedelta) -> timedelta:
        """How far off, in either direction."""
        return abs(drift)

    def band(self, drift: timedelta, thresholds: Thresholds) -> Band:
        """The band of a drift; a limit itself belongs to the milder band."""
        size = self.size(drift)
        if size <= thresholds.accepted:
            return Band.ACCEPTED
        if size <= thresholds.flagged:
            return Band.FLAGGED
        return Band.BLOCKED if size <= thresholds.blocked else Band.CRITICAL

    def hour(self, now: datetime) -> datetime:
        """The hour in which a device raises one incident at most."""
        return now.replace(minute=0, second=0, microsecond=0)
