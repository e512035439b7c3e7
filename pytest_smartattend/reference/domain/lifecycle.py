"""What may happen to an incident, and what it then is. Pure: no store, no clock; the caller brings both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from pytest_smartattend.reference.domain import refusals
from pytest_smartattend.reference.domain.actors import is_person
from pytest_smartattend.reference.domain.incident import (
    KINDS,
    LEAST_LEVEL,
    LEAST_TEXT,
    ROOT_CAUSE_STATES,
    SEVERITY_FROZEN_STATES,
    TRANSITIONS,
    Action,
    Confidence,
    Incident,
    Kind,
    Level,
    Resolution,
    Severity,
    Status,
)
from pytest_smartattend.reference.domain.ports import write_instant
from pytest_smartattend.reference.domain.sla import Notice, Promise, SlaRules, SlaStatus


@dataclass(frozen=True, slots=True)
class Change:
    """What an accepted action did: the incident as it is now, and what its timeline shall tell."""

    incident: Incident
    kind: Kind
    source: Status | None
    target: Status | None
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Report:
    """What a person says when reporting an incident; texts are trimmed already."""

    title: str
    description: str
    severity: Severity


class Lifecycle:
    """The rules of incidents.

    Each action raises `refusals.Refusal` instead of returning, judged in this order: the state, then what was given.

    Attributes:
        transitions: state → action → state.
        least_levels: severity → least level.
    """

    def __init__(self, sla: SlaRules) -> None:
        self.sla = sla
        self.transitions = {status: dict(actions) for status, actions in TRANSITIONS.items()}
        self.least_levels = dict(LEAST_LEVEL)

    # -- the rules, one question each

    def legal(self, status: Status) -> list[Status]:
        """The states that can follow `status`, in the order of `Status`."""
        following = set(self.transitions[status].values())
        return [candidate for candidate in Status if candidate in following]

    def target(self, status: Status, action: Action) -> Status:
        """Where `action` leads from `status`."""
        if action not in self.transitions[status]:
            raise refusals.invalid_transition(action, status, self.legal(status))
        return self.transitions[status][action]

    def accepts(self, severity: Severity, current: Level | None, level: Level) -> bool:
        """Whether an incident of `severity` at level `current` may be carried to `level`."""
        high_enough = level.rank >= self.least_levels[severity].rank
        return high_enough and (current is None or level.rank > current.rank)

    def lacks(self, text: str | None) -> bool:
        """Whether a text that must say something does not."""
        return text is None or len(text.strip()) < LEAST_TEXT

    def missing(self, fields: Mapping[str, str | None]) -> list[str]:
        """The names of all fields that lack, in the order given."""
        return [name for name, text in fields.items() if self.lacks(text)]

    # -- the actions

    def report(self, report: Report, *, incident_id: UUID, tenant_id: UUID, by: UUID, at: datetime) -> Change:
        """A new incident, open, owned by whoever reported it."""
        incident = Incident(
            id=incident_id,
            tenant_id=tenant_id,
            title=report.title,
            description=report.description,
            severity=report.severity,
            status=Status.OPEN,
            escalation_level=None,
            owner_id=by,
            created_by=by,
            created_at=at,
            updated_at=at,
        )
        payload = {**asdict(report), "severity": report.severity.value}
        return Change(self.sla.watched(incident), Kind.CREATED, None, Status.OPEN, payload)

    def move(self, incident: Incident, action: Action, *, actor: str, at: datetime, note: str | None) -> Change:
        """Acknowledge, investigate, mitigate, close or reopen."""
        target = self.target(incident.status, action)
        moved = replace(incident, status=target, updated_at=at)
        if action is Action.REOPEN:
            moved = self.sla.resumed(replace(moved, resolution=None), at)
        return self._moved(incident, moved, action, actor, _given(note=note))

    def escalate(self, incident: Incident, level: Level, *, actor: str, at: datetime, note: str | None) -> Change:
        """Carry the incident to `level`."""
        target = self.target(incident.status, Action.ESCALATE)
        if not self.accepts(incident.severity, incident.escalation_level, level):
            least = self.least_levels[incident.severity]
            raise refusals.escalation_level_mismatch(incident.severity, level, least, incident.escalation_level)
        moved = replace(incident, status=target, escalation_level=level, updated_at=at)
        return self._moved(incident, moved, Action.ESCALATE, actor, _given(level=level.value, note=note))

    def resolve(self, incident: Incident, fields: Mapping[str, str | None], *, actor: str, at: datetime) -> Change:
        """Resolve; `fields` are those of `Resolution`."""
        target = self.target(incident.status, Action.RESOLVE)
        missing = self.missing(fields)
        if missing:
            raise refusals.missing_fields(missing, LEAST_TEXT)
        resolution = Resolution(**{name: (text or "").strip() for name, text in fields.items()})
        moved = replace(incident, status=target, resolution=resolution, updated_at=at)
        moved = self.sla.answered(moved, Promise.RESOLVE, at)
        return self._moved(incident, moved, Action.RESOLVE, actor, asdict(resolution))

    def change_severity(self, incident: Incident, severity: Severity, *, reason: str, at: datetime) -> Change:
        """Change the severity; an event, no transition, and the escalation level stays."""
        if incident.status in SEVERITY_FROZEN_STATES:
            raise refusals.severity_frozen(incident.status)
        if severity is incident.severity:
            raise refusals.severity_unchanged(severity)
        changed = replace(self.sla.reweighed(incident, severity, at), updated_at=at)
        payload = {"old": incident.severity.value, "new": severity.value, "reason": reason}
        return Change(changed, Kind.SEVERITY_CHANGED, None, None, payload)

    def record_root_cause(
        self, incident: Incident, root_cause: str | None, confidence: Confidence, *, at: datetime
    ) -> Change:
        """Record what is thought to be the cause; an event, no transition."""
        if incident.status not in ROOT_CAUSE_STATES:
            raise refusals.invalid_transition(Action.ROOT_CAUSE, incident.status, self.legal(incident.status))
        missing = self.missing({"root_cause": root_cause})
        if missing:
            raise refusals.missing_fields(missing, LEAST_TEXT)
        payload = {"root_cause": (root_cause or "").strip(), "confidence": confidence.value}
        return Change(replace(incident, updated_at=at), Kind.ROOT_CAUSE_RECORDED, None, None, payload)

    def notice(self, incident: Incident, notice: Notice, *, at: datetime) -> Change:
        """Tell that a window is at risk or broken; an event, no transition."""
        noticed = replace(self.sla.noticed(incident, notice, at), updated_at=at)
        kind = Kind.SLA_BREACHED if notice.status is SlaStatus.BREACHED else Kind.SLA_AT_RISK
        times = {"due_at": write_instant(notice.due_at), "noticed_at": write_instant(at)}
        return Change(noticed, kind, None, None, {"promise": notice.promise.value, **times})

    def hand_over(self, incident: Incident, to: UUID, *, handoff_id: UUID, at: datetime) -> Change:
        """Give the incident to another owner; an event, no transition."""
        payload = {"handoff_id": str(handoff_id), "from": str(incident.owner_id), "to": str(to)}
        return Change(replace(incident, owner_id=to, updated_at=at), Kind.HANDED_OVER, None, None, payload)

    def _moved(
        self, before: Incident, after: Incident, action: Action, actor: str, payload: Mapping[str, Any]
    ) -> Change:
        if before.status is Status.OPEN and is_person(actor):
            after = self.sla.answered(after, Promise.ACKNOWLEDGE, after.updated_at)
        return Change(after, KINDS[action], before.status, after.status, payload)


def _given(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}
