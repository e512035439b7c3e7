"""What is an event and no transition: a change of severity, and a recorded root cause; on every status."""

from __future__ import annotations

from datetime import datetime

import pytest

from pytest_smartattend import Evidence, Observer, Tenant, chain, contract, incident_in

FROZEN = ("resolved", "closed")


@pytest.mark.scenario("scenarios/severity-change")
@pytest.mark.detects("severity-change-forgotten", "severity-raises-level")
@pytest.mark.parametrize("status", contract.STATUSES)
def test_the_severity_changes_with_a_reason_while_the_incident_is_not_resolved(
    _smartattend_tenant: Tenant, _smartattend_observer: Observer, _smartattend_evidence: Evidence, status: str
) -> None:
    admin, evidence, observer = _smartattend_tenant.admin, _smartattend_evidence, _smartattend_observer
    incident = incident_in(admin, status, severity="low")
    stands = observer.everything_of(incident["id"])
    blank = admin.act(incident["id"], "severity", {"severity": "critical", "reason": "  "})
    evidence.invariant("without a reason it is refused", blank.status in {409, 422}, blank.summary)
    if status in FROZEN:
        refused = admin.act(incident["id"], "severity", contract.BODIES["severity"])
        evidence.expect("answer", refused.status, 409)
        evidence.expect("what the refusals changed", observer.everything_of(incident["id"]), stands)
        return
    changed = admin.act(incident["id"], "severity", contract.BODIES["severity"])
    evidence.expect("answer", changed.status, 200)
    kept = admin.incident(incident["id"]).must()
    evidence.expect("severity", kept["severity"], "critical")
    evidence.expect("status", kept["status"], status)
    evidence.expect("level", kept["escalation_level"], incident["escalation_level"])
    created = datetime.fromisoformat(kept["created_at"])
    for name, window in zip(("acknowledge", "resolve"), contract.SLA["critical"], strict=True):
        due = datetime.fromisoformat(kept["sla"][name]["due_at"])
        evidence.expect(
            f"{name} is due after creation by, in seconds", (due - created).total_seconds(), window.total_seconds()
        )
    timeline = admin.part(incident["id"], "timeline").must()
    newest = timeline["events"][-1]
    evidence.expect("event", (newest["kind"], newest["from"], newest["to"]), ("severity_changed", None, None))
    evidence.expect("faults of the chain", chain.faults_of(incident["id"], timeline["events"], timeline["head"]), [])


WHERE_A_CAUSE_FITS = ("acknowledged", "escalated", "investigating", "mitigating")


@pytest.mark.scenario("scenarios/root-cause")
@pytest.mark.detects("root-cause-anywhere", "blank-field-accepted", "bytes-for-characters", "refusal-unexplained")
@pytest.mark.parametrize("status", contract.STATUSES)
def test_a_root_cause_is_recorded_where_one_can_be_known(
    _smartattend_tenant: Tenant, _smartattend_observer: Observer, _smartattend_evidence: Evidence, status: str
) -> None:
    admin, evidence, observer = _smartattend_tenant.admin, _smartattend_evidence, _smartattend_observer
    incident = incident_in(admin, status)
    stands = observer.everything_of(incident["id"])
    if status not in WHERE_A_CAUSE_FITS:
        refused = admin.act(incident["id"], "root-cause", contract.BODIES["root-cause"])
        evidence.expect("answer", refused.summary, "409 invalid_transition")
        legal = sorted(to for origin, to in contract.LEGAL if origin == status)
        named = (refused.body.get("current"), sorted(refused.body.get("legal", [])))
        evidence.expect("status and legal ways named", named, (status, legal))
        evidence.expect("what the refusal changed", observer.everything_of(incident["id"]), stands)
        return
    short = f"  {contract.TOO_SHORT}  "
    for name, body in (("short", {"root_cause": short, "confidence": "low"}), ("absent", {"confidence": "low"})):
        refused = admin.act(incident["id"], "root-cause", body)
        evidence.expect(f"{name} text", refused.summary, "422 missing_fields")
    unsure = admin.act(incident["id"], "root-cause", {**contract.BODIES["root-cause"], "confidence": "certain"})
    evidence.expect("unknown confidence", unsure.status, 422)
    evidence.expect("what the refusals changed", observer.everything_of(incident["id"]), stands)
    recorded = admin.act(incident["id"], "root-cause", contract.BODIES["root-cause"])
    evidence.expect("answer", recorded.status, 201)
    evidence.expect("status afterwards", admin.incident(incident["id"]).must()["status"], status)
    causes = [
        (one["root_cause"], one["confidence"], one["actor"])
        for one in admin.part(incident["id"], "root-causes").must()["items"]
    ]
    evidence.expect("recorded", causes, [(contract.RESOLUTION["root_cause"], "medium", admin.user_id)])
    newest = admin.part(incident["id"], "timeline").must()["events"][-1]
    evidence.expect("event", (newest["kind"], newest["from"], newest["to"]), ("root_cause_recorded", None, None))
