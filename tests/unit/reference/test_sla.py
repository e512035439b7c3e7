from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from pytest_smartattend.reference.domain.incident import Action, Incident, Level, Severity, Status
from pytest_smartattend.reference.domain.lifecycle import Lifecycle, Report
from pytest_smartattend.reference.domain.sla import Promise, SlaRules, SlaStatus

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
TICK = timedelta(microseconds=1)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SLA = SlaRules()
RULES = Lifecycle(SLA)
FIELDS: dict[str, str | None] = {
    "root_cause": "the disk was full",
    "remediation_steps": "old logs were removed",
    "prevention_measures": "an alert was added",
}
PERSON = str(uuid4())


def made(severity: str) -> Incident:
    report = Report("It is down", "", Severity(severity))
    return RULES.report(report, incident_id=uuid4(), tenant_id=uuid4(), by=uuid4(), at=START).incident


def acknowledged(incident: Incident, after: timedelta) -> Incident:
    return RULES.move(incident, Action.ACKNOWLEDGE, actor=PERSON, at=START + after, note=None).incident


def resolved(incident: Incident, after: timedelta) -> Incident:
    mitigating = replace(incident, status=Status.MITIGATING)
    return RULES.resolve(mitigating, FIELDS, actor=PERSON, at=START + after).incident


def status(incident: Incident, promise: str, after: timedelta) -> SlaStatus:
    return SLA.state(incident, Promise(promise), START + after).status


def breached_after(incident: Incident, promise: str, after: timedelta) -> timedelta | None:
    at = SLA.state(incident, Promise(promise), START + after).breached_at
    return at - START if at else None


@pytest.mark.parametrize(
    ("severity", "acknowledge", "resolve"),
    [
        ("critical", 15 * MINUTE, 4 * HOUR),
        ("high", 30 * MINUTE, 8 * HOUR),
        ("medium", 2 * HOUR, 24 * HOUR),
        ("low", 8 * HOUR, 72 * HOUR),
    ],
)
def test_both_windows_run_from_creation(severity: str, acknowledge: timedelta, resolve: timedelta) -> None:
    incident = made(severity)
    for promise, length in (("acknowledge", acknowledge), ("resolve", resolve)):
        window = SLA.state(incident, Promise(promise), START)
        assert window.due_at == START + length
        assert window.window_seconds == length.total_seconds()
        assert (window.used, window.status) == (0.0, "on_track")


def test_a_window_is_at_risk_from_four_fifths_on_and_breached_after_its_end() -> None:
    incident = made("critical")
    assert status(incident, "resolve", 192 * MINUTE - TICK) == "on_track"
    assert status(incident, "resolve", 192 * MINUTE) == "at_risk"
    assert status(incident, "resolve", 240 * MINUTE) == "at_risk"
    assert status(incident, "resolve", 240 * MINUTE + TICK) == "breached"
    assert breached_after(incident, "resolve", 300 * MINUTE) == 240 * MINUTE


@pytest.mark.parametrize(("after", "expected"), [(15 * MINUTE, "met"), (15 * MINUTE + TICK, "breached")])
def test_the_due_instant_itself_still_keeps_the_promise(after: timedelta, expected: str) -> None:
    incident = acknowledged(made("critical"), after)
    assert status(incident, "acknowledge", after) == expected
    assert status(incident, "acknowledge", 100 * HOUR) == expected


def test_escalating_out_of_open_also_meets_the_first_window() -> None:
    change = RULES.escalate(made("critical"), Level.EXECUTIVE, actor=PERSON, at=START + MINUTE, note=None)
    assert status(change.incident, "acknowledge", 2 * MINUTE) == "met"


def test_only_a_person_meets_the_first_window() -> None:
    monitor = "system:sla-monitor"
    change = RULES.escalate(made("critical"), Level.EXECUTIVE, actor=monitor, at=START + 15 * MINUTE, note=None)
    assert status(change.incident, "acknowledge", 16 * MINUTE) == "breached"


def test_a_later_action_does_not_answer_again() -> None:
    first = acknowledged(made("high"), 5 * MINUTE)
    later = RULES.move(first, Action.INVESTIGATE, actor=PERSON, at=START + 20 * MINUTE, note=None).incident
    assert SLA.state(later, Promise.ACKNOWLEDGE, START + 21 * MINUTE).met_at == START + 5 * MINUTE


def test_a_change_of_severity_recomputes_from_creation() -> None:
    changed = RULES.change_severity(made("low"), Severity.CRITICAL, reason="worse", at=START + 10 * MINUTE).incident
    window = SLA.state(changed, Promise.ACKNOWLEDGE, START + 10 * MINUTE)
    assert window.due_at == START + 15 * MINUTE
    assert window.status == "on_track"


def test_an_end_that_has_passed_already_is_a_breach_at_the_change() -> None:
    changed = RULES.change_severity(made("low"), Severity.CRITICAL, reason="worse", at=START + 20 * MINUTE).incident
    assert changed.acknowledge.breached_at == START + 20 * MINUTE
    assert changed.resolve.breached_at is None


def test_a_breach_is_not_undone_by_a_milder_severity() -> None:
    changed = RULES.change_severity(made("critical"), Severity.LOW, reason="milder", at=START + 20 * MINUTE).incident
    assert breached_after(changed, "acknowledge", 21 * MINUTE) == 15 * MINUTE
    assert status(acknowledged(changed, 30 * MINUTE), "acknowledge", HOUR) == "breached"


def test_a_promise_that_was_kept_stays_kept_under_a_harder_severity() -> None:
    kept = acknowledged(made("low"), HOUR)
    changed = RULES.change_severity(kept, Severity.CRITICAL, reason="worse", at=START + 2 * HOUR).incident
    assert status(changed, "acknowledge", 3 * HOUR) == "met"


def test_reopening_resumes_the_resolve_window() -> None:
    reopened = RULES.move(
        resolved(made("critical"), 2 * HOUR), Action.REOPEN, actor=PERSON, at=START + 3 * HOUR, note=None
    ).incident
    assert SLA.state(reopened, Promise.RESOLVE, START + 3 * HOUR).used == 0.75
    assert status(reopened, "resolve", 3 * HOUR) == "on_track"
    assert status(reopened, "resolve", 5 * HOUR) == "breached"
    assert status(resolved(reopened, 4 * HOUR), "resolve", 9 * HOUR) == "met"


def test_reopening_after_the_end_breaks_the_promise_then() -> None:
    reopened = RULES.move(
        resolved(made("critical"), 2 * HOUR), Action.REOPEN, actor=PERSON, at=START + 6 * HOUR, note=None
    ).incident
    assert breached_after(reopened, "resolve", 7 * HOUR) == 6 * HOUR


def test_a_broken_resolve_window_stays_broken_through_resolving_and_reopening() -> None:
    late = resolved(made("critical"), 5 * HOUR)
    assert breached_after(late, "resolve", 5 * HOUR) == 4 * HOUR
    reopened = RULES.move(late, Action.REOPEN, actor=PERSON, at=START + 6 * HOUR, note=None).incident
    assert breached_after(reopened, "resolve", 6 * HOUR) == 4 * HOUR


def test_a_clock_that_was_set_back_shows_nothing_below_zero() -> None:
    assert SLA.state(made("low"), Promise.RESOLVE, START - HOUR).used == 0.0
