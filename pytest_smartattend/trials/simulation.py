"""Plays a script of an incident on the clock, and compares what the timeline tells with it, line by line."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import rfc8785

from pytest_smartattend.engine import chain
from pytest_smartattend.errors import NotOffered
from pytest_smartattend.evidence import stopwatch
from pytest_smartattend.evidence.record import Evidence
from pytest_smartattend.loop.clock import LoopClock
from pytest_smartattend.target.people import Tenant

if TYPE_CHECKING:
    from pytest_smartattend.target.in_process import InProcessPlatform

#: the platform's own actor, as the timeline names it
MONITOR = "system:sla-monitor"
#: where time passes by itself, an event that is late by less than this was still on time for the script
LATE = timedelta(seconds=30)
#: so long after the last line nothing more may happen
AFTERWARDS = timedelta(minutes=5)

#: kind, from and to of a row of the timeline
Event = tuple[str, str | None, str | None]


@dataclass(frozen=True)
class Act:
    """Somebody does something. `at` is after the report; `body` is sent along; the timeline must get `event`."""

    at: timedelta
    role: str
    action: str
    event: Event
    body: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Own:
    """The platform does something by itself, at that very instant.

    A notice names its window, and carries when that ends (`due`, after the report) and when it was noticed.
    """

    at: timedelta
    event: Event
    promise: str = ""
    due: timedelta | None = None


@dataclass(frozen=True)
class Look:
    """Somebody reads how a window stands: its status, and how long after the report it ends or was broken."""

    at: timedelta
    promise: str
    status: str
    due: timedelta
    breached: timedelta | None = None


@dataclass(frozen=True)
class Do:
    """Something that leaves nothing in the timeline, such as load or a fault: `do` is called, and says what it saw."""

    at: timedelta
    what: str
    do: Callable[[], None]


Script = Sequence[Act | Own | Look | Do]


class Simulation:
    """One incident, played by a script.

    Args:
        platform: on `clock`, and the check's alone: `play` ends it.
        clock: the platform's.
        tenant: whose people act.
        evidence: where everything is told.
    """

    def __init__(self, platform: InProcessPlatform, clock: LoopClock, tenant: Tenant, evidence: Evidence) -> None:
        self._platform = platform
        self._clock = clock
        self._tenant = tenant
        self._evidence = evidence

    def play(self, title: str, severity: str, script: Script, digest: str) -> None:
        """Report an incident, follow `script`, and show that exactly this happened.

        Args:
            title: the incident's.
            severity: with which it is reported.
            script: its lines in their order; no two within a second, but for those of one instant.
            digest: of the whole timeline: the same in every run, and in every mode of the clock.

        Raises:
            AssertionError: something else happened, or something more, or not when it should have.
            ClockDeadlock, ClockStall: time could not move on.
        """
        began, started = stopwatch.monotonic_ns(), self._clock.now()
        incident = self._tenant.staff.report(title, severity).must()
        created = datetime.fromisoformat(incident["created_at"])
        for line in script:
            if not isinstance(line, Own):  # what the platform does by itself is not waited for: it is seen afterwards
                self._platform.sleep_until(created + line.at)
                self._follow(incident["id"], created, line)
        self._platform.sleep_until(created + script[-1].at + AFTERWARDS)
        timeline = self._tenant.admin.part(incident["id"], "timeline").must()
        self._list_escalations(incident["id"], timeline)
        self._platform.stop()
        self._compare(timeline, created, script, digest)
        self._is_stable(incident["id"], timeline)
        self._evidence.measure("simulated duration", (self._clock.now() - started).total_seconds(), "s")
        self._evidence.measure("real duration", (stopwatch.monotonic_ns() - began) / 1e9, "s")

    def _follow(self, incident_id: str, created: datetime, line: Act | Look | Do) -> None:
        if isinstance(line, Do):
            line.do()
            self._evidence.event(line.what, at=str(line.at))
            return
        if isinstance(line, Act):
            done = self._tenant.actor(line.role).act(incident_id, line.action, line.body)
            self._evidence.expect(f"{line.action} at +{line.at}", done.ok, expected=True)
            self._evidence.event(line.action, at=str(line.at))
            return
        window = self._tenant.admin.part(incident_id, "sla").must()[line.promise]
        seen = {name: _after(created, window[name]) for name in ("due_at", "breached_at")}
        wanted = {"due_at": line.due, "breached_at": line.breached}
        self._evidence.expect(f"{line.promise} at +{line.at}", window["status"], line.status)
        self._evidence.expect(f"end of {line.promise} at +{line.at}", seen, wanted)

    def _list_escalations(self, incident_id: str, timeline: Mapping[str, Any]) -> None:
        try:
            steps = self._tenant.admin.part(incident_id, "escalations").must()["items"]
        except NotOffered as why:  # a list of its own: what the simulation is about is shown all the same
            self._evidence.note(str(why))
            return
        climbed = [event["actor"] for event in timeline["events"] if event["kind"] == "escalated"]
        self._evidence.expect("who escalated, as the list has it", [step["actor"] for step in steps], climbed)

    def _compare(self, timeline: Mapping[str, Any], created: datetime, script: Script, digest: str) -> None:
        roles = {self._tenant.actor(role).user_id: role for role in ("member", "staff", "admin", "superadmin")}
        wanted = [(timedelta(), "staff", ("created", None, "open"))] + [
            (line.at, line.role if isinstance(line, Act) else MONITOR, line.event)
            for line in script
            if isinstance(line, Act | Own)
        ]
        rows, lateness = [], [timedelta()]
        for number, event in enumerate(timeline["events"]):
            at = datetime.fromisoformat(event["at"]) - created
            late = at - wanted[number][0] if number < len(wanted) else timedelta()
            if timedelta() <= late <= self._tolerance():
                at -= late
                lateness.append(late)
            role = roles.get(event["actor"], event["actor"])
            rows.append([event["seq"], event["kind"], role, event["from"], event["to"], at.total_seconds()])
        expected = [
            [seq, event[0], role, event[1], event[2], at.total_seconds()]
            for seq, (at, role, event) in enumerate(wanted, start=1)
        ]
        self._evidence.expect("timeline", rows, expected)
        self._evidence.expect("digest", hashlib.sha256(rfc8785.dumps(rows)).hexdigest(), digest)
        notices = [
            (event["payload"].get("promise"), _after(created, event["payload"].get("due_at")))
            for event in timeline["events"]
            if event["payload"].get("noticed_at") == event["at"]
        ]
        told = [(line.promise, line.due) for line in script if isinstance(line, Own) and line.promise]
        self._evidence.expect("windows and ends that the notices carry, with the time of noticing", notices, told)
        self._evidence.measure("events", len(rows), "rows")
        self._evidence.measure("lateness of the latest timer", max(lateness).total_seconds(), "s of the clock")

    def _tolerance(self) -> timedelta:
        """How late an event may be: not at all where time stands still while the platform works."""
        return timedelta() if self._clock.mode == "discrete" else LATE

    def _is_stable(self, incident_id: str, timeline: Mapping[str, Any]) -> None:
        events, head = timeline["events"], timeline["head"]
        self._evidence.invariant(
            "the chain is whole", not (faults := chain.faults_of(incident_id, events, head)), str(faults)
        )
        stored = self._platform.observer.rows(
            "select hash from timeline where incident_id = %s order by seq", incident_id
        )
        self._evidence.expect(
            "events in the database", [row["hash"] for row in stored], [one["hash"] for one in events]
        )
        self._evidence.expect("transactions and locks left", self._platform.observer.leftovers(), [])


def _after(created: datetime, moment: str | None) -> timedelta | None:
    return None if moment is None else datetime.fromisoformat(moment) - created
