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
class Notice:
    """What the monitor has to tell of a window: that it is at risk, or that it is broken."""

    promise: Promise
    status: SlaStatus
    due_at: datetime


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

    def began(self, incident: Incident) -> datetime:
        """When both windows began."""
        return incident.created_at

    def length(self, incident: Incident, promise: Promise) -> timedelta:
        """How long the window is, by the present severity."""
        return self.windows[incident.severity][promise]

    def due(self, incident: Incident, promise: Promise) -> datetime:
        """The last instant at which the promise is still kept."""
        return self.began(incident) + self.length(incident, promise)

    def risky(self, incident: Incident, promise: Promise) -> datetime:
        """The instant from which a running window is at risk."""
        return self.began(incident) + self.length(incident, promise) * AT_RISK_FROM

    def state(self, incident: Incident, promise: Promise, now: datetime) -> WindowState:
        """The window as it stands at `now`."""
        mark = _mark(incident, promise)
        length = self.length(incident, promise)
        breached_at = mark.breached_at or self._overrun(incident, promise, now)
        used = max(0.0, ((mark.answered_at or now) - self.began(incident)) / length)
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
        broken = mark.breached_at or self._overrun(incident, promise, at)
        return self.watched(_marked(incident, promise, replace(mark, answered_at=at, breached_at=broken)))

    def resumed(self, incident: Incident, at: datetime) -> Incident:
        """A reopened incident's resolve window runs on, from creation as before; if its end has passed, it breaks now."""
        mark = incident.resolve
        late = at > self.due(incident, Promise.RESOLVE)
        running = replace(mark, answered_at=None, breached_at=mark.breached_at or (at if late else None))
        return self.watched(replace(incident, resolve=running))

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
            changed = _marked(changed, promise, replace(mark, breached_at=breached_at))
        return self.watched(changed)

    # -- what the monitor has to tell

    def owed(self, incident: Incident, now: datetime) -> list[Notice]:
        """What must be noticed at `now` and was not yet.

        The monitor comes last within an instant: a promise that is still unanswered at its due instant is broken.
        Where a window went through its risk and its end while nobody looked, only the end is told.
        """
        found = []
        for promise in Promise:
            mark, due = _mark(incident, promise), self.due(incident, promise)
            if mark.breach_noticed_at:
                continue
            if mark.breached_at or (mark.answered_at is None and now >= due):
                found.append(Notice(promise, SlaStatus.BREACHED, due))
            elif not (mark.answered_at or mark.risk_noticed_at) and now >= self.risky(incident, promise):
                found.append(Notice(promise, SlaStatus.AT_RISK, due))
        return found

    def noticed(self, incident: Incident, notice: Notice, at: datetime) -> Incident:
        """The monitor has told of a window; it tells each thing once in the life of an incident."""
        mark = _mark(incident, notice.promise)
        if notice.status is SlaStatus.BREACHED:
            mark = replace(mark, breached_at=mark.breached_at or notice.due_at, breach_noticed_at=at)
        else:
            mark = replace(mark, risk_noticed_at=at)
        return self.watched(_marked(incident, notice.promise, mark))

    def watched(self, incident: Incident) -> Incident:
        """The incident with the instant at which the monitor must look at it next."""
        instants = [at for promise in Promise if (at := self._watch(incident, promise))]
        return replace(incident, sla_watch_at=min(instants, default=None))

    def _watch(self, incident: Incident, promise: Promise) -> datetime | None:
        mark = _mark(incident, promise)
        if mark.breach_noticed_at:
            return None
        if mark.breached_at or mark.answered_at:
            return mark.breached_at
        return self.due(incident, promise) if mark.risk_noticed_at else self.risky(incident, promise)

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
