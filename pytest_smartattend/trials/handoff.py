"""A change of shift, and the proof that it dropped nobody's incident.

The proof does not believe the platform's own account of a handoff. It reads the timelines, which are chained, works out
from them what every incident was at the two moments of the handoff, and compares.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pytest_smartattend.engine import chain
from pytest_smartattend.evidence.record import Evidence
from pytest_smartattend.target.client import Answer
from pytest_smartattend.target.observer import Observer
from pytest_smartattend.target.people import Person, Tenant

Event = Mapping[str, Any]
_AFTERWARDS = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Stand:
    """What an incident was at a moment, as its timeline tells."""

    status: str
    severity: str
    escalation_level: str | None
    owner_id: str


def stand_at(events: Sequence[Event], owner_id: str, moment: datetime) -> Stand | None:
    """What the incident of these `events`, first owned by `owner_id`, was at `moment`; None before it was reported."""
    status, severity, level = "", "", None
    for event in events:
        if datetime.fromisoformat(event["at"]) > moment:
            break
        payload = event["payload"]
        status = event["to"] or status
        severity = {"created": payload.get("severity"), "severity_changed": payload.get("new")}.get(
            event["kind"], severity
        )
        level = payload["level"] if event["kind"] == "escalated" else level
        owner_id = payload["to"] if event["kind"] == "handed_over" else owner_id
    return Stand(status, severity, level, owner_id) if status else None


class ShiftChange:
    """Handoffs from one person to another of the same role.

    Args:
        tenants: whose incidents are handed over; several for superadmins.
        observer: reads the truth.
        evidence: where everything is told.
        role: ``admin`` or ``superadmin``.

    Attributes:
        outgoing: whose shift ends.
        incoming: whose shift begins.
    """

    def __init__(self, tenants: Sequence[Tenant], observer: Observer, evidence: Evidence, role: str = "admin") -> None:
        self.outgoing: Person = tenants[0].actor(role)
        self.incoming: Person = tenants[0].successor_of(role)
        self._tenant_ids = [tenant.id for tenant in tenants]
        self._observer = observer
        self._evidence = evidence

    def turn(self) -> None:
        """From now on the other way round."""
        self.outgoing, self.incoming = self.incoming, self.outgoing

    def initiate(self, notes: str = "") -> dict[str, Any]:
        """A new handoff."""
        handoff: dict[str, Any] = self.outgoing.hand_over(self.incoming.user_id, notes).must()
        return handoff

    def accept(self, handoff: Mapping[str, Any]) -> Answer:
        """The incoming person reads the briefing, tells the critical incidents back, and accepts."""
        briefing = self.incoming.briefing(handoff["id"]).must()
        return self.incoming.accept_handoff(handoff["id"], read_back(briefing))

    def hand_over(self, notes: str = "") -> dict[str, Any]:
        """Initiate and accept; the accepted handoff."""
        accepted: dict[str, Any] = self.accept(self.initiate(notes)).must()
        return accepted

    def owned(self) -> tuple[set[str], set[str]]:
        """The incidents that are open now, and those of which the incoming person is the owner, open or closed."""
        rows = self._observer.rows(
            "select id::text, status, owner_id::text from incidents where tenant_id = any(%s::uuid[])", self._tenant_ids
        )
        still = {row["id"] for row in rows if row["status"] != "closed"}
        return still, {row["id"] for row in rows if row["owner_id"] == self.incoming.user_id}

    def prove(self, accepted: Sequence[Mapping[str, Any]]) -> None:
        """Show that each of these handoffs, in their order, took along every incident that was open, and no other.

        Raises:
            AssertionError: one was dropped, taken twice or taken silently, or the account of it is not true.
        """
        kept = self._observer.rows(
            "select id::text, owner_id::text, created_by::text from incidents where tenant_id = any(%s::uuid[])",
            self._tenant_ids,
        )
        faults: list[str] = []
        timelines: dict[str, tuple[str, list[Event]]] = {}
        for row in kept:
            told = self.incoming.part(row["id"], "timeline").must()
            faults += [f"{row['id']}: {fault}" for fault in chain.faults_of(row["id"], told["events"], told["head"])]
            timelines[row["id"]] = row["created_by"], told["events"]
            last = stand_at(told["events"], row["created_by"], _AFTERWARDS)
            if last is None or last.owner_id != row["owner_id"]:
                faults.append(f"{row['id']} is owned by {row['owner_id']}, and its timeline tells: {last}")
        for handoff in accepted:
            faults += [f"handoff {handoff['id']}: {fault}" for fault in faults_of(handoff, timelines)]
        self._evidence.measure("incidents looked at", len(kept), "rows")
        self._evidence.expect("faults of chains, owners and accounts", sorted(faults)[:20], [])


def read_back(briefing: Mapping[str, Any]) -> dict[str, str]:
    """Every critical incident of a briefing, in one's own words."""
    critical = (item for item in briefing["incidents"] if item["severity"] == "critical")
    return {item["id"]: f"I take over: {item['title'][:80]}, {item['status']}." for item in critical}


