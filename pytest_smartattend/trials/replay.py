"""Drives a recorded incident again through the API, on the virtual clock, and tells what became of it.

Each person acts as another person of the same role, at the original intervals, also where they were refused; what the
platform did by itself it must do by itself again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from pytest_smartattend.engine import incident_record, record_seal
from pytest_smartattend.engine.incident_record import Document
from pytest_smartattend.engine.incident_steps import Step, later, steps_of
from pytest_smartattend.engine.incident_story import story_of
from pytest_smartattend.engine.replay_verdict import ReplayReport, Turn, judge
from pytest_smartattend.errors import RecordRefused
from pytest_smartattend.target.client import Answer, Operation
from pytest_smartattend.target.in_process import InProcessPlatform
from pytest_smartattend.target.people import Person

#: a platform that was recorded on a real clock did by itself what it did up to so much late
OWN_LATE = timedelta(seconds=30)
#: so long after an instant, what the platform does by itself, and so last within it, is done
AFTERWARDS = timedelta(milliseconds=1)
#: Where a request takes ten seconds on a slow machine, the clock may reach a timer that is due right behind the step.
#: The driver sees by how much, and compares instants to that; more than this is no slowness of a machine.
MOST_SLIP = timedelta(seconds=1)
#: whoever ends their shift, in the role behind it; the record tells only from whom to whom each incident went
_HANDS_OVER = "hands over as "


class Replay:
    """One incident, driven again.

    Args:
        platform: on a clock that stands still while it works, and this replay's alone from now on.
        record: is told of each request.
        look: is told of each step before it is done, with the client who does it and the incident's id (None before it
            exists).
    """

    def __init__(
        self,
        platform: InProcessPlatform,
        record: Callable[[Operation], None] = lambda _: None,
        look: Callable[[Step, Person, str | None], None] = lambda *_: None,
    ) -> None:
        self._platform = platform
        self._record = record
        self._look = look

    def of(self, document: Document, name: str, *, exact: bool = False) -> ReplayReport:
        """Drive `document` as it was recorded.

        Args:
            document: a sound one.
            name: how the report calls it.
            exact: whether what the platform did by itself was recorded on a virtual clock, and so is never late.

        Raises:
            RecordRefused: it holds what cannot be driven, or what came of it cannot be trusted.
        """
        turns, seen, slip = self._drive(steps_of(document), _last(document), keep_going=False)
        own_late = timedelta() if exact else OWN_LATE
        return judge(name, story_of(document), story_of(seen), turns, late=slip, own_late=own_late + slip)

    def what_if(self, document: Document, name: str, waits: Mapping[int, timedelta]) -> ReplayReport:
        """Drive `document` with other intervals, and go on where something is refused that was done.

        Args:
            document: a sound one.
            name: how the report calls it.
            waits: event number → how long after the step before it.

        Raises:
            RecordRefused: as for `of`.
        """
        steps = steps_of(document)
        unknown = sorted(waits.keys() - {step.seq for step in steps if not step.refused})
        if unknown:
            raise RecordRefused(f"{name} has no event {unknown[0]} that somebody made. `--step` shows which there are.")
        moved = later(steps, waits)
        end = max(_last(document), *(step.after for step in moved))
        turns, seen, slip = self._drive(moved, end, keep_going=True)
        return judge(name, story_of(document), story_of(seen), turns, late=slip, own_late=OWN_LATE + slip)

    def _drive(self, steps: list[Step], end: timedelta, *, keep_going: bool) -> tuple[list[Turn], Document, timedelta]:
        tenant = self._platform.seed("school", self._record)
        roles = {step.actor: step.role for step in steps}
        roles |= {_HANDS_OVER + step.role: step.role for step in steps if step.action == "hand-over"}
        people = self._platform.cast(tenant.id, roles, self._record)
        turns: list[Turn] = []
        began, slip = self._platform.clock.now(), timedelta()
        incident_id: str | None = None
        for step in steps:
            self._platform.sleep_until(began + step.after)
            self._look(step, people[step.actor], incident_id)
            answer = self._do(step, people, tenant.id, incident_id)
            if incident_id is None:
                told = answer.must()
                incident_id, began = str(told["id"]), datetime.fromisoformat(told["created_at"])
                continue
            slip = max(slip, self._platform.clock.now() - (began + step.after))
            if answer.ok == bool(step.refused) or (step.refused and answer.code != step.refused):
                detail = "" if answer.ok else str((answer.body or {}).get("detail", ""))
                turns.append(Turn(step, answer.summary, detail, leads_astray=answer.ok == bool(step.refused)))
                if turns[-1].leads_astray and not keep_going:
                    break
        else:
            self._platform.sleep_until(began + end)
        return turns, self._seen(tenant.superadmin, str(incident_id)), min(slip, MOST_SLIP)

    def _do(self, step: Step, people: Mapping[str, Person], tenant_id: str, incident_id: str | None) -> Answer:
        actor = people[step.actor]
        if incident_id is None:
            of = {"tenant_id": tenant_id} if step.role == "superadmin" else {}
            return actor.call("POST", "/incidents", {**step.body, **of})
        if step.action == "hand-over":
            began = people[_HANDS_OVER + step.role].hand_over(actor.user_id, "As it was recorded.")
            if not began.ok:
                return began
            return actor.accept_handoff(began.body["id"], {incident_id: "It is read back, as it was recorded."})
        return actor.act(incident_id, step.action, step.body)

    def _seen(self, reader: Person, incident_id: str) -> Document:
        """What the platform tells of the replay, if that can be trusted."""
        document = incident_record.checked(reader.export(incident_id, verbatim=True).must(), "the replay's own export")
        found = record_seal.faults_of(document)
        if found:
            raise RecordRefused(f"the replay's own export cannot be trusted: {'; '.join(found)}. Look at the platform.")
        return document


def _last(document: Document) -> timedelta:
    """Until when to drive: what was due at the last instant and not yet done when it was exported must not be done."""
    record = document["record"]
    last = max((*record["events"], *record["refusals"]), key=lambda row: int(row["after_us"]))
    own = any(row["after_us"] == last["after_us"] and row["actor"].startswith("system:") for row in record["events"])
    return timedelta(microseconds=last["after_us"]) + (AFTERWARDS if own else timedelta())
