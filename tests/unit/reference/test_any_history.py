"""Whatever is asked of an incident in whatever order, its promises hold."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pytest_smartattend.reference.domain.incident import Action, Confidence, Incident, Kind, Level, Severity, Status
from pytest_smartattend.reference.domain.lifecycle import Change, Lifecycle, Report
from pytest_smartattend.reference.domain.refusals import Refusal
from pytest_smartattend.reference.domain.sla import Promise, SlaRules

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
PERSON = "00000000-0000-4000-8000-00000000a22e"
LEVELS = ["level_1", "level_2", "level_3", "executive"]
LEAST = {"low": 0, "medium": 1, "high": 2, "critical": 3}
TEXTS = st.one_of(st.none(), st.sampled_from(["", "  ", "short", "long enough to say something"]))
FOLLOWS = {
    "open": {"acknowledged", "escalated"},
    "acknowledged": {"escalated", "investigating"},
    "escalated": {"escalated", "investigating"},
    "investigating": {"escalated", "mitigating"},
    "mitigating": {"escalated", "investigating", "resolved"},
    "resolved": {"closed", "investigating"},
    "closed": set(),
}


class AnyHistory(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.sla = SlaRules()
        self.lifecycle = Lifecycle(self.sla)
        self.now = START
        self.incident: Incident
        self.broken: set[str] = set()

    @initialize(severity=st.sampled_from(Severity))
    def reported(self, severity: Severity) -> None:
        report = Report("It is down", "", severity)
        ids = {"incident_id": UUID(int=1), "tenant_id": UUID(int=2), "by": UUID(int=3)}
        self.incident = self.lifecycle.report(report, at=self.now, **ids).incident

    @rule(minutes=st.integers(0, 600))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule(
        action=st.sampled_from([Action.ACKNOWLEDGE, Action.INVESTIGATE, Action.MITIGATE, Action.CLOSE, Action.REOPEN])
    )
    def moved(self, action: Action) -> None:
        self._try(lambda: self.lifecycle.move(self.incident, action, actor=PERSON, at=self.now, note=None))

    @rule(level=st.sampled_from(Level))
    def escalated(self, level: Level) -> None:
        before = self.incident
        change = self._try(lambda: self.lifecycle.escalate(before, level, actor=PERSON, at=self.now, note=None))
        if change:
            assert LEVELS.index(level) >= LEAST[before.severity]
            assert before.escalation_level is None or LEVELS.index(level) > LEVELS.index(before.escalation_level)

    @rule(texts=st.tuples(TEXTS, TEXTS, TEXTS))
    def resolved(self, texts: tuple[str | None, str | None, str | None]) -> None:
        fields = dict(zip(["root_cause", "remediation_steps", "prevention_measures"], texts, strict=True))
        change = self._try(lambda: self.lifecycle.resolve(self.incident, fields, actor=PERSON, at=self.now))
        if change:
            assert all(text and len(text.strip()) >= 10 for text in texts)

    @rule(severity=st.sampled_from(Severity))
    def severity_changed(self, severity: Severity) -> None:
        self._try(lambda: self.lifecycle.change_severity(self.incident, severity, reason="seen", at=self.now))

    @rule(text=TEXTS)
    def root_cause_recorded(self, text: str | None) -> None:
        self._try(lambda: self.lifecycle.record_root_cause(self.incident, text, Confidence.LOW, at=self.now))

    def _try(self, act: Callable[[], Change]) -> Change | None:
        before = self.incident
        try:
            change = act()
        except Refusal:
            assert self.incident == before
            return None
        after = change.incident
        if change.target is None:
            assert after.status == before.status
        else:
            assert after.status in FOLLOWS[before.status]
            assert change.kind is Kind.REOPENED or (change.kind.value == after.status)
        self.incident = after
        return change

    @invariant()
    def a_resolution_stands_where_it_must(self) -> None:
        if hasattr(self, "incident"):
            done = self.incident.status in {Status.RESOLVED, Status.CLOSED}
            assert (self.incident.resolution is not None) == done

    @invariant()
    def a_breach_is_never_undone(self) -> None:
        if hasattr(self, "incident"):
            seen = {promise for promise in Promise if self._is_broken(promise)}
            assert self.broken <= seen
            self.broken |= seen

    def _is_broken(self, promise: Promise) -> bool:
        return self.sla.state(self.incident, promise, self.now).status == "breached"


AnyHistory.TestCase.settings = settings(max_examples=25, stateful_step_count=50, deadline=None)
TestAnyHistory = AnyHistory.TestCase
