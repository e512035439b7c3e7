"""The tester's own reading of how an incident goes, held against the specification's examples and against the platform's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pytest_smartattend.reference.domain.incident import Action, Confidence, Incident, Level, Severity
from pytest_smartattend.reference.domain.lifecycle import Change, Lifecycle, Report
from pytest_smartattend.reference.domain.sla import Promise, SlaRules, SlaStatus
from pytest_smartattend.target import contract
from pytest_smartattend.trials.course import PROMISES, Course
from pytest_smartattend.trials.week import WEEK, Week

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
START = datetime(2026, 3, 2, 8, tzinfo=UTC)


def told(course: Course) -> list[tuple[int, str, str]]:
    """Minute, kind, and who, of every step."""
    return [(int(step.at / MINUTE), step.event[0], step.role) for step in course.steps]


def test_what_nobody_takes_is_noticed_broken_and_carried_up() -> None:
    course = Course("critical")
    course.pass_to(5 * HOUR)
    monitor = "system:sla-monitor"
    assert told(course) == [
        (0, "created", "staff"), (12, "sla_at_risk", monitor), (15, "sla_breached", monitor),
        (15, "escalated", monitor), (192, "sla_at_risk", monitor), (240, "sla_breached", monitor),
    ]  # fmt: skip
    assert (course.status, course.level) == ("escalated", "executive")
    assert {promise: course.state(promise, 5 * HOUR) for promise in PROMISES} == dict.fromkeys(PROMISES, "breached")


def test_at_its_due_instant_a_promise_is_kept() -> None:
    course = Course("critical")
    course.act(15 * MINUTE, "admin", "acknowledge", {})
    course.pass_to(HOUR)
    assert course.state("acknowledge", HOUR) == "met"
    assert [kind for _, kind, _ in told(course)] == ["created", "sla_at_risk", "acknowledged"]


def _notice(rules: Lifecycle, incident: Incident, at: datetime) -> tuple[Incident, list[str]]:
    """What the reference's monitor does at an instant."""
    kinds = []
    for notice in rules.sla.owed(incident, at):
        change: Change = rules.notice(incident, notice, at=at)
        kinds.append(change.kind.value)
        incident = change.incident
        missed = notice.promise is Promise.ACKNOWLEDGE and notice.status is SlaStatus.BREACHED
        if missed and incident.status.value == "open":
            level = rules.least_levels[incident.severity]
            incident = rules.escalate(incident, level, actor="system:sla-monitor", at=at, note=None).incident
            kinds.append("escalated")
    return incident, kinds


@given(number=some.integers(0, 2**32))
def test_it_agrees_with_the_reference_on_any_incident_of_any_week(number: int) -> None:
    week = Week(1, number)
    plan, rules = week.plans[0], Lifecycle(SlaRules())
    by = UUID(int=1)
    change = rules.report(
        Report("t", "", Severity(plan.severity)), incident_id=UUID(int=2), tenant_id=UUID(int=3), by=by, at=START
    )
    incident, kinds = change.incident, ["created"]
    ends = START + WEEK - plan.at
    deeds = [(START + deed.at - plan.at, deed) for deed in week.deeds if deed.action is not None]
    while True:
        moments = [incident.sla_watch_at] if incident.sla_watch_at else []
        moments += [deeds[0][0]] if deeds else []
        if not moments or (now := min(moments)) > ends:
            break
        if deeds and deeds[0][0] == now:
            deed = deeds.pop(0)[1]
            done = _done(
                rules,
                incident,
                Action(str(deed.action)),
                {name: str(value) for name, value in deed.body.items()},
                str(by),
                now,
            )
            incident = done.incident
            kinds.append(done.kind.value)
        else:
            incident, found = _notice(rules, incident, now)
            kinds += found
    assert kinds == [step.event[0] for step in plan.course.steps]
    lasted = WEEK - plan.at + MINUTE / 2
    for promise in Promise:
        state = rules.sla.state(incident, promise, START + lasted).status.value
        assert state == plan.course.state(promise.value, lasted)


def _done(
    rules: Lifecycle, incident: Incident, action: Action, body: dict[str, str], actor: str, at: datetime
) -> Change:
    match action:
        case Action.SEVERITY:
            return rules.change_severity(incident, Severity(body["severity"]), reason=body["reason"], at=at)
        case Action.ROOT_CAUSE:
            return rules.record_root_cause(incident, body["root_cause"], Confidence(body["confidence"]), at=at)
        case Action.ESCALATE:
            return rules.escalate(incident, Level(body["level"]), actor=actor, at=at, note=None)
        case Action.RESOLVE:
            return rules.resolve(incident, body, actor=actor, at=at)
        case _:
            return rules.move(incident, action, actor=actor, at=at, note=None)


def test_a_week_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    assert Week(50, 7).deeds == Week(50, 7).deeds != Week(50, 8).deeds


@pytest.mark.parametrize("seed", [20260302, 1])
def test_a_week_of_two_hundred_has_everything_in_it(seed: int) -> None:
    week = Week(200, seed)
    assert {plan.severity for plan in week.plans} == set(contract.SEVERITIES)
    assert {deed.action for deed in week.deeds} == {None, *contract.BODIES}
    assert {deed.who for deed in week.deeds if deed.action} == {0, 1, 2, 3}
    kinds = {step.event[0] for plan in week.plans for step in plan.course.steps}
    assert kinds >= {"sla_at_risk", "sla_breached", "escalated", "severity_changed", "reopened", "closed"}
    assert [deed.at for deed in week.deeds] == sorted(deed.at for deed in week.deeds)
