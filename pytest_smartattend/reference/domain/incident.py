"""What an incident is: its states, its tables of rules, and the value itself (SPEC 1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID


class Status(StrEnum):
    """The seven states."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    ESCALATED = "escalated"
    INVESTIGATING = "investigating"
    MITIGATING = "mitigating"
    RESOLVED = "resolved"
    CLOSED = "closed"


class Action(StrEnum):
    """What a person asks for; the values are the last part of the endpoints."""

    ACKNOWLEDGE = "acknowledge"
    ESCALATE = "escalate"
    INVESTIGATE = "investigate"
    MITIGATE = "mitigate"
    RESOLVE = "resolve"
    CLOSE = "close"
    REOPEN = "reopen"
    ROOT_CAUSE = "root-cause"
    SEVERITY = "severity"


class Kind(StrEnum):
    """What a row of the timeline tells."""

    CREATED = "created"
    ACKNOWLEDGED = "acknowledged"
    ESCALATED = "escalated"
    INVESTIGATING = "investigating"
    MITIGATING = "mitigating"
    RESOLVED = "resolved"
    CLOSED = "closed"
    REOPENED = "reopened"
    SEVERITY_CHANGED = "severity_changed"
    ROOT_CAUSE_RECORDED = "root_cause_recorded"
    SLA_AT_RISK = "sla_at_risk"
    SLA_BREACHED = "sla_breached"
    HANDED_OVER = "handed_over"


class Severity(StrEnum):
    """How bad it is, from harmless to worst."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Level(StrEnum):
    """How far up an incident was carried, from near to far."""

    LEVEL_1 = "level_1"
    LEVEL_2 = "level_2"
    LEVEL_3 = "level_3"
    EXECUTIVE = "executive"

    @property
    def rank(self) -> int:
        """0 for the nearest level."""
        return list(Level).index(self)


class Confidence(StrEnum):
    """How sure the person is of a root cause."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


#: state → what may be asked for there → the state it leads to; 13 pairs of states, all else is refused
TRANSITIONS: Mapping[Status, Mapping[Action, Status]] = MappingProxyType(
    {
        Status.OPEN: {Action.ACKNOWLEDGE: Status.ACKNOWLEDGED, Action.ESCALATE: Status.ESCALATED},
        Status.ACKNOWLEDGED: {Action.ESCALATE: Status.ESCALATED, Action.INVESTIGATE: Status.INVESTIGATING},
        Status.ESCALATED: {Action.ESCALATE: Status.ESCALATED, Action.INVESTIGATE: Status.INVESTIGATING},
        Status.INVESTIGATING: {Action.ESCALATE: Status.ESCALATED, Action.MITIGATE: Status.MITIGATING},
        Status.MITIGATING: {
            Action.ESCALATE: Status.ESCALATED,
            Action.INVESTIGATE: Status.INVESTIGATING,
            Action.RESOLVE: Status.RESOLVED,
        },
        Status.RESOLVED: {Action.CLOSE: Status.CLOSED, Action.REOPEN: Status.INVESTIGATING},
        Status.CLOSED: {},
    }
)

#: how a transition is called in the timeline; by action, because `investigate` and `reopen` lead to the same state
KINDS: Mapping[Action, Kind] = MappingProxyType(
    {
        Action.ACKNOWLEDGE: Kind.ACKNOWLEDGED,
        Action.ESCALATE: Kind.ESCALATED,
        Action.INVESTIGATE: Kind.INVESTIGATING,
        Action.MITIGATE: Kind.MITIGATING,
        Action.RESOLVE: Kind.RESOLVED,
        Action.CLOSE: Kind.CLOSED,
        Action.REOPEN: Kind.REOPENED,
    }
)

#: severity → the least level that it is carried to; of the 16 cells 10 are accepted
LEAST_LEVEL: Mapping[Severity, Level] = MappingProxyType(
    {
        Severity.LOW: Level.LEVEL_1,
        Severity.MEDIUM: Level.LEVEL_2,
        Severity.HIGH: Level.LEVEL_3,
        Severity.CRITICAL: Level.EXECUTIVE,
    }
)

#: where a root cause may be recorded
ROOT_CAUSE_STATES = frozenset({Status.ACKNOWLEDGED, Status.ESCALATED, Status.INVESTIGATING, Status.MITIGATING})

#: where the severity may no longer be changed
SEVERITY_FROZEN_STATES = frozenset({Status.RESOLVED, Status.CLOSED})

#: a text that must say something has at least so many characters after trimming
LEAST_TEXT = 10


@dataclass(frozen=True, slots=True)
class Mark:
    """What is stored of one SLA window; everything else of it is computed.

    Attributes:
        answered_at: when a person did what the window asks for; None while it runs.
        breached_at: when it was broken, as far as it was noticed; never taken back.
        risk_noticed_at: when the monitor told the timeline that it was at risk.
        breach_noticed_at: when the monitor told the timeline that it was broken.
    """

    answered_at: datetime | None = None
    breached_at: datetime | None = None
    risk_noticed_at: datetime | None = None
    breach_noticed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Resolution:
    """How an incident was resolved; each text has `LEAST_TEXT` characters or more."""

    root_cause: str
    remediation_steps: str
    prevention_measures: str


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident at one moment.

    Attributes:
        resolution: None unless it is resolved or closed.
        sla_watch_at: when the SLA monitor must look at it next; None when it has nothing more to notice.
    """

    id: UUID
    tenant_id: UUID
    title: str
    description: str
    severity: Severity
    status: Status
    escalation_level: Level | None
    owner_id: UUID
    created_by: UUID
    created_at: datetime
    updated_at: datetime
    resolution: Resolution | None = None
    acknowledge: Mark = field(default_factory=Mark)
    resolve: Mark = field(default_factory=Mark)
    sla_watch_at: datetime | None = None
