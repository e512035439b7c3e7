"""A change of shift: what the outgoing person hands over, who may take it, and what changed in between (SPEC 5).

What is told of an incident is plain JSON from the beginning (`Item`): so it is kept, compared and sent in one form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from pytest_smartattend.reference.domain import refusals
from pytest_smartattend.reference.domain.actors import User
from pytest_smartattend.reference.domain.incident import LEAST_TEXT, Severity

Item = Mapping[str, Any]


class HandoffStatus(StrEnum):
    """How a handoff stands. All but the first are for ever."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a handoff ended.

    Attributes:
        status: accepted, rejected or superseded.
        actor: who ended it.
        reason: why it was rejected.
        read_back: incident → what the incoming person said of it, when accepting.
        moved: the incidents whose owner the incoming person became.
        health: how the platform fared then.
        difference: what had changed since the initiation.
    """

    status: HandoffStatus
    actor: UUID
    at: datetime
    reason: str | None = None
    read_back: Mapping[str, str] | None = None
    moved: Sequence[str] = ()
    health: Mapping[str, Any] | None = None
    difference: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Handoff:
    """One handoff.

    Attributes:
        tenant_id: whose incidents; None for those of all tenants.
        health: how the platform fared when it was initiated.
        items: the incidents that were open then, the most urgent first.
        ending: None while nobody has ended it.
    """

    id: UUID
    tenant_id: UUID | None
    from_user_id: UUID
    to_user_id: UUID
    briefing_notes: str
    initiated_at: datetime
    expires_at: datetime
    health: Mapping[str, Any]
    items: Sequence[Item]
    ending: Ending | None = None


class HandoffRules:
    """Who may end a handoff, when, and what must be said.

    Attributes:
        lifetime: how long a handoff waits for its person.
    """

    def __init__(self, lifetime: timedelta) -> None:
        self.lifetime = lifetime

    def expires(self, at: datetime) -> datetime:
        """The last instant at which a handoff that is initiated at `at` can be accepted."""
        return at + self.lifetime

    def status(self, handoff: Handoff, now: datetime) -> HandoffStatus:
        """How it stands at `now`."""
        if handoff.ending:
            return handoff.ending.status
        return HandoffStatus.EXPIRED if now > handoff.expires_at else HandoffStatus.PENDING

    def named(self, handoff: Handoff, user: User) -> bool:
        """Whether `user` is the person whom the handoff names."""
        return user.id == handoff.to_user_id

    def admit(self, handoff: Handoff, user: User, now: datetime) -> None:
        """Judge whether `user` may end the handoff now: first the person, then the state.

        Raises:
            refusals.Refusal: wrong_person or handoff_over.
        """
        if not self.named(handoff, user):
            raise refusals.wrong_person()
        status = self.status(handoff, now)
        if status is not HandoffStatus.PENDING:
            raise refusals.handoff_over(status)

    def must_read_back(self, handoff: Handoff, now_open: Iterable[Item]) -> list[str]:
        """The incidents that the incoming person must tell in own words: critical then and still."""
        critical = {item["id"] for item in handoff.items if item["severity"] == Severity.CRITICAL}
        return [item["id"] for item in now_open if item["id"] in critical and item["severity"] == Severity.CRITICAL]

    def read_back(self, said: Mapping[str, str | None], asked: Iterable[str]) -> dict[str, str]:
        """What was said, trimmed.

        Raises:
            refusals.Refusal: missing_fields, naming every incident of `asked` of which too little was said.
        """
        told = {incident_id: (text or "").strip() for incident_id, text in said.items()}
        lacking = [incident_id for incident_id in asked if len(told.get(incident_id, "")) < LEAST_TEXT]
        if lacking:
            raise refusals.missing_fields([f"read_back.{incident_id}" for incident_id in lacking], LEAST_TEXT)
        return told


#: what is compared: name → where it stands in an item
COMPARED = {
    "status": ("status",),
    "severity": ("severity",),
    "escalation_level": ("escalation_level",),
    "owner_id": ("owner_id",),
    "sla.acknowledge": ("sla", "acknowledge", "status"),
    "sla.resolve": ("sla", "resolve", "status"),
}


def difference(before: Iterable[Item], now_open: Iterable[Item], came_and_went: Iterable[Item]) -> dict[str, Any]:
    """What changed between two looks.

    Args:
        before: the incidents that were open at the first look.
        now_open: those that are open now.
        came_and_went: those that were opened after the first look and are closed by now.

    Returns:
        ``opened``, ``closed`` and ``changed``; a changed one has ``changes`` (what, from, to) and stands in
        ``incident`` as it is now. What came and went is both opened and closed.
    """
    known = {item["id"]: item for item in before}
    still = {item["id"]: item for item in now_open}
    went = list(came_and_went)
    changed = []
    for incident_id, item in still.items():
        if incident_id in known and (changes := _changes(known[incident_id], item)):
            changed.append({"incident": item, "changes": changes})
    return {
        "opened": [item for item in still.values() if item["id"] not in known] + went,
        "closed": [item for item in known.values() if item["id"] not in still] + went,
        "changed": changed,
    }


def after(before: Iterable[Item], changed: Mapping[str, Any]) -> list[Item]:
    """The incidents that are open after a `difference`, in the order of urgency."""
    gone = {item["id"] for item in changed["closed"]}
    newer = {entry["incident"]["id"]: entry["incident"] for entry in changed["changed"]}
    kept = [newer.get(item["id"], item) for item in before if item["id"] not in gone]
    return by_urgency([*kept, *(item for item in changed["opened"] if item["id"] not in gone)])


_WINDOWS = {"breached": 0, "at_risk": 1}
_SEVERITIES = {severity.value: rank for rank, severity in enumerate(reversed(Severity))}


def by_urgency(items: Iterable[Item]) -> list[Item]:
    """Items with the most urgent first: a broken promise, one at risk, then by severity and by what is due first."""
    return sorted(items, key=_urgency)


def _urgency(item: Item) -> tuple[int, int, str, str]:
    windows = item["sla"].values()
    worst = min(_WINDOWS.get(window["status"], 2) for window in windows)
    due = min((window["due_at"] for window in windows if window["status"] != "met"), default="~")
    return worst, _SEVERITIES[item["severity"]], due, item["id"]


def _changes(before: Item, now: Item) -> list[dict[str, Any]]:
    found = []
    for what, path in COMPARED.items():
        was: Any = before
        stands: Any = now
        for step in path:
            was, stands = was[step], stands[step]
        if was != stands:
            found.append({"what": what, "from": was, "to": stands})
    return found
