from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from pytest_smartattend.reference.domain.incident import (
    Action,
    Confidence,
    Incident,
    Kind,
    Level,
    Resolution,
    Severity,
    Status,
)
from pytest_smartattend.reference.domain.lifecycle import Change, Lifecycle, Report
from pytest_smartattend.reference.domain.refusals import Refusal
from pytest_smartattend.reference.domain.sla import SlaRules

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
ANNE = UUID("00000000-0000-4000-8000-00000000a22e")
TELLING = {
    "root_cause": "the disk was full",
    "remediation_steps": "old logs were removed",
    "prevention_measures": "an alert was added",
}

# Written by hand from the specification, not derived from the code: from → to → how one asks for it.
LEGAL = {
    ("open", "acknowledged"): "acknowledge",
    ("open", "escalated"): "escalate",
    ("acknowledged", "escalated"): "escalate",
    ("acknowledged", "investigating"): "investigate",
    ("escalated", "escalated"): "escalate",
    ("escalated", "investigating"): "investigate",
    ("investigating", "escalated"): "escalate",
    ("investigating", "mitigating"): "mitigate",
    ("mitigating", "escalated"): "escalate",
    ("mitigating", "investigating"): "investigate",
    ("mitigating", "resolved"): "resolve",
    ("resolved", "closed"): "close",
    ("resolved", "investigating"): "reopen",
}
ACTIONS_TO = {
    "open": (),
    "acknowledged": ("acknowledge",),
    "escalated": ("escalate",),
    "investigating": ("investigate", "reopen"),
    "mitigating": ("mitigate",),
    "resolved": ("resolve",),
    "closed": ("close",),
}
LEAST = {"low": 0, "medium": 1, "high": 2, "critical": 3}


def lifecycle() -> Lifecycle:
    return Lifecycle(SlaRules())


def incident(status: str = "open", severity: str = "low", level: str | None = None, **changes: Any) -> Incident:
    report = Report("It is down", "", Severity(severity))
    made = lifecycle().report(report, incident_id=uuid4(), tenant_id=uuid4(), by=ANNE, at=START).incident
    resolution = Resolution(**TELLING) if status in {"resolved", "closed"} else None
    return replace(
        made,
        status=Status(status),
        escalation_level=Level(level) if level else None,
        resolution=resolution,
        **changes,
    )


def ask(subject: Incident, action: str, rules: Lifecycle | None = None) -> Change:
    rules, at = rules or lifecycle(), START + timedelta(minutes=1)
    if action == "escalate":
        return rules.escalate(subject, Level.EXECUTIVE, actor=str(ANNE), at=at, note=None)
    if action == "resolve":
        return rules.resolve(subject, dict(TELLING), actor=str(ANNE), at=at)
    return rules.move(subject, Action(action), actor=str(ANNE), at=at, note=None)


@pytest.mark.parametrize("after", [status.value for status in Status])
@pytest.mark.parametrize("before", [status.value for status in Status])
def test_of_the_49_pairs_exactly_the_13_legal_ones_are_done(before: str, after: str) -> None:
    for action in ACTIONS_TO[after]:
        subject = incident(before)
        if LEGAL.get((before, after)) == action:
            change = ask(subject, action)
            assert change.incident.status == after
            assert (change.source, change.target) == (before, after)
        else:
            with pytest.raises(Refusal) as refused:
                ask(subject, action)
            assert refused.value.code == "invalid_transition"
            assert refused.value.extensions["current"] == before
            expected = {to for (source, to) in LEGAL if source == before}
            legal = refused.value.extensions["legal"]
            assert isinstance(legal, list)
            assert set(legal) == expected
            assert len(legal) == len(expected)


def test_the_hand_written_table_has_13_pairs_and_the_platform_no_more() -> None:
    rules = lifecycle()
    offered = {(before, after) for before, actions in rules.transitions.items() for after in actions.values()}
    assert len(LEGAL) == 13
    assert offered == set(LEGAL)


@pytest.mark.parametrize("level", list(Level))
@pytest.mark.parametrize("severity", list(Severity))
def test_of_the_16_cells_a_level_is_accepted_from_the_least_one_on(severity: Severity, level: Level) -> None:
    accepted = lifecycle().accepts(severity, None, level)
    assert accepted == (["level_1", "level_2", "level_3", "executive"].index(level) >= LEAST[severity])


