"""What a document tells, without what must differ between two runs: ids, absolute times, hashes. And what differs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import SequenceMatcher
from typing import Any

from pytest_smartattend.engine.incident_record import Document

_MICROSECOND = timedelta(microseconds=1)
_INSTANTS = frozenset({"due_at", "noticed_at"})
_ENDS = ("from", "to")
#: no value: the record does not tell
UNTOLD = "(not told)"

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Difference:
    """One place in which a replay is not what was recorded.

    Attributes:
        what: ``missing``, ``extra``, ``reordered``, ``shifted`` (another time) or ``changed``.
        where: the event, refusal, promise or field.
        expected: as it was recorded.
        seen: as it is now.
    """

    what: str
    where: str
    expected: object = None
    seen: object = None

    def __str__(self) -> str:
        told = "" if self.expected is self.seen is None else f": recorded {self.expected}, seen {self.seen}"
        return f"{self.what}: {self.where}{told}"


@dataclass(frozen=True)
class Story:
    """What happened, who did it by role and number, and when by microseconds after the creation.

    Attributes:
        events: the timeline.
        refusals: what was refused, each with the number of the event before it.
        outcome: both promises and the incident as it stood in the end, by name.
    """

    events: Sequence[Row]
    refusals: Sequence[Row]
    outcome: Row


def story_of(document: Document) -> Story:
    """The story that `document` tells."""
    return _Teller(document).story()


def differences(
    recorded: Story, seen: Story, *, late: timedelta = timedelta(), own_late: timedelta = timedelta()
) -> list[Difference]:
    """Where two stories differ; empty where they are the same.

    Args:
        recorded: what must be.
        seen: what is.
        late: by how much an instant may be off.
        own_late: the same for what the platform does by itself, and whatever follows from it.
    """
    limits = (late // _MICROSECOND, own_late // _MICROSECOND)
    return [
        *_of_rows("event", recorded.events, seen.events, limits),
        *_of_rows("refusal", recorded.refusals, seen.refusals, limits),
        *(
            Difference("changed", name, expected, seen.outcome.get(name))
            for name, expected in recorded.outcome.items()
            if not _same(expected, seen.outcome.get(name), limits[1] if name.endswith("breached after") else limits[0])
        ),
    ]


def _of_rows(what: str, recorded: Sequence[Row], seen: Sequence[Row], limits: tuple[int, int]) -> Iterable[Difference]:
    matcher = SequenceMatcher(a=[row["key"] for row in recorded], b=[row["key"] for row in seen], autojunk=False)
    gone, new = [], []
    for tag, low, high, begin, end in matcher.get_opcodes():
        if tag == "equal":
            for number, (before, after) in enumerate(zip(recorded[low:high], seen[begin:end], strict=True), low + 1):
                yield from _of_row(f"{what} {number} ({before['name']})", before, after, limits)
            continue
        gone += [(number, recorded[number - 1]) for number in range(low + 1, high + 1)]
        new += [(number, seen[number - 1]) for number in range(begin + 1, end + 1)]
    for number, row in gone:
        twin = next((other for other in new if other[1]["key"] == row["key"]), None)
        if twin is None:
            yield Difference("missing", f"{what} {number} ({row['name']})", row["told"])
        else:
            new.remove(twin)
            yield Difference("reordered", f"{what} {number} ({row['name']})", f"as {number}", f"as {twin[0]}")
    for number, row in new:
        yield Difference("extra", f"{what} {number} ({row['name']})", None, row["told"])


def _of_row(where: str, before: Row, after: Row, limits: tuple[int, int]) -> Iterable[Difference]:
    limit = limits[1] if before["own"] else limits[0]
    if not _same(before["after"], after["after"], limit):
        yield Difference("shifted", where, _shown(before["after"]), _shown(after["after"]))
    for name, expected in before["told"].items():
        if not _same(expected, after["told"].get(name), limit if name in _INSTANTS else 0):
            yield Difference("changed", f"{where}, {name}", expected, after["told"].get(name))
    for name in after["told"].keys() - before["told"].keys():
        yield Difference("changed", f"{where}, {name}", None, after["told"][name])


def _same(expected: object, seen: object, limit: int) -> bool:
    if expected == UNTOLD:
        return True
    if type(expected) is int and type(seen) is int:
        return abs(expected - seen) <= limit
    return type(expected) is type(seen) and expected == seen


def _shown(microseconds: int) -> str:
    return f"+{timedelta(microseconds=microseconds)}"


class _Teller:
    """Tells one document."""

    def __init__(self, document: Document) -> None:
        self._record = document["record"]
        self._created = datetime.fromisoformat(self._record["incident"]["created_at"])
        self._roles = {one["id"]: one["role"] for one in self._record["people"]}
        self._names: dict[str, str] = {}

    def story(self) -> Story:
        events = [self._event(event) for event in self._record["events"]]
        refusals = [self._refusal(refusal) for refusal in self._record["refusals"]]
        return Story(events, refusals, {**self._promises(), **self._end()})

    def _who(self, actor: str) -> str:
        """By role and number, in the order of appearance; the platform's own by name."""
        if actor.startswith("system:"):
            return actor
        role = self._roles.get(actor)
        if role is None:
            return UNTOLD
        if actor not in self._names:
            number = 1 + sum(name.startswith(f"{role} ") for name in self._names.values())
            self._names[actor] = f"{role} {number}"
        return self._names[actor]

    def _event(self, event: Row) -> Row:
        told = {"by": self._who(event["actor"]), **{f"state {end}": event[end] for end in _ENDS}}
        told |= {name: self._value(event, name, value) for name, value in event["payload"].items()}
        told.pop("handoff_id", None)
        own = event["actor"].startswith("system:")
        if own and event["kind"] == "created":
            told["by"] = UNTOLD  # a person reports in the platform's place
        key = (event["kind"], event["from"], event["to"])
        return {"key": key, "name": event["kind"], "own": own, "after": event["after_us"], "told": told}

    def _value(self, event: Row, name: str, value: object) -> object:
        if name in _INSTANTS and isinstance(value, str):
            return self._after(value)
        if event["kind"] == "handed_over" and name in _ENDS and isinstance(value, str):
            return self._who(value)
        return value

    def _refusal(self, refusal: Row) -> Row:
        told = {
            "by": self._who(refusal["actor"]),
            "code": refusal["code"],
            "asked": UNTOLD if refusal["asked"] is None else refusal["asked"],
            "after event": UNTOLD if refusal["after_seq"] is None else refusal["after_seq"],
        }
        key = (refusal["action"], refusal["code"])
        return {"key": key, "name": refusal["action"], "own": False, "after": refusal["after_us"], "told": told}

    def _promises(self) -> dict[str, object]:
        found: dict[str, object] = {}
        for promise, window in self._record["sla"].items():
            found[f"SLA {promise}"] = window["outcome"]
            for name in ("due", "answered", "breached"):
                found[f"SLA {promise}, {name} after"] = self._after(window[f"{name}_at"])
        return found

    def _end(self) -> dict[str, object]:
        incident = self._record["incident"]
        names = ("title", "description", "severity", "status", "escalation_level", "resolution")
        owner = incident["owner_id"]
        reported_by_platform = self._record["events"][0]["actor"].startswith("system:")
        nobody = reported_by_platform and owner == incident["created_by"]
        return {**{name: incident[name] for name in names}, "owner": UNTOLD if nobody else self._who(owner)}

    def _after(self, instant: str | None) -> int | None:
        return None if instant is None else (datetime.fromisoformat(instant) - self._created) // _MICROSECOND
