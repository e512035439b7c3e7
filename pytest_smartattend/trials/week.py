"""A week of incidents: drawn from a seed, done by several people, and compared with what must have come of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import rfc8785

from pytest_smartattend.engine import chain
from pytest_smartattend.engine.dice import Stream
from pytest_smartattend.evidence import stopwatch
from pytest_smartattend.evidence.record import Evidence
from pytest_smartattend.target import contract
from pytest_smartattend.target.in_process import InProcessPlatform
from pytest_smartattend.target.people import Person, Tenant
from pytest_smartattend.trials.course import PROMISES, Course, Step

WEEK: Final = timedelta(days=7)
#: everything that people do falls on a whole minute, so that much of it falls together
GRID: Final = timedelta(minutes=1)
#: so that the monitor's last notices of the week are given
AFTERWARDS: Final = timedelta(seconds=30)
#: how much is done about an incident at most, from nothing at all; one is drawn for each
LENGTHS: Final = (0, 1, 1, 2, 2, 3, 5, 8)
#: every so many incidents the API is asked for the timeline too, and must tell what is stored
LOOK_EVERY: Final = 10
#: the roles of those who work on incidents: two of the tenant's, two of the platform's
ADMINS: Final = ("admin", "admin", "superadmin", "superadmin")
#: status → what somebody may do next, the likelier the more often it stands there
_LIKELY: Final[Mapping[str, tuple[str, ...]]] = {
    "open": ("acknowledge", "acknowledge", "acknowledge", "escalate", "severity"),
    "acknowledged": ("investigate", "investigate", "investigate", "escalate", "severity", "root-cause"),
    "escalated": ("investigate", "investigate", "investigate", "escalate", "severity"),
    "investigating": ("mitigate", "mitigate", "mitigate", "root-cause", "escalate", "severity"),
    "mitigating": ("resolve", "resolve", "resolve", "resolve", "investigate", "severity"),
    "resolved": ("close", "close", "close", "reopen"),
    "closed": (),
}


@dataclass(frozen=True)
class Deed:
    """Somebody does something. `at` is after the week's begin; `who` is one of the admins, `action` None the report."""

    at: timedelta
    incident: int
    who: int
    action: str | None
    body: Mapping[str, object]


@dataclass(frozen=True)
class Plan:
    """One incident of the week: its severity when reported, when that is, and how its course must look at the end."""

    severity: str
    at: timedelta
    course: Course


