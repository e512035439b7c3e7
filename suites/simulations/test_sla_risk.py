"""Simulation 3 and its twin: a promise that is nearly broken, and two that are, noticed by the platform itself."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pytest_smartattend import (
    Act,
    Evidence,
    InProcessPlatform,
    Look,
    LoopClock,
    Own,
    Script,
    Simulation,
    Tenant,
    contract,
)

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)

AT_RISK: Script = [
    Act(10 * MINUTE, "admin", "acknowledge", ("acknowledged", "open", "acknowledged")),
    Act(20 * MINUTE, "admin", "escalate", ("escalated", "acknowledged", "escalated"), {"level": "executive"}),
    Look(25 * MINUTE, "acknowledge", "met", due=15 * MINUTE),
    Act(30 * MINUTE, "admin", "investigate", ("investigating", "escalated", "investigating")),
    Act(90 * MINUTE, "admin", "mitigate", ("mitigating", "investigating", "mitigating")),
    Look(191 * MINUTE, "resolve", "on_track", due=4 * HOUR),
    Own(192 * MINUTE, ("sla_at_risk", None, None), "resolve", due=4 * HOUR),
    Look(193 * MINUTE, "resolve", "at_risk", due=4 * HOUR),
    Act(230 * MINUTE, "admin", "resolve", ("resolved", "mitigating", "resolved"), contract.RESOLUTION),
    Look(230 * MINUTE, "resolve", "met", due=4 * HOUR),
    Act(270 * MINUTE, "admin", "close", ("closed", "resolved", "closed")),
]
#: of the timelines of these scripts; whoever changes one computes its digest anew
AT_RISK_DIGEST = "eb454d761e225cfb7099dcb9f7f3191187a6e3d56d26d8425967dc157086033d"

BROKEN: Script = [
    Own(12 * MINUTE, ("sla_at_risk", None, None), "acknowledge", due=15 * MINUTE),
    Look(14 * MINUTE, "acknowledge", "at_risk", due=15 * MINUTE),
    Own(15 * MINUTE, ("sla_breached", None, None), "acknowledge", due=15 * MINUTE),
    Own(15 * MINUTE, ("escalated", "open", "escalated")),
    Look(16 * MINUTE, "acknowledge", "breached", due=15 * MINUTE, breached=15 * MINUTE),
    Act(30 * MINUTE, "admin", "investigate", ("investigating", "escalated", "investigating")),
    Look(31 * MINUTE, "acknowledge", "breached", due=15 * MINUTE, breached=15 * MINUTE),
    Act(90 * MINUTE, "admin", "mitigate", ("mitigating", "investigating", "mitigating")),
    Own(192 * MINUTE, ("sla_at_risk", None, None), "resolve", due=4 * HOUR),
    Look(239 * MINUTE, "resolve", "at_risk", due=4 * HOUR),
    Own(4 * HOUR, ("sla_breached", None, None), "resolve", due=4 * HOUR),
    Look(241 * MINUTE, "resolve", "breached", due=4 * HOUR, breached=4 * HOUR),
    Act(250 * MINUTE, "admin", "resolve", ("resolved", "mitigating", "resolved"), contract.RESOLUTION),
    Look(251 * MINUTE, "acknowledge", "breached", due=15 * MINUTE, breached=15 * MINUTE),
    Look(251 * MINUTE, "resolve", "breached", due=4 * HOUR, breached=4 * HOUR),
]
BROKEN_DIGEST = "33468e5873f019d740632c422b3fbf18565ddbe3fc3c0a960f803859ffcecefb"


@pytest.fixture
def _smartattend_shown(
    _smartattend_in_process: InProcessPlatform,
    _smartattend_simulated_tenant: Tenant,
    _smartattend_clock: LoopClock,
    _smartattend_evidence: Evidence,
) -> Simulation:
    return Simulation(_smartattend_in_process, _smartattend_clock, _smartattend_simulated_tenant, _smartattend_evidence)


@pytest.mark.simulation("simulations/sla-risk")
@pytest.mark.detects("window-from-acknowledgement", "risk-of-the-other-window", "window-too-long")
def test_a_promise_at_risk_is_noticed_at_its_instant_and_kept_in_the_end(_smartattend_shown: Simulation) -> None:
    _smartattend_shown.play("Nobody can check in", "critical", AT_RISK, AT_RISK_DIGEST)


@pytest.mark.simulation("simulations/sla-breach")
@pytest.mark.detects(
    "own-escalations-unlisted",
    "breach-noticed-late",
    "noticed-by-each-worker",
    "monitor-on-the-wall-clock",
    "monitor-dies-of-an-exception",
    "monitor-off-by-an-hour",
    "escalation-without-an-event",
    "nobody-is-called",
    "breach-undone",
)
def test_broken_promises_are_noticed_carried_up_and_never_undone(_smartattend_shown: Simulation) -> None:
    _smartattend_shown.play("Nobody can check in, and nobody looks", "critical", BROKEN, BROKEN_DIGEST)
