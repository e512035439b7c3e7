"""Scenario 2: a security breach goes to the executives at once; and which level each severity accepts."""

from __future__ import annotations

import pytest

from pytest_smartattend import Evidence, Observer, Tenant, chain, contract

CELLS = [(severity, level) for severity in contract.SEVERITIES for level in contract.LEVELS]


@pytest.mark.scenario("scenarios/security-breach")
@pytest.mark.detects("level-below-severity-accepted")
def test_a_breach_is_escalated_to_the_executives_at_once(
    _smartattend_tenant: Tenant, _smartattend_evidence: Evidence
) -> None:
    admin, evidence = _smartattend_tenant.admin, _smartattend_evidence
    incident = admin.report("A token of another tenant was accepted", "critical").must()
    for level in contract.LEVELS[:-1]:
        refused = admin.act(incident["id"], "escalate", {"level": level})
        evidence.expect(f"critical to {level}", refused.summary, "422 escalation_level_mismatch")
    escalated = admin.act(incident["id"], "escalate", {"level": "executive"})
    evidence.expect("critical to executive", escalated.status, 200)
    evidence.expect("status", escalated.body["status"], "escalated")
    evidence.expect("level", escalated.body["escalation_level"], "executive")
    evidence.expect(
        "the first step out of open meets the window", escalated.body["sla"]["acknowledge"]["status"], "met"
    )
    again = admin.act(incident["id"], "escalate", {"level": "executive"})
    evidence.expect("executive again", again.summary, "422 escalation_level_mismatch")
    timeline = admin.part(incident["id"], "timeline").must()
    evidence.expect("events", [event["kind"] for event in timeline["events"]], ["created", "escalated"])
    evidence.expect("faults of the chain", chain.faults_of(incident["id"], timeline["events"], timeline["head"]), [])


@pytest.mark.scenario("scenarios/security-breach")
@pytest.mark.detects("level-below-severity-accepted")
@pytest.mark.parametrize(("severity", "level"), CELLS, ids=[f"{severity}-{level}" for severity, level in CELLS])
def test_a_level_is_accepted_from_the_severitys_least_upwards(
    _smartattend_tenant: Tenant,
    _smartattend_observer: Observer,
    _smartattend_evidence: Evidence,
    severity: str,
    level: str,
) -> None:
    admin, evidence = _smartattend_tenant.admin, _smartattend_evidence
    incident = admin.report(severity=severity).must()
    before = _smartattend_observer.everything_of(incident["id"])
    answer = admin.act(incident["id"], "escalate", {"level": level})
    if contract.LEVELS.index(level) >= contract.LEVELS.index(contract.LEAST_LEVEL[severity]):
        evidence.expect("answer", answer.status, 200)
        evidence.expect("level", answer.body["escalation_level"], level)
        return
    evidence.expect("answer", answer.summary, "422 escalation_level_mismatch")
    evidence.expect("what the refusal changed", _smartattend_observer.everything_of(incident["id"]), before)


CLIMBS = [(first, second) for first in contract.LEVELS for second in contract.LEVELS]


@pytest.mark.scenario("scenarios/escalation-ladder")
@pytest.mark.detects("level-may-fall")
@pytest.mark.parametrize(("first", "second"), CLIMBS, ids=[f"{first}-{second}" for first, second in CLIMBS])
def test_a_second_escalation_must_go_higher(
    _smartattend_tenant: Tenant, _smartattend_evidence: Evidence, first: str, second: str
) -> None:
    admin, evidence = _smartattend_tenant.admin, _smartattend_evidence
    incident = admin.report(severity="low").must()
    admin.act(incident["id"], "escalate", {"level": first}).must()
    answer = admin.act(incident["id"], "escalate", {"level": second})
    higher = contract.LEVELS.index(second) > contract.LEVELS.index(first)
    evidence.expect("answer", answer.summary, "200" if higher else "422 escalation_level_mismatch")
    kept = admin.incident(incident["id"]).must()["escalation_level"]
    evidence.expect("level afterwards", kept, second if higher else first)