class Week:
    """The plan of a week.

    Args:
        incidents: how many are reported, 200 at most: as many as one page of the list shows.
        seed: decides everything.

    Attributes:
        plans: the incidents by number.
        deeds: everything that people do, in the order in which they do it.
    """

    def __init__(self, incidents: int, seed: int) -> None:
        self.plans: list[Plan] = []
        deeds: list[Deed] = []
        for number in range(incidents):
            plan, done = _planned(number, Stream(seed, f"incident {number}"))
            self.plans.append(plan)
            deeds += done
        order = Stream(seed, "order within an instant").shuffled(range(len(deeds)))
        self.deeds = [deeds[index] for index in sorted(range(len(deeds)), key=lambda one: (deeds[one].at, order[one]))]

    def play(self, platform: InProcessPlatform, tenant: Tenant, evidence: Evidence, digest: str) -> None:
        """Do it all on a discrete clock, and show that exactly what must came of it.

        Args:
            platform: the check's alone, on a discrete clock; it is ended.
            tenant: whose incidents they are.
            evidence: where everything is told.
            digest: of all timelines, incident by incident.

        Raises:
            AssertionError: something else happened, or not when it should have.
            ClockDeadlock, ClockStall: time could not move on.
        """
        began, start = stopwatch.monotonic_ns(), platform.clock.now()
        ids = self.live(platform, tenant)
        timelines = self.timelines(platform, tenant, ids)
        self._compare(tenant, ids, timelines, evidence)
        evidence.expect("digest", self.digest(timelines), digest)
        platform.stop()
        evidence.expect("transactions and locks left", platform.observer.leftovers(), [])
        evidence.measure("requests", len(self.deeds), "requests")
        evidence.measure("events", sum(len(plan.course.steps) for plan in self.plans), "rows")
        evidence.measure("simulated duration", (platform.clock.now() - start).total_seconds(), "s")
        evidence.measure("real duration", (stopwatch.monotonic_ns() - began) / 1e9, "s")

    def live(self, platform: InProcessPlatform, tenant: Tenant) -> list[str]:
        """Do it all, and let the week pass; the ids of the incidents by number.

        Raises:
            ContractBroken: something was refused.
            ClockDeadlock, ClockStall: time could not move on.
        """
        start = platform.clock.now()
        admins = [*_both(tenant, "admin"), *_both(tenant, "superadmin")]
        ids = [""] * len(self.plans)
        for deed in self.deeds:
            platform.sleep_until(start + deed.at)
            if deed.action is None:
                report = tenant.staff.report(f"Incident {deed.incident}", self.plans[deed.incident].severity).must()
                ids[deed.incident] = report["id"]
            else:
                admins[deed.who].act(ids[deed.incident], deed.action, deed.body).must()
        platform.sleep_until(start + WEEK + AFTERWARDS)
        return ids

    def timelines(self, platform: InProcessPlatform, tenant: Tenant, ids: Sequence[str]) -> list[list[list[Any]]]:
        """What is stored of each incident: number, kind, role, from, to, and seconds after the report of each row."""
        stored = _stored(platform, tenant)
        people = {"staff": [tenant.staff], **{role: _both(tenant, role) for role in ("admin", "superadmin")}}
        roles = {person.user_id: role for role, persons in people.items() for person in persons}
        found = []
        for incident_id in ids:
            events = stored[incident_id]
            created = events[0][-1]
            found.append(
                [
                    [*shown[:2], roles.get(shown[2], shown[2]), *shown[3:5], (shown[5] - created).total_seconds()]
                    for shown in events
                ]
            )
        return found

    def digest(self, timelines: Sequence[Any]) -> str:
        """SHA-256 over all of it, hexadecimal."""
        return hashlib.sha256(rfc8785.dumps([*timelines])).hexdigest()

    def _compare(
        self, tenant: Tenant, ids: Sequence[str], timelines: Sequence[list[list[Any]]], evidence: Evidence
    ) -> None:
        shown = {one["id"]: one["sla"] for one in tenant.admin.incidents(limit=len(ids)).must()["items"]}
        for number, (plan, rows) in enumerate(zip(self.plans, timelines, strict=True)):
            expected = [_expected(seq, step) for seq, step in enumerate(plan.course.steps, start=1)]
            evidence.expect(f"timeline of incident {number}", rows, expected)
            lasted = WEEK + AFTERWARDS - plan.at
            stands = {promise: plan.course.state(promise, lasted) for promise in PROMISES}
            windows = {promise: shown[ids[number]][promise]["status"] for promise in PROMISES}
            evidence.expect(f"windows of incident {number}", windows, stands)
            if number % LOOK_EVERY == 0:
                told = tenant.admin.part(ids[number], "timeline").must()
                faults = chain.faults_of(ids[number], told["events"], told["head"])
                evidence.invariant(f"the chain of incident {number} is whole", not faults, str(faults))
                created = datetime.fromisoformat(told["events"][0]["at"])
                plainly = [
                    (one["seq"], one["kind"], (datetime.fromisoformat(one["at"]) - created).total_seconds())
                    for one in told["events"]
                ]
                evidence.expect(f"what is told of incident {number}", plainly, [(r[0], r[1], r[5]) for r in rows])


def _planned(number: int, dice: Stream) -> tuple[Plan, list[Deed]]:
    """One incident, from its report to its close, the week's end, or until nobody does anything more."""
    severity = dice.pick(contract.SEVERITIES)
    begin = dice.below(int(WEEK / GRID) - 60) * GRID
    course, at = Course(severity), timedelta()
    deeds = [Deed(begin, number, 0, None, {})]
    for _ in range(dice.pick(LENGTHS)):
        window = contract.SLA[course.severity][1]
        at += (1 + dice.below(int(window / GRID) // 4)) * GRID
        if begin + at >= WEEK:
            break
        course.pass_to(at)
        if not (likely := _LIKELY[course.status]):
            break
        action, who = dice.pick(likely), dice.below(len(ADMINS))
        if action == "escalate" and not course.levels():
            action = "investigate" if course.status in {"acknowledged", "escalated"} else "severity"
        body = _body(action, course, dice)
        course.act(at, ADMINS[who], action, body)
        deeds.append(Deed(begin + at, number, who, action, body))
    course.pass_to(WEEK + AFTERWARDS - begin)
    return Plan(severity, begin, course), deeds


def _body(action: str, course: Course, dice: Stream) -> Mapping[str, object]:
    if action == "escalate":
        return {"level": dice.pick(course.levels())}
    if action == "severity":
        others = [severity for severity in contract.SEVERITIES if severity != course.severity]
        return {"severity": dice.pick(others), "reason": "It was judged wrongly."}
    return contract.BODIES[action]


def _both(tenant: Tenant, role: str) -> list[Person]:
    return [tenant.actor(role), tenant.successor_of(role)]


def _stored(platform: InProcessPlatform, tenant: Tenant) -> dict[str, list[tuple[Any, ...]]]:
    """The tenant's timelines as the database has them: incident → number, kind, actor, from, to and time of each row."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    rows = platform.observer.rows("select * from timeline where tenant_id = %s order by incident_id, seq", tenant.id)
    for row in rows:
        found.setdefault(str(row["incident_id"]), []).append(tuple(row[name] for name in _SHOWN))
    return found


_SHOWN: Final = ("seq", "kind", "actor", "from", "to", "at")


def _expected(seq: int, step: Step) -> list[object]:
    return [seq, step.event[0], step.role, step.event[1], step.event[2], step.at.total_seconds()]