def test_ten_of_the_16_cells_are_accepted() -> None:
    assert sum(lifecycle().accepts(severity, None, level) for severity in Severity for level in Level) == 10


@pytest.mark.parametrize("current", list(Level))
@pytest.mark.parametrize("level", list(Level))
def test_a_level_is_never_repeated_or_lowered(current: Level, level: Level) -> None:
    order = ["level_1", "level_2", "level_3", "executive"]
    assert lifecycle().accepts(Severity.LOW, current, level) == (order.index(level) > order.index(current))


def test_a_level_below_severity_is_refused_with_what_would_do() -> None:
    with pytest.raises(Refusal) as refused:
        lifecycle().escalate(incident(severity="high"), Level.LEVEL_2, actor=str(ANNE), at=START, note=None)
    assert refused.value.code == "escalation_level_mismatch"
    assert refused.value.extensions == {"severity": "high", "level": "level_2", "least": "level_3", "current": None}


def test_the_state_is_judged_before_the_level() -> None:
    with pytest.raises(Refusal) as refused:
        lifecycle().escalate(incident("closed", "critical"), Level.LEVEL_1, actor=str(ANNE), at=START, note=None)
    assert refused.value.code == "invalid_transition"


@pytest.mark.parametrize("lacking", [None, "", "   ", "too short", "  short     "])
def test_every_lacking_field_is_named_in_order(lacking: str | None) -> None:
    fields = {"root_cause": lacking, "remediation_steps": "old logs were removed", "prevention_measures": lacking}
    with pytest.raises(Refusal) as refused:
        lifecycle().resolve(incident("mitigating"), fields, actor=str(ANNE), at=START)
    assert refused.value.code == "missing_fields"
    assert refused.value.extensions["fields"] == ["root_cause", "prevention_measures"]


def test_ten_characters_after_trimming_are_enough_and_stored_trimmed() -> None:
    fields = dict(TELLING, root_cause="  0123456789 \n")
    resolved = lifecycle().resolve(incident("mitigating"), fields, actor=str(ANNE), at=START).incident
    assert resolved.resolution is not None
    assert resolved.resolution.root_cause == "0123456789"


@pytest.mark.parametrize("status", list(Status))
def test_a_root_cause_is_recorded_while_there_is_work_on_it(status: Status) -> None:
    rules, subject = lifecycle(), incident(status)
    if status in {"acknowledged", "escalated", "investigating", "mitigating"}:
        change = rules.record_root_cause(subject, " the disk was full ", Confidence.HIGH, at=START)
        assert (change.source, change.target, change.incident.status) == (None, None, status)
        assert change.payload == {"root_cause": "the disk was full", "confidence": "high"}
    else:
        with pytest.raises(Refusal, match="root-cause is not possible"):
            rules.record_root_cause(subject, "the disk was full", Confidence.HIGH, at=START)


@pytest.mark.parametrize("status", list(Status))
def test_severity_stands_once_resolved_and_never_moves_the_level(status: Status) -> None:
    rules, subject = lifecycle(), incident(status, "low", "level_1")
    if status in {"resolved", "closed"}:
        with pytest.raises(Refusal) as refused:
            rules.change_severity(subject, Severity.HIGH, reason="worse", at=START)
        assert refused.value.code == "severity_frozen"
    else:
        change = rules.change_severity(subject, Severity.HIGH, reason="worse", at=START)
        assert change.incident.escalation_level == "level_1"
        assert change.incident.status == status
        assert change.payload == {"old": "low", "new": "high", "reason": "worse"}


def test_a_change_to_the_same_severity_is_refused() -> None:
    with pytest.raises(Refusal) as refused:
        lifecycle().change_severity(incident(severity="low"), Severity.LOW, reason="same", at=START)
    assert refused.value.code == "validation_error"


def test_reopening_takes_the_resolution_back_and_is_told_as_such() -> None:
    change = ask(incident("resolved"), "reopen")
    assert change.kind is Kind.REOPENED
    assert change.incident.resolution is None


def test_an_instance_with_another_table_does_not_change_the_rules_of_others() -> None:
    rules = lifecycle()
    rules.transitions[Status.OPEN][Action.CLOSE] = Status.CLOSED
    assert ask(incident("open"), "close", rules).incident.status == "closed"
    with pytest.raises(Refusal):
        ask(incident("open"), "close")