def faults_of(handoff: Mapping[str, Any], timelines: Mapping[str, tuple[str, Sequence[Event]]]) -> list[str]:
    """What is not true of an accepted handoff's account.

    Args:
        handoff: as the platform told it.
        timelines: incident → its reporter and its events, of all incidents that the handoff could be about.
    """
    begun, ended = (datetime.fromisoformat(at) for at in (handoff["initiated_at"], handoff["ended"]["at"]))
    before = {one: stand for one, (owner, events) in timelines.items() if (stand := stand_at(events, owner, begun))}
    now = {
        one: stand
        for one, (owner, events) in timelines.items()
        if (stand := stand_at(_until_moved(events, handoff), owner, ended))
    }
    was_open = {one for one, stand in before.items() if stand.status != "closed"}
    still = {one for one, stand in now.items() if stand.status != "closed"}
    moves = {one: len(_of(events, handoff)) for one, (_, events) in timelines.items()}
    difference = handoff["difference"]
    changed = {entry["incident"]["id"]: entry["changes"] for entry in difference["changed"]}
    accounts = {
        "open incidents": (_ids(handoff["incidents"]), still),
        "incidents that became the incoming person's": (
            {one for one, stand in now.items() if stand.owner_id == handoff["to_user_id"] and one in still},
            still,
        ),
        "incidents that were moved": (set(handoff["ended"]["moved"]), {one for one, times in moves.items() if times}),
        "incidents that were moved twice": ({one for one, times in moves.items() if times > 1}, set()),
        "incidents that were moved in another's name": (
            {one for one in timelines if _signed_falsely(timelines[one][1], handoff)},
            set(),
        ),
        "incidents that were moved and not open": ({one for one, times in moves.items() if times} - still, set()),
        "opened since": (_ids(difference["opened"]), set(now) - set(before)),
        "closed since": (_ids(difference["closed"]), (was_open | (set(now) - set(before))) - still),
    }
    faults = [
        f"{what}: {len(told - true)} told falsely, {len(true - told)} not told: {sorted(told ^ true)[:3]}"
        for what, (told, true) in accounts.items()
        if told != true
    ]
    for one in sorted(was_open & still):
        for what in ("status", "severity", "escalation_level"):
            was, stands = getattr(before[one], what), getattr(now[one], what)
            told = next(((each["from"], each["to"]) for each in changed.get(one, ()) if each["what"] == what), None)
            if told != (None if was == stands else (was, stands)):
                faults.append(f"{what} of {one} went from {was} to {stands}, and what is told is {told}")
    for item in handoff["incidents"]:
        faults += _faults_of_item(item, now.get(item["id"]), handoff["to_user_id"])
    return faults


def _faults_of_item(item: Mapping[str, Any], stands: Stand | None, owner_id: str) -> list[str]:
    told = Stand(item["status"], item["severity"], item["escalation_level"], item["owner_id"])
    true = stands and Stand(stands.status, stands.severity, stands.escalation_level, owner_id)
    return [] if told == true else [f"{item['id']} is told as {told}, and was {true}"]


def _until_moved(events: Sequence[Event], handoff: Mapping[str, Any]) -> Sequence[Event]:
    """The events up to the one that tells of this handoff; all of them where none does.

    What comes behind it may carry the same time where the clock stands still.
    """
    for number, event in enumerate(events, start=1):
        if event["kind"] == "handed_over" and event["payload"]["handoff_id"] == handoff["id"]:
            return events[:number]
    return events


def _of(events: Iterable[Event], handoff: Mapping[str, Any]) -> list[Event]:
    """The events by which this handoff moved the incident."""
    return [e for e in events if e["kind"] == "handed_over" and e["payload"]["handoff_id"] == handoff["id"]]


def _signed_falsely(events: Iterable[Event], handoff: Mapping[str, Any]) -> bool:
    """Whether an event of this handoff names another than the person who took the incident over."""
    return any(e["actor"] != handoff["to_user_id"] for e in _of(events, handoff))


def _ids(items: Iterable[Mapping[str, Any]]) -> set[str]:
    return {item["id"] for item in items}
