"""How the course of one incident must look: the tester's own reading of the specification, step by step.

What people do is given; what the platform must do by itself, the notices of its windows and the escalation of what nobody
took, follows. Written down a second time on purpose, as `target.contract` is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from pytest_smartattend.target import contract
from pytest_smartattend.trials.simulation import MONITOR, Event

#: a running window is at risk from this share of its length on
AT_RISK: Final = 0.8
PROMISES: Final = ("acknowledge", "resolve")


@dataclass(frozen=True)
class Step:
    """One row of the timeline: when after the report, by which role, and what."""

    at: timedelta
    role: str
    event: Event


@dataclass
class _Window:
    """One promise. All moments are after the report.

    Attributes:
        answered: when a person did what it asks for, while it counts.
        broken: when it was broken by an event; the end of the window does so by itself.
        since: the event that changed it last; the platform can notice nothing earlier than that.
        told: which notices were given.
    """

    answered: timedelta | None = None
    broken: timedelta | None = None
    since: timedelta = timedelta()
    told: set[str] = field(default_factory=set)


class Course:
    """One incident from its report on.

    Args:
        severity: with which it is reported.
        reporter: the role that reports it.

    Attributes:
        status, severity, level: as they are after the latest step.
        steps: what the timeline must hold so far.
    """

    def __init__(self, severity: str, reporter: str = "staff") -> None:
        self.status = "open"
        self.severity = severity
        self.level: str | None = None
        self.steps = [Step(timedelta(), reporter, ("created", None, "open"))]
        self._windows = {promise: _Window() for promise in PROMISES}

    def levels(self) -> list[str]:
        """To which levels it may be carried now, the nearest first."""
        least = contract.LEVELS.index(contract.LEAST_LEVEL[self.severity])
        above = contract.LEVELS.index(self.level) + 1 if self.level else 0
        return list(contract.LEVELS[max(least, above) :])

    def pass_to(self, at: timedelta) -> None:
        """Let the time before `at` go by. What is due at `at` itself comes after what people do then."""
        while (moment := min(self._moments().values(), default=at)) < at:
            self._notice(moment)

    def act(self, at: timedelta, role: str, action: str, body: Mapping[str, object]) -> None:
        """Somebody does `action`, which is legal now. `at` is later than every other step of a person."""
        self.pass_to(at)
        if action == "severity":
            self._change_severity(at, str(body["severity"]))
            self.steps.append(Step(at, role, ("severity_changed", None, None)))
        elif action == "root-cause":
            self.steps.append(Step(at, role, ("root_cause_recorded", None, None)))
        else:
            self._move(at, role, action, body)

    def state(self, promise: str, at: timedelta) -> str:
        """How a window stands at `at`: on_track, at_risk, met or breached."""
        window, length = self._windows[promise], self._length(promise)
        if window.broken is not None or (window.answered is None and at > length):
            return "breached"
        if window.answered is not None:
            return "met"
        return "at_risk" if at >= length * AT_RISK else "on_track"

    def _length(self, promise: str) -> timedelta:
        return contract.SLA[self.severity][PROMISES.index(promise)]

    def _move(self, at: timedelta, role: str, action: str, body: Mapping[str, object]) -> None:
        before, (self.status,) = self.status, {
            after
            for (source, after), endpoint in contract.LEGAL.items()
            if source == self.status and endpoint == action
        }  # fmt: skip
        self.steps.append(Step(at, role, (_KINDS[action], before, self.status)))
        if action == "escalate":
            self.level = str(body["level"])
        if before == "open":
            self._answer("acknowledge", at)
        if action == "resolve":
            self._answer("resolve", at)
        if action == "reopen":
            window = self._windows["resolve"]
            window.answered, window.since = None, at
            if window.broken is None and at > self._length("resolve"):
                window.broken = at

    def _answer(self, promise: str, at: timedelta) -> None:
        window = self._windows[promise]
        if window.answered is None:
            window.answered = at
            if window.broken is None and at > self._length(promise):
                window.broken = self._length(promise)

    def _change_severity(self, at: timedelta, severity: str) -> None:
        before = {promise: self._length(promise) for promise in PROMISES}
        self.severity = severity
        for promise, window in self._windows.items():
            if window.answered is None:
                window.since = at
                if window.broken is None and at > before[promise]:
                    window.broken = before[promise]
                elif window.broken is None and at > self._length(promise):
                    window.broken = at

    def _moments(self) -> dict[str, timedelta]:
        """The windows of which something is left to notice, and when."""
        found = {}
        for promise, window in self._windows.items():
            if "breached" in window.told or (window.answered is not None and window.broken is None):
                continue
            if window.broken is not None:
                found[promise] = max(window.broken, window.since)
            else:
                length = self._length(promise)
                found[promise] = max(length if "at_risk" in window.told else length * AT_RISK, window.since)
        return found

    def _notice(self, at: timedelta) -> None:
        for promise, moment in self._moments().items():
            if moment > at:
                continue
            window = self._windows[promise]
            breached = window.broken is not None or at >= self._length(promise)
            window.told.add("breached" if breached else "at_risk")
            self.steps.append(Step(at, MONITOR, ("sla_breached" if breached else "sla_at_risk", None, None)))
            if breached:
                window.broken = window.broken if window.broken is not None else self._length(promise)
                if promise == "acknowledge" and self.status == "open":
                    self.status, self.level = "escalated", contract.LEAST_LEVEL[self.severity]
                    self.steps.append(Step(at, MONITOR, ("escalated", "open", "escalated")))


#: action → the kind of its event
_KINDS: Final = {
    "acknowledge": "acknowledged",
    "escalate": "escalated",
    "investigate": "investigating",
    "mitigate": "mitigating",
    "resolve": "resolved",
    "close": "closed",
    "reopen": "reopened",
}
