"""Defects in the rules of incidents: transitions, levels, required fields, windows."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pytest_smartattend.reference.domain.incident import Action, Incident, Level, Severity, Status
from pytest_smartattend.reference.domain.lifecycle import Change, Report
from pytest_smartattend.reference.domain.sla import Promise
from pytest_smartattend.sabotage.defect import Sabotage


def _allow(status: Status, action: Action, target: Status) -> Any:  # noqa: ANN401
    def plant(app: Any) -> None:  # noqa: ANN401
        app.state.platform.lifecycle.transitions[status][action] = target

    return plant


def _refuse_the_way_back(app: Any) -> None:  # noqa: ANN401
    del app.state.platform.lifecycle.transitions[Status.MITIGATING][Action.INVESTIGATE]


def _lower_the_least_level(app: Any) -> None:  # noqa: ANN401
    app.state.platform.lifecycle.least_levels[Severity.CRITICAL] = Level.LEVEL_3


def _let_the_level_fall(app: Any) -> None:  # noqa: ANN401
    lifecycle = app.state.platform.lifecycle

    def accepts(severity: Severity, _current: Level | None, level: Level) -> bool:
        return bool(level.rank >= lifecycle.least_levels[severity].rank)

    lifecycle.accepts = accepts


def _count_blanks(app: Any) -> None:  # noqa: ANN401
    app.state.platform.lifecycle.lacks = lambda text: not text or len(text) < 10


def _name_one_field(app: Any) -> None:  # noqa: ANN401
    lifecycle = app.state.platform.lifecycle
    honest = lifecycle.missing

    def missing(fields: Mapping[str, str | None]) -> list[str]:
        return list(honest(fields)[:1])

    lifecycle.missing = missing


def _stretch_a_window(app: Any) -> None:  # noqa: ANN401
    app.state.platform.sla.windows[Severity.CRITICAL][Promise.RESOLVE] = timedelta(hours=5)


def _never_met(app: Any) -> None:  # noqa: ANN401
    def answered(incident: Incident, _promise: Promise, _at: object) -> Incident:
        return incident

    app.state.platform.sla.answered = answered


def _forget_the_severity(app: Any) -> None:  # noqa: ANN401
    lifecycle = app.state.platform.lifecycle
    honest = lifecycle.change_severity

    def change_severity(incident: Incident, *given: Any, **more: Any) -> Change:  # noqa: ANN401
        change: Change = honest(incident, *given, **more)
        return dataclasses.replace(change, incident=dataclasses.replace(change.incident, severity=incident.severity))

    lifecycle.change_severity = change_severity


def _raise_the_level(app: Any) -> None:  # noqa: ANN401
    lifecycle = app.state.platform.lifecycle
    honest = lifecycle.change_severity

    def change_severity(incident: Incident, severity: Severity, **more: Any) -> Change:  # noqa: ANN401
        change: Change = honest(incident, severity, **more)
        raised = dataclasses.replace(change.incident, escalation_level=lifecycle.least_levels[severity])
        return dataclasses.replace(change, incident=raised)

    lifecycle.change_severity = change_severity


def _guess_causes(app: Any) -> None:  # noqa: ANN401
    lifecycle = app.state.platform.lifecycle
    honest = lifecycle.record_root_cause

    def record_root_cause(incident: Incident, *given: Any, **more: Any) -> Change:  # noqa: ANN401
        change: Change = honest(dataclasses.replace(incident, status=Status.INVESTIGATING), *given, **more)
        return dataclasses.replace(change, incident=dataclasses.replace(change.incident, status=incident.status))

    lifecycle.record_root_cause = record_root_cause


def _escape_texts(app: Any) -> None:  # noqa: ANN401
    lifecycle = app.state.platform.lifecycle
    honest = lifecycle.report

    def report(said: Report, **more: Any) -> Change:  # noqa: ANN401
        escaped = dataclasses.replace(
            said, title=html.escape(said.title)[:200], description=html.escape(said.description)
        )
        changed: Change = honest(escaped, **more)
        return changed

    lifecycle.report = report


RULES = (
    Sabotage(
        "illegal-transition-allowed",
        "an acknowledged incident can be mitigated without being investigated",
        _allow(Status.ACKNOWLEDGED, Action.MITIGATE, Status.MITIGATING),
    ),
    Sabotage("legal-transition-refused", "a failed mitigation cannot be investigated again", _refuse_the_way_back),
    Sabotage(
        "reopens-by-investigate",
        "a resolved incident can be reopened by `investigate`",
        _allow(Status.RESOLVED, Action.INVESTIGATE, Status.INVESTIGATING),
    ),
    Sabotage("level-below-severity-accepted", "a critical incident may go to level_3 only", _lower_the_least_level),
    Sabotage("level-may-fall", "an incident can be escalated to its own level, or a lower one", _let_the_level_fall),
    Sabotage("blank-field-accepted", "blanks count as text in a resolution", _count_blanks),
    Sabotage("only-first-missing-field-named", "a refused resolution names one field of several", _name_one_field),
    Sabotage("window-too-long", "a critical incident has five hours to be resolved", _stretch_a_window),
    Sabotage("window-never-met", "an acknowledgement in time does not meet its window", _never_met),
    Sabotage(
        "severity-change-forgotten", "a change of severity is told in the timeline and not made", _forget_the_severity
    ),
    Sabotage("severity-raises-level", "a change of severity raises the escalation level with it", _raise_the_level),
    Sabotage("root-cause-anywhere", "a root cause can be recorded before anybody has looked", _guess_causes),
    Sabotage("text-mangled", "titles are stored escaped for HTML", _escape_texts),
)
