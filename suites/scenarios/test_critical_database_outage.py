"""Scenario 1: a critical database outage from the first report to the closing, with every gate, field and hash."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from pytest_smartattend import Evidence, Observer, Tenant, chain, contract

#: on each status of the way: what is tried too early, and what is then done. Kinds and statuses as the timeline has them.
WAY = (
    ("open", "investigate", "acknowledge", "acknowledged"),
    ("acknowledged", "mitigate", "escalate", "escalated"),
    ("escalated", "resolve", "investigate", "investigating"),
    ("investigating", "resolve", "mitigate", "mitigating"),
    ("mitigating", "close", "resolve", "resolved"),
    ("resolved", "mitigate", "close", "closed"),
    ("closed", "reopen", None, "closed"),
)
BODIES = {**contract.BODIES, "escalate": {"level": "executive"}}


@pytest.mark.scenario("scenarios/critical-database-outage")
@pytest.mark.detects(
    "timeline-row-lost",
    "chain-not-bound",
    "heads-not-kept",
    "sequence-gap",
    "refusal-not-recorded",
    "window-too-long",
    "window-never-met",
)
def test_a_critical_outage_is_walked_from_report_to_closing(
    _smartattend_tenant: Tenant, _smartattend_observer: Observer, _smartattend_evidence: Evidence
) -> None:
    tenant, evidence = _smartattend_tenant, _smartattend_evidence
    admin = tenant.admin
    incident = tenant.staff.report(
        "The primary database does not answer", "critical", description="All logins fail."
    ).must()
    incident_id = incident["id"]
    evidence.expect("status after the report", incident["status"], "open")
    evidence.expect("level after the report", incident["escalation_level"], None)
    evidence.expect("owner after the report", incident["owner_id"], tenant.staff.user_id)
    _windows_run_from_creation(incident, evidence)

    for status, early, action, after in WAY:
        refused = admin.act(incident_id, early, BODIES[early])
        evidence.expect(f"{early} on {status}", refused.summary, "409 invalid_transition")
        evidence.expect(f"status named when {early} is refused", refused.body.get("current"), status)
        legal = sorted({to for before, to in contract.LEGAL if before == status})
        evidence.expect(f"legal ways named on {status}", sorted(refused.body.get("legal", [])), legal)
        if action == "mitigate":
            recorded = admin.act(incident_id, "root-cause", BODIES["root-cause"])
            evidence.expect("root cause recorded", recorded.status, 201)
        if action is not None:
            done = admin.act(incident_id, action, BODIES[action])
            evidence.expect(action, done.status, 200)
            evidence.expect(f"status after {action}", done.body["status"], after)
            evidence.event(action, at=done.body["updated_at"])

    final = admin.incident(incident_id).must()
    evidence.expect("resolution kept", final["resolution"], contract.RESOLUTION)
    evidence.expect("level kept", final["escalation_level"], "executive")
    evidence.expect("acknowledged in time", final["sla"]["acknowledge"]["status"], "met")
    evidence.expect("resolved in time", final["sla"]["resolve"]["status"], "met")
    _the_timeline_is_whole(tenant, _smartattend_observer, evidence, incident_id)


def _windows_run_from_creation(incident: dict[str, Any], evidence: Evidence) -> None:
    created = datetime.fromisoformat(incident["created_at"])
    for name, window in zip(("acknowledge", "resolve"), contract.SLA[incident["severity"]], strict=True):
        due = datetime.fromisoformat(incident["sla"][name]["due_at"])
        evidence.expect(
            f"{name} is due after creation by, in seconds", (due - created).total_seconds(), window.total_seconds()
        )
        evidence.expect(f"{name} at first", incident["sla"][name]["status"], "on_track")


def _the_timeline_is_whole(tenant: Tenant, observer: Observer, evidence: Evidence, incident_id: str) -> None:
    timeline = tenant.admin.part(incident_id, "timeline").must()
    steps = [(event["kind"], event["from"], event["to"]) for event in timeline["events"]]
    evidence.expect(
        "timeline",
        steps,
        [
            ("created", None, "open"),
            ("acknowledged", "open", "acknowledged"),
            ("escalated", "acknowledged", "escalated"),
            ("investigating", "escalated", "investigating"),
            ("root_cause_recorded", None, None),
            ("mitigating", "investigating", "mitigating"),
            ("resolved", "mitigating", "resolved"),
            ("closed", "resolved", "closed"),
        ],
    )
    actors = [event["actor"] for event in timeline["events"]]
    evidence.expect("actors", actors, [tenant.staff.user_id, *[tenant.admin.user_id] * 7])
    moments = [event["at"] for event in timeline["events"]]
    evidence.expect("times in order", moments, sorted(moments))
    evidence.expect("faults of the chain", chain.faults_of(incident_id, timeline["events"], timeline["head"]), [])
    stored = [
        row["hash"]
        for row in observer.rows("select hash from timeline where incident_id = %s order by seq", incident_id)
    ]
    evidence.expect("hashes in the database", stored, [event["hash"] for event in timeline["events"]])
    head = observer.rows("select seq, hash from audit_heads where incident_id = %s", incident_id)
    evidence.expect("head in the database", head, [timeline["head"]])
    refusals = tenant.admin.part(incident_id, "refusals").must()["items"]
    seen = [(refusal["action"], refusal["code"], refusal["actor"]) for refusal in refusals]
    wanted = [(early, "invalid_transition", tenant.admin.user_id) for _, early, _, _ in WAY]
    evidence.expect("refusals kept apart from the timeline", seen, wanted)
    levels = [row["level"] for row in tenant.admin.part(incident_id, "escalations").must()["items"]]
    evidence.expect("escalations", levels, ["executive"])
    causes = [row["root_cause"] for row in tenant.admin.part(incident_id, "root-causes").must()["items"]]
    evidence.expect("root causes", causes, [contract.RESOLUTION["root_cause"]])
