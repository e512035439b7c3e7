"""Simulation 2: an incident that is worse than was thought, carried up four times in twelve minutes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pytest_smartattend import Act, Evidence, InProcessPlatform, Look, LoopClock, Script, Simulation, Tenant, contract

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
#: of the timeline below; whoever changes the script computes it anew
DIGEST = "ebb70b59e0854706ba8f1abf756535d99cc312be6309bf001e704ee1a9d2a37d"


def _carried_up(minute: int, severity: str) -> Script:
    """The severity is raised, the windows move with it, and the incident goes up to the severity's level."""
    at = minute * MINUTE
    raised = {"severity": severity, "reason": "It is worse than was thought."}
    level = contract.LEAST_LEVEL[severity]
    return [
        Act(at, "admin", "severity", ("severity_changed", None, None), raised),
        Look(at, "resolve", "on_track", due=contract.SLA[severity][1]),
        Act(at, "admin", "escalate", ("escalated", "escalated", "escalated"), {"level": level}),
    ]


SCRIPT: Script = [
    Look(1 * MINUTE, "acknowledge", "on_track", due=8 * HOUR),
    Act(2 * MINUTE, "admin", "escalate", ("escalated", "open", "escalated"), {"level": "level_1"}),
    Look(2 * MINUTE, "acknowledge", "met", due=8 * HOUR),
    *_carried_up(5, "medium"),
    *_carried_up(8, "high"),
    *_carried_up(12, "critical"),
    Look(12 * MINUTE, "acknowledge", "met", due=15 * MINUTE),
    Act(14 * MINUTE, "admin", "investigate", ("investigating", "escalated", "investigating")),
    Act(15 * MINUTE, "admin", "mitigate", ("mitigating", "investigating", "mitigating")),
    Act(24 * MINUTE, "admin", "investigate", ("investigating", "mitigating", "investigating")),
    Act(25 * MINUTE, "admin", "mitigate", ("mitigating", "investigating", "mitigating")),
    Act(35 * MINUTE, "admin", "root-cause", ("root_cause_recorded", None, None), contract.BODIES["root-cause"]),
    Act(40 * MINUTE, "admin", "resolve", ("resolved", "mitigating", "resolved"), contract.RESOLUTION),
    Look(40 * MINUTE, "resolve", "met", due=4 * HOUR),
]


@pytest.mark.simulation("simulations/multi-escalation")
@pytest.mark.detects("window-ignores-severity-change", "window-never-met")
def test_an_incident_climbs_to_the_executives_and_is_resolved(
    _smartattend_in_process: InProcessPlatform,
    _smartattend_simulated_tenant: Tenant,
    _smartattend_clock: LoopClock,
    _smartattend_evidence: Evidence,
) -> None:
    simulation = Simulation(
        _smartattend_in_process, _smartattend_clock, _smartattend_simulated_tenant, _smartattend_evidence
    )
    simulation.play("Some check-ins are slow", "low", SCRIPT, DIGEST)
