"""The edges of promises: never undone, kept to the due instant, broken by a change that comes too late, told once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from pytest_smartattend import (
    Act,
    Evidence,
    InProcessPlatform,
    Look,
    Own,
    Script,
    Simulation,
    Tenant,
    contract,
)

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def _severity(at: timedelta, severity: str) -> Act:
    asked = {"severity": severity, "reason": "It was judged wrongly."}
    return Act(at, "admin", "severity", ("severity_changed", None, None), asked)


#: whatever comes later, both promises stay broken: another severity, an answer, a reopening, another answer
BROKEN: Script = [
    Own(12 * MINUTE, ("sla_at_risk", None, None), "acknowledge", due=15 * MINUTE),
    Own(15 * MINUTE, ("sla_breached", None, None), "acknowledge", due=15 * MINUTE),
    Own(15 * MINUTE, ("escalated", "open", "escalated")),
    _severity(20 * MINUTE, "low"),
    Look(21 * MINUTE, "acknowledge", "breached", due=8 * HOUR, breached=15 * MINUTE),
    Act(30 * MINUTE, "admin", "investigate", ("investigating", "escalated", "investigating")),
    _severity(60 * MINUTE, "high"),
    Look(60 * MINUTE, "acknowledge", "breached", due=30 * MINUTE, breached=15 * MINUTE),
    Act(90 * MINUTE, "admin", "mitigate", ("mitigating", "investigating", "mitigating")),
    Own(384 * MINUTE, ("sla_at_risk", None, None), "resolve", due=8 * HOUR),
    Own(8 * HOUR, ("sla_breached", None, None), "resolve", due=8 * HOUR),
    _severity(9 * HOUR, "low"),
    Look(9 * HOUR, "resolve", "breached", due=72 * HOUR, breached=8 * HOUR),
    Act(10 * HOUR, "admin", "resolve", ("resolved", "mitigating", "resolved"), contract.RESOLUTION),
    Look(10 * HOUR, "resolve", "breached", due=72 * HOUR, breached=8 * HOUR),
    Act(11 * HOUR, "admin", "reopen", ("reopened", "resolved", "investigating")),
    Look(11 * HOUR, "resolve", "breached", due=72 * HOUR, breached=8 * HOUR),
    Act(12 * HOUR, "admin", "mitigate", ("mitigating", "investigating", "mitigating")),
    Act(13 * HOUR, "admin", "resolve", ("resolved", "mitigating", "resolved"), contract.RESOLUTION),
    Look(13 * HOUR, "acknowledge", "breached", due=8 * HOUR, breached=15 * MINUTE),
    Look(13 * HOUR, "resolve", "breached", due=72 * HOUR, breached=8 * HOUR),
]
#: of the timelines of these scripts; whoever changes one computes its digest anew
BROKEN_DIGEST = "707c95b581159e78268d267d2255f50fe7154d512bd2033189645d308d1999d7"

#: both are shown at risk from 80 % on and kept at the very last instant, while the monitor is due at that instant too
KEPT: Script = [
    Own(12 * MINUTE, ("sla_at_risk", None, None), "acknowledge", due=15 * MINUTE),
    Look(12 * MINUTE, "acknowledge", "at_risk", due=15 * MINUTE),
    Look(15 * MINUTE, "acknowledge", "at_risk", due=15 * MINUTE),
    Act(15 * MINUTE, "admin", "acknowledge", ("acknowledged", "open", "acknowledged")),
    Look(15 * MINUTE, "acknowledge", "met", due=15 * MINUTE),
    Act(30 * MINUTE, "admin", "investigate", ("investigating", "acknowledged", "investigating")),
    Act(90 * MINUTE, "admin", "mitigate", ("mitigating", "investigating", "mitigating")),
    Own(192 * MINUTE, ("sla_at_risk", None, None), "resolve", due=4 * HOUR),
    Look(192 * MINUTE, "resolve", "at_risk", due=4 * HOUR),
    Look(4 * HOUR, "resolve", "at_risk", due=4 * HOUR),
    Act(4 * HOUR, "admin", "resolve", ("resolved", "mitigating", "resolved"), contract.RESOLUTION),
    Look(4 * HOUR, "resolve", "met", due=4 * HOUR),
    Look(5 * HOUR, "resolve", "met", due=4 * HOUR),
]
KEPT_DIGEST = "6327dfd24e21a54787c902a2a338b221872bca8f5fe44692d9e19b120f629a35"

#: the severity under which the first promise is broken already comes twenty minutes late
TOO_LATE: Script = [
    _severity(20 * MINUTE, "critical"),
    Own(20 * MINUTE, ("sla_breached", None, None), "acknowledge", due=15 * MINUTE),
    Own(20 * MINUTE, ("escalated", "open", "escalated")),
    Look(21 * MINUTE, "acknowledge", "breached", due=15 * MINUTE, breached=20 * MINUTE),
    Act(30 * MINUTE, "admin", "investigate", ("investigating", "escalated", "investigating")),
    Look(31 * MINUTE, "acknowledge", "breached", due=15 * MINUTE, breached=20 * MINUTE),
]
TOO_LATE_DIGEST = "64fb0f86f876d1a46cdf1cfc0f40b1c0e521d82ff8b0d0b0f4b028b0285fb433"

#: the same, and at that instant somebody takes it: it is broken, and nobody has to be called
ANSWERED_LATE: Script = [
    _severity(20 * MINUTE, "critical"),
    Act(20 * MINUTE, "admin", "acknowledge", ("acknowledged", "open", "acknowledged")),
    Own(20 * MINUTE, ("sla_breached", None, None), "acknowledge", due=15 * MINUTE),
    Look(21 * MINUTE, "acknowledge", "breached", due=15 * MINUTE, breached=20 * MINUTE),
    Act(30 * MINUTE, "admin", "investigate", ("investigating", "acknowledged", "investigating")),
]
ANSWERED_LATE_DIGEST = "d924be897d3c14bbdb70dd8ddb9e92037dc69502195951e768bd99243cbfd1bf"

#: carried up by a person instead of acknowledged; at risk, resolved, reopened: at risk still, and told once
RESUMED: Script = [
    Act(5 * MINUTE, "admin", "escalate", ("escalated", "open", "escalated"), {"level": "executive"}),
    Look(20 * MINUTE, "acknowledge", "met", due=15 * MINUTE),
    Act(30 * MINUTE, "admin", "investigate", ("investigating", "escalated", "investigating")),
    Act(90 * MINUTE, "admin", "mitigate", ("mitigating", "investigating", "mitigating")),
    Own(192 * MINUTE, ("sla_at_risk", None, None), "resolve", due=4 * HOUR),
    Act(200 * MINUTE, "admin", "resolve", ("resolved", "mitigating", "resolved"), contract.RESOLUTION),
    Look(210 * MINUTE, "resolve", "met", due=4 * HOUR),
    Act(220 * MINUTE, "admin", "reopen", ("reopened", "resolved", "investigating")),
    Look(221 * MINUTE, "resolve", "at_risk", due=4 * HOUR),
    Own(4 * HOUR, ("sla_breached", None, None), "resolve", due=4 * HOUR),
    Look(5 * HOUR, "resolve", "breached", due=4 * HOUR, breached=4 * HOUR),
]
RESUMED_DIGEST = "4552143ab3f6669b5cc7e9968bfa28fa36965b3e14134f138ce7bde8c616af0c"


@pytest.fixture
def _smartattend_edge(
    _smartattend_discrete: InProcessPlatform,
    _smartattend_discrete_tenants: Callable[..., Tenant],
    _smartattend_evidence: Evidence,
) -> Simulation:
    platform, tenant = _smartattend_discrete, _smartattend_discrete_tenants()
    return Simulation(platform, platform.clock, tenant, _smartattend_evidence)


@pytest.mark.simulation("simulations/sla-never-undone")
@pytest.mark.detects("breach-undone", "breach-undone-by-severity", "reopening-begins-anew")
def test_a_broken_promise_stays_broken_whatever_comes_later(_smartattend_edge: Simulation) -> None:
    _smartattend_edge.play("It is called harmless afterwards", "critical", BROKEN, BROKEN_DIGEST)


@pytest.mark.simulation("simulations/sla-due-instant")
@pytest.mark.detects("due-instant-too-late", "risk-shown-late")
def test_a_promise_is_still_kept_at_its_due_instant(_smartattend_edge: Simulation) -> None:
    _smartattend_edge.play("At the last moment, twice", "critical", KEPT, KEPT_DIGEST)


@pytest.mark.simulation("simulations/sla-changed-too-late")
@pytest.mark.detects("breach-at-change-overlooked")
def test_a_severity_under_which_a_promise_is_past_breaks_it_at_the_change(_smartattend_edge: Simulation) -> None:
    _smartattend_edge.play("It is worse than it looked", "low", TOO_LATE, TOO_LATE_DIGEST)


@pytest.mark.simulation("simulations/sla-answered-late")
@pytest.mark.detects("taken-incident-carried-up")
def test_the_monitor_carries_up_only_what_is_still_open(_smartattend_edge: Simulation) -> None:
    _smartattend_edge.play("Somebody has it already", "low", ANSWERED_LATE, ANSWERED_LATE_DIGEST)


@pytest.mark.simulation("simulations/sla-resumed")
@pytest.mark.detects("risk-told-again")
def test_a_reopened_window_runs_on_and_its_risk_is_told_once(_smartattend_edge: Simulation) -> None:
    _smartattend_edge.play("It comes back before its time", "critical", RESUMED, RESUMED_DIGEST)
