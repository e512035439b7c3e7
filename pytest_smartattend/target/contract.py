"""What a SmartAttend platform promises, as tables: the tester's own copy of the specification.

These tables are written down a second time on purpose. Were they imported from the reference platform, a defect in its
tables would change what is expected along with what is seen, and no check could notice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import combinations

STATUSES = ("open", "acknowledged", "escalated", "investigating", "mitigating", "resolved", "closed")

#: the 13 legal transitions: (from, to) → the endpoint that makes it
LEGAL: dict[tuple[str, str], str] = {
    ("open", "acknowledged"): "acknowledge",
    ("open", "escalated"): "escalate",
    ("acknowledged", "escalated"): "escalate",
    ("acknowledged", "investigating"): "investigate",
    ("escalated", "escalated"): "escalate",
    ("escalated", "investigating"): "investigate",
    ("investigating", "escalated"): "escalate",
    ("investigating", "mitigating"): "mitigate",
    ("mitigating", "escalated"): "escalate",
    ("mitigating", "investigating"): "investigate",
    ("mitigating", "resolved"): "resolve",
    ("resolved", "closed"): "close",
    ("resolved", "investigating"): "reopen",
}

#: the 36 others
ILLEGAL: tuple[tuple[str, str], ...] = tuple(
    (before, after) for before in STATUSES for after in STATUSES if (before, after) not in LEGAL
)

#: target status → the endpoint that asks for it; nothing asks for ``open``
ENDPOINT_TO: dict[str, str] = {
    "acknowledged": "acknowledge",
    "escalated": "escalate",
    "investigating": "investigate",
    "mitigating": "mitigate",
    "resolved": "resolve",
    "closed": "close",
}

SEVERITIES = ("low", "medium", "high", "critical")
LEVELS = ("level_1", "level_2", "level_3", "executive")
LEAST_LEVEL: dict[str, str] = dict(zip(SEVERITIES, LEVELS, strict=True))

RESOLUTION_FIELDS = ("root_cause", "remediation_steps", "prevention_measures")
#: the eight subsets of the three fields, from none to all
RESOLUTION_SUBSETS: tuple[tuple[str, ...], ...] = tuple(
    subset for size in range(len(RESOLUTION_FIELDS) + 1) for subset in combinations(RESOLUTION_FIELDS, size)
)
#: characters after trimming, of a root cause and of each field of a resolution
LEAST_TEXT = 10
#: one character short of that, as a reader counts them; in UTF-8 it has bytes enough
TOO_SHORT = "ä" * (LEAST_TEXT - 1)

#: severity → (acknowledge within, resolve within), both from creation
SLA: dict[str, tuple[timedelta, timedelta]] = {
    "critical": (timedelta(minutes=15), timedelta(hours=4)),
    "high": (timedelta(minutes=30), timedelta(hours=8)),
    "medium": (timedelta(hours=2), timedelta(hours=24)),
    "low": (timedelta(hours=8), timedelta(hours=72)),
}

#: roles, least first; ``nobody`` is a caller without a token
ROLES = ("nobody", "member", "staff", "admin", "superadmin")

#: what "short-lived" means for a token that the platform gives; the specification gives no figure
SHORT_LIVED = timedelta(hours=1)

APPEND_ONLY = ("timeline", "escalations", "root_causes", "refusals", "exports")

HANDOFF_APPEND_ONLY = ("handoffs", "handoff_endings", "handoff_refusals")

ATTENDANCE_STATES = ("VERIFIED", "FLAGGED", "REVOKED", "MANUAL_OVERRIDE")
#: the 5 pairs of attendance states that are refused; the 11 others are legal
ATTENDANCE_ILLEGAL = (*((state, state) for state in ATTENDANCE_STATES), ("REVOKED", "FLAGGED"))
ATTENDANCE_APPEND_ONLY = (
    "attendance",
    "attendance_history",
    "corrections",
    "correction_reverts",
    "attendance_refusals",
)
#: kind of tenant → the value of a submission that names whom it is about
PERSON: dict[str, str] = {"school": "student_id", "corporate": "employee_id"}
#: kind of tenant → the value of a submission that names the day
DAY: dict[str, str] = {"school": "date", "corporate": "shift_date"}
#: a day on which nobody has a shift
WITHOUT_SHIFT = "1999-01-01"
CORRECTION_TYPES = (
    "data_entry_error",
    "biometric_revalidation",
    "system_override",
    "policy_exception",
    "duplicate_entry_removal",
    "time_synchronization_fix",
    "device_malfunction_correction",
    "attendance_appeal_approved",
)
#: how far a client's clock may be off: band → the largest drift that still belongs to it; beyond all is ``critical``
DRIFT_LIMITS: dict[str, timedelta] = {
    "accepted": timedelta(seconds=5),
    "flagged": timedelta(seconds=300),
    "blocked": timedelta(seconds=600),
}


def drift_band(drift: timedelta) -> str:
    """The band of a drift, whatever its sign: accepted, flagged, blocked or critical."""
    fitting = (band for band, limit in DRIFT_LIMITS.items() if abs(drift) <= limit)
    return next(fitting, "critical")


#: health of a tenant, worst first → the failure rate and the mean latency above either of which it holds
HEALTH_LIMITS: dict[str, tuple[float, timedelta]] = {
    "critical": (0.15, timedelta(seconds=10)),
    "degraded": (0.05, timedelta(seconds=5)),
}


def health(failure_rate: float, mean_latency: timedelta) -> str:
    """The health of a tenant whose last hour was this: critical, degraded or healthy."""
    over = (name for name, (rate, mean) in HEALTH_LIMITS.items() if failure_rate > rate or mean_latency > mean)
    return next(over, "healthy")


@dataclass(frozen=True)
class Endpoint:
    """One row of the API's table.

    Attributes:
        method: the HTTP method.
        path: below ``/api``, with ``{id}`` for an incident's id.
        least: the least role that may call it.
        status: the status of an incident on which the call succeeds; None where it needs no incident, or any will do.
    """

    method: str
    path: str
    least: str
    status: str | None = None

    @property
    def name(self) -> str:
        """A name for cells of tables: ``post-incidents-id-acknowledge``."""
        words = [self.method.lower(), *self.path.strip("/").replace("{id}", "id").split("/")]
        return "-".join(words)

    @property
    def has_row(self) -> bool:
        """Whether the call names one incident."""
        return "{id}" in self.path

    def admits(self, role: str) -> bool:
        """Whether `role` is enough."""
        return ROLES.index(role) >= ROLES.index(self.least)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/auth/me", "member"),
    Endpoint("POST", "/incidents", "staff"),
    Endpoint("GET", "/incidents", "staff"),
    Endpoint("GET", "/incidents/{id}", "staff"),
    Endpoint("GET", "/incidents/{id}/timeline", "staff"),
    Endpoint("GET", "/incidents/{id}/escalations", "staff"),
    Endpoint("GET", "/incidents/{id}/root-causes", "staff"),
    Endpoint("GET", "/incidents/{id}/refusals", "staff"),
    Endpoint("GET", "/incidents/{id}/sla", "staff"),
    Endpoint("PATCH", "/incidents/{id}/severity", "admin", "open"),
    Endpoint("POST", "/incidents/{id}/acknowledge", "admin", "open"),
    Endpoint("POST", "/incidents/{id}/escalate", "admin", "open"),
    Endpoint("POST", "/incidents/{id}/investigate", "admin", "acknowledged"),
    Endpoint("POST", "/incidents/{id}/root-cause", "admin", "investigating"),
    Endpoint("POST", "/incidents/{id}/mitigate", "admin", "investigating"),
    Endpoint("POST", "/incidents/{id}/resolve", "admin", "mitigating"),
    Endpoint("POST", "/incidents/{id}/close", "admin", "resolved"),
    Endpoint("POST", "/incidents/{id}/reopen", "admin", "resolved"),
    Endpoint("POST", "/validation/incidents/{id}/export", "admin"),
    Endpoint("POST", "/validation/incidents/export", "admin"),
)

#: those of attendance that name one row: a record's, or for a revert a correction's
ATTENDANCE_ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/attendance/{id}", "staff"),
    Endpoint("GET", "/attendance/{id}/history", "staff"),
    Endpoint("POST", "/attendance/{id}/state", "staff"),
    Endpoint("GET", "/corrections/history/{id}", "staff"),
    Endpoint("POST", "/corrections/{id}", "staff"),
    Endpoint("POST", "/corrections/{id}/revert", "admin"),
)

#: those that submit attendance: a member's own, or anybody's for staff and above
SUBMISSIONS: tuple[Endpoint, ...] = (
    Endpoint("POST", "/school/attendance", "member"),
    Endpoint("POST", "/corporate/checkins", "member"),
)

#: those that tell about the tenant as a whole, or about the platform's time
OVERVIEWS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/metrics/health-status", "admin"),
    Endpoint("GET", "/metrics/failure-rates", "admin"),
    Endpoint("GET", "/metrics/api-latency", "admin"),
    Endpoint("GET", "/metrics/clock-drift", "admin"),
    Endpoint("GET", "/time/sync", "nobody"),
)

INITIATE_HANDOFF = Endpoint("POST", "/validation/handoff/initiate", "admin")
#: those that name one handoff; whoever is named in it must accept or reject
HANDOFFS: tuple[Endpoint, ...] = (
    Endpoint("POST", "/validation/handoff/{id}/accept", "admin"),
    Endpoint("POST", "/validation/handoff/{id}/reject", "admin"),
    Endpoint("GET", "/validation/handoff/{id}/briefing", "admin"),
)

#: those that need no token
OPEN_DOORS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/health", "nobody"),
    Endpoint("POST", "/time/validate", "nobody"),
    Endpoint("POST", "/auth/login", "nobody"),
)

#: all that the document of the contract must list
LISTED: tuple[Endpoint, ...] = (
    *OPEN_DOORS,
    *ENDPOINTS,
    *ATTENDANCE_ENDPOINTS,
    *SUBMISSIONS,
    *OVERVIEWS,
    INITIATE_HANDOFF,
    *HANDOFFS,
)

RESOLUTION: dict[str, str] = {
    "root_cause": "The connection pool was smaller than the worker count.",
    "remediation_steps": "The pool was enlarged and the workers were restarted.",
    "prevention_measures": "An alert now watches how long callers wait for a connection.",
}

#: a body with which a call succeeds on an incident of severity high, for each action
BODIES: dict[str, dict[str, str]] = {
    "acknowledge": {},
    "escalate": {"level": "level_3"},
    "investigate": {},
    "root-cause": {"root_cause": RESOLUTION["root_cause"], "confidence": "medium"},
    "mitigate": {},
    "resolve": RESOLUTION,
    "close": {},
    "reopen": {},
    "severity": {"severity": "critical", "reason": "More tenants are affected than was thought."},
}

#: status → the actions that lead there from ``open``
WAY_TO: dict[str, tuple[str, ...]] = {
    "open": (),
    "acknowledged": ("acknowledge",),
    "escalated": ("escalate",),
    "investigating": ("acknowledge", "investigate"),
    "mitigating": ("acknowledge", "investigate", "mitigate"),
    "resolved": ("acknowledge", "investigate", "mitigate", "resolve"),
    "closed": ("acknowledge", "investigate", "mitigate", "resolve", "close"),
}
