"""What people did and asked for in a recorded incident, as steps that can be driven again through the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from pytest_smartattend.engine.incident_record import Document
from pytest_smartattend.errors import RecordRefused

#: kind of event → the action that makes it, and what of its payload the request carries: name there → name here
ACTIONS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "created": ("report", {"title": "title", "severity": "severity", "description": "description"}),
    "acknowledged": ("acknowledge", {"note": "note"}),
    "escalated": ("escalate", {"level": "level", "note": "note"}),
    "investigating": ("investigate", {"note": "note"}),
    "mitigating": ("mitigate", {"note": "note"}),
    "resolved": ("resolve", {name: name for name in ("root_cause", "remediation_steps", "prevention_measures")}),
    "closed": ("close", {"note": "note"}),
    "reopened": ("reopen", {"note": "note"}),
    "severity_changed": ("severity", {"severity": "new", "reason": "reason"}),
    "root_cause_recorded": ("root-cause", {"root_cause": "root_cause", "confidence": "confidence"}),
    "handed_over": ("hand-over", {}),
}
#: what the platform tells by itself
OWN = frozenset({"sla_at_risk", "sla_breached"})
#: who stands in for an account that is gone, or reports in the platform's place
STAND_INS = {"created": "staff"}


@dataclass(frozen=True)
class Step:
    """Somebody does something, or is refused it.

    Attributes:
        after: since the creation.
        actor: as the record names them.
        role: theirs; where the record does not know it, the least that may do it.
        action: ``report``, ``hand-over``, or an incident's.
        body: of the request.
        seq: of the event that it made; of a refusal, of the event before it.
        refused: the code of the refusal; empty where it was done.
    """

    after: timedelta
    actor: str
    role: str
    action: str
    body: Mapping[str, Any] = field(default_factory=dict)
    seq: int = 0
    refused: str = ""


def steps_of(document: Document) -> list[Step]:
    """What is to be driven, in the order in which it happened: events by number, refusals behind the one they followed.

    Raises:
        RecordRefused: somebody did what cannot be driven.
    """
    record = document["record"]
    roles = {one["id"]: one["role"] for one in record["people"]}
    found = [_of_event(event, roles) for event in record["events"]]
    done = [(step.seq, 0, step) for step in found if step is not None]
    refused = [
        (_followed(refusal, record["events"]), 1, _of_refusal(refusal, roles, record["events"]))
        for refusal in record["refusals"]
    ]
    return [step for _, _, step in sorted([*done, *refused], key=lambda one: one[:2])]


def later(steps: list[Step], waits: Mapping[int, timedelta]) -> list[Step]:
    """The steps with other intervals: event number → how long after the step before it; whatever follows moves along."""
    moved: list[Step] = []
    before = shift = timedelta()
    for step in steps:
        if step.seq in waits and not step.refused:
            shift = waits[step.seq] - (step.after - before)
        before = step.after
        at = step.after + shift
        moved.append(replace(step, after=max(at, moved[-1].after if moved else at)))
    return moved


def _of_event(event: Mapping[str, Any], roles: Mapping[str, str | None]) -> Step | None:
    kind, actor = event["kind"], event["actor"]
    by_platform = actor.startswith("system:")
    if kind in OWN or (by_platform and kind != "created"):
        return None
    if kind not in ACTIONS:
        known = ", ".join([*ACTIONS, *sorted(OWN)])
        raise RecordRefused(f"event {event['seq']} is of the kind {kind!r}, which cannot be driven. Known: {known}.")
    action, names = ACTIONS[kind]
    payload = event["payload"]
    body = {there: payload[here] for there, here in names.items() if payload.get(here) is not None}
    role = None if by_platform else roles.get(actor)
    after = timedelta(microseconds=event["after_us"])
    return Step(after, actor, role or STAND_INS.get(kind, "admin"), action, body, event["seq"])


def _of_refusal(refusal: Mapping[str, Any], roles: Mapping[str, str | None], events: list[Mapping[str, Any]]) -> Step:
    after = timedelta(microseconds=refusal["after_us"])
    actor = refusal["actor"]
    body = refusal["asked"] or {}
    seq = _followed(refusal, events)
    return Step(after, actor, roles.get(actor) or "admin", refusal["action"], body, seq, refusal["code"])


def _followed(refusal: Mapping[str, Any], events: list[Mapping[str, Any]]) -> int:
    """The number of the event before a refusal; by its time where the record does not tell."""
    told: int | None = refusal["after_seq"]
    if told is not None:
        return told
    return max((event["seq"] for event in events if event["after_us"] <= refusal["after_us"]), default=0)
