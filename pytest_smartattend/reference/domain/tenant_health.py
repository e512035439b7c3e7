"""How a tenant fares, judged from what was recorded in the last hour of the platform's clock (SPEC 3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

#: what is older is not weighed
WINDOW = timedelta(hours=1)

#: endpoints whose refusals count as failures: whoever calls them wants a record and has none
SUBMISSIONS = ("POST /school/attendance", "POST /corporate/checkins")


class HealthStatus(StrEnum):
    """From well to ill."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Load:
    """What was recorded of some requests. `mean_ms` is 0 where there were none."""

    requests: int
    server_errors: int
    failed_submissions: int
    mean_ms: float

    @property
    def failures(self) -> int:
        """5xx, and submissions that were refused."""
        return self.server_errors + self.failed_submissions

    @property
    def failure_rate(self) -> float:
        """The share of failures, from 0 to 1; 0 where there were no requests."""
        return self.failures / self.requests if self.requests else 0.0


class HealthRules:
    """The limits; a limit itself belongs to the milder status.

    Attributes:
        limits: status → the failure rate and the mean milliseconds above which it holds, worst first (SPEC 3).
    """

    def __init__(self) -> None:
        self.limits = {HealthStatus.CRITICAL: (0.15, 10_000.0), HealthStatus.DEGRADED: (0.05, 5_000.0)}

    def since(self, now: datetime) -> datetime:
        """Where the window begins, itself no longer within."""
        return now - WINDOW

    def judge(self, load: Load) -> HealthStatus:
        """The status."""
        for status, (rate, mean_ms) in self.limits.items():
            if load.failure_rate > rate or load.mean_ms > mean_ms:
                return status
        return HealthStatus.HEALTHY
