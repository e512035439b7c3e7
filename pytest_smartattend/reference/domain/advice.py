"""What to do next about an incident, and what nobody may overlook, by state, severity and promises."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pytest_smartattend.reference.domain.handoff import Item
from pytest_smartattend.reference.domain.incident import Action, Incident, Level, Status
from pytest_smartattend.reference.domain.lifecycle import Lifecycle
from pytest_smartattend.reference.domain.ports import write_instant
from pytest_smartattend.reference.domain.sla import Promise, SlaStatus, WindowState
from pytest_smartattend.reference.domain.tenant_health import HealthStatus

#: state → what leads on from it, and why
ONWARD: Mapping[Status, tuple[Action, str]] = {
    Status.OPEN: (Action.ACKNOWLEDGE, "nobody has taken it yet"),
    Status.ACKNOWLEDGED: (Action.INVESTIGATE, "somebody has taken it and nobody looks into it yet"),
    Status.ESCALATED: (Action.INVESTIGATE, "it was carried up and nobody looks into it yet"),
    Status.INVESTIGATING: (Action.MITIGATE, "the cause is being looked for; record it, then stop the harm"),
    Status.MITIGATING: (Action.RESOLVE, "the harm is being stopped; say cause, remedy and prevention"),
    Status.RESOLVED: (Action.CLOSE, "it is resolved; close it, or reopen it if it came back"),
}

_PRESSING = {SlaStatus.BREACHED: "is broken since", SlaStatus.AT_RISK: "is at risk; it ends"}


class Advisor:
    """Turns an incident into what a handoff tells of it."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self.lifecycle = lifecycle

    def item(self, incident: Incident, escalations: Iterable[Mapping[str, Any]], now: datetime) -> dict[str, Any]:
        """The incident as a handoff tells of it at `now`. `escalations` are the steps up so far, oldest first."""
        sla = self.lifecycle.sla
        windows = {promise: sla.state(incident, promise, now) for promise in Promise}
        level = incident.escalation_level
        return {
            "id": str(incident.id),
            "tenant_id": str(incident.tenant_id),
            "title": incident.title,
            "severity": incident.severity.value,
            "status": incident.status.value,
            "escalation_level": level.value if level else None,
            "owner_id": str(incident.owner_id),
            "created_at": write_instant(incident.created_at),
            "updated_at": write_instant(incident.updated_at),
            "escalations": list(escalations),
            "sla": {
                promise.value: {"status": window.status.value, "due_at": write_instant(window.due_at)}
                for promise, window in windows.items()
            },
            "next_actions": self.next_actions(incident, windows),
        }

    def next_actions(self, incident: Incident, windows: Mapping[Promise, WindowState]) -> list[dict[str, Any]]:
        """What to do, in this order; every one is legal in the present state."""
        if incident.status not in ONWARD:
            return []
        action, why = ONWARD[incident.status]
        promise = Promise.ACKNOWLEDGE if incident.status is Status.OPEN else Promise.RESOLVE
        window = windows[promise]
        by = write_instant(window.due_at)
        if incident.status is not Status.RESOLVED and window.status in _PRESSING:
            why = f"{why}; the promise to {promise} {_PRESSING[window.status]} {by}"
        onward = {"action": action.value, "level": None, "by": by, "why": why}
        level = self.level_to_carry_to(incident, window)
        if level is None:
            return [onward]
        why = f"severity {incident.severity} belongs at {self.lifecycle.least_levels[incident.severity]} or above"
        upward = {"action": Action.ESCALATE.value, "level": level.value, "by": by, "why": why}
        return [onward, upward] if incident.status is Status.OPEN else [upward, onward]

    def level_to_carry_to(self, incident: Incident, window: WindowState) -> Level | None:
        """Its severity's level, if it is below: at once when it is high or critical, else when its promise is in danger."""
        if Action.ESCALATE not in self.lifecycle.transitions[incident.status]:
            return None
        least = self.lifecycle.least_levels[incident.severity]
        pressing = window.status in _PRESSING or least in {Level.LEVEL_3, Level.EXECUTIVE}
        return (
            least if pressing and self.lifecycle.accepts(incident.severity, incident.escalation_level, least) else None
        )


def alerts(items: Iterable[Item], health: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the incoming person must see first: the platform's health, broken promises, critical incidents."""
    found: list[dict[str, Any]] = []
    if health["status"] != HealthStatus.HEALTHY:
        rate = f"{health['failure_rate']:.1%} of the requests of the last hour failed"
        found.append({"kind": "health", "incident_id": None, "text": f"the platform is {health['status']}: {rate}"})
    for item in items:
        if item["status"] == Status.RESOLVED:
            continue
        if item["severity"] == "critical":
            found.append(_alert("critical_incident", item, f"critical and {item['status']}"))
        for promise, window in item["sla"].items():
            if window["status"] in _PRESSING:
                words = _PRESSING[SlaStatus(window["status"])]
                found.append(
                    _alert(f"sla_{window['status']}", item, f"the promise to {promise} {words} {window['due_at']}")
                )
    return found


def _alert(kind: str, item: Item, text: str) -> dict[str, Any]:
    return {"kind": kind, "incident_id": item["id"], "text": text}
