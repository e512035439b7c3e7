"""The two promises made with every incident: how soon somebody acknowledges, how soon it is resolved (SPEC 1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from pytest_smartattend.reference.domain.incident import Incident, Mark, Severity


class Promise(StrEnum):
    """Which window."""

    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


class SlaStatus(StrEnum):
    """How a window stands."""

    ON_TRACK = "on_track"
    AT_RISK = "at_risk"
    MET = "met"
    BREACHED = "breached"


#: severity → promise → its length
WINDOWS: Mapping[Severity, Mapping[Promise, timedelta]] = MappingProxyType(
    {
        Severity.CRITICAL: {Promise.ACKNOWLEDGE: timedelta(minutes=15), Promise.RESOLVE: timedelta(hours=4)},
        Severity.HIGH: {Promise.ACKNOWLEDGE: timedelta(minutes=30), Promise.RESOLVE: timedelta(hours=8)},
        Severity.MEDIUM: {Promise.ACKNOWLEDGE: timedelta(hours=2), Promise.RESOLVE: timedelta(hours=24)},
        Severity.LOW: {Promise.ACKNOWLEDGE: timedelta(hours=8), Promise.RESOLVE: timedelta(hours=72)},
    }
)

#: a running window is at risk from this share of its length on
AT_RISK_FROM = 0.8


@dataclass(frozen=True, slots=True)
class WindowState:
    """A window as it is shown. `used` is the share of its length, from 0, above 1 when it was overrun."""

    due_at: datetime
    window_seconds: int
    used: float
    status: SlaStatus
    met_at: datetime | None
    breached_at: datetime | None


class SlaRules:
    """The windows, and what each event does to them. Both run from creation."""

    def __init__(self) -> None:
        self.windows = {severity: dict(windows) for severity, windows in WINDOWS.items()}

    def due(self, incident: Incident, promise: Promise) -> datetime:
        """The last instant at which the promise is still kept."""
        return incident.created_at + self.windows[incident.severity][promise]

    def state(self, incident: Incident, promise: Promise, now: datetime) -> WindowState:
        """The window as it stands at `now`."""
        mark = _mark(incident, promise)
        length = self.windows[incident.severity][promise]
        breached_at = mark.breached_at or self._overrun(incident, promise, now)
        used = max(0.0, ((mark.answered_at or now) - incident.created_at) / length)
        if breached_at:
            status = SlaStatus.BREACHED
        elif mark.answered_at:
            status = SlaStatus.MET
        else:
            status = SlaStatus.AT_RISK if used >= AT_RISK_FROM else SlaStatus.ON_TRACK
        return WindowState(
            due_at=self.due(incident, promise),
            window_seconds=int(length.total_seconds()),
            used=used,
            status=status,
            met_at=mark.answered_at if status is SlaStatus.MET else None,
            breached_at=breached_at,
        )

    def answered(self, incident: Incident, promise: Promise, at: datetime) -> Incident:
        """Somebody did what the window asks for; at the due instant itself the promise is still kept."""
        mark = _mark(incident, promise)
        if mark.answered_at:
            return incident
        return _marked(incident, promise, Mark(at, mark.breached_at or self._overrun(incident, promise, at)))

    def resumed(self, incident: Incident, at: datetime) -> Incident:
        """A reopened incident's resolve window runs on, from creation as before; if its end has passed, it breaks now."""
        mark = incident.resolve
        late = at > self.due(incident, Promise.RESOLVE)
        return replace(incident, resolve=Mark(None, mark.breached_at or (at if late else None)))

    def reweighed(self, incident: Incident, severity: Severity, at: datetime) -> Incident:
        """The severity changes: running windows get new ends, and one whose new end has passed breaks now.

        What was already broken under the old severity stays broken, and a promise that was kept stays kept.
        """
        changed = replace(incident, severity=severity)
        for promise in Promise:
            mark = _mark(incident, promise)
            if mark.answered_at:
                continue
            late = at if at > self.due(changed, promise) else None
            breached_at = mark.breached_at or self._overrun(incident, promise, at) or late
            changed = _marked(changed, promise, Mark(None, breached_at))
        return changed

    def _overrun(self, incident: Incident, promise: Promise, now: datetime) -> datetime | None:
        """When a window that is still running ran out, if it did before `now`."""
        due = self.due(incident, promise)
        return due if _mark(incident, promise).answered_at is None and now > due else None


def _mark(incident: Incident, promise: Promise) -> Mark:
    return incident.acknowledge if promise is Promise.ACKNOWLEDGE else incident.resolve


def _marked(incident: Incident, promise: Promise, mark: Mark) -> Incident:
    if promise is Promise.ACKNOWLEDGE:
        return replace(incident, acknowledge=mark)
    return replace(incident, resolve=mark)
