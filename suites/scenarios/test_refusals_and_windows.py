"""Every kind of refusal is kept with who, what, when and why; the owner stays; all windows are those of the table."""

from __future__ import annotations

from datetime import datetime

import pytest

from pytest_smartattend import Evidence, Tenant, contract, incident_in

#: name → the status on which it is refused, the action, and the body
PROVOKED: dict[str, tuple[str, str, dict[str, str]]] = {
    "transition": ("open", "close", {}),
    "escalation-level": ("open", "escalate", {"level": "level_1"}),
    "missing-fields": ("mitigating", "resolve", {}),
    "frozen-severity": ("resolved", "severity", contract.BODIES["severity"]),
    "early-root-cause": ("open", "root-cause", contract.BODIES["root-cause"]),
    "short-root-cause": ("investigating", "root-cause", {"root_cause": "short", "confidence": "low"}),
}


@pytest.mark.scenario("scenarios/refusals")
@pytest.mark.detects("some-refusals-not-recorded")
@pytest.mark.parametrize("name", list(PROVOKED))
def test_a_refusal_of_any_kind_is_kept_with_who_what_when_and_why(
    _smartattend_tenant: Tenant, _smartattend_evidence: Evidence, name: str
) -> None:
    admin, evidence = _smartattend_tenant.admin, _smartattend_evidence
    status, action, body = PROVOKED[name]
    incident = incident_in(admin, status)
    answer = admin.act(incident["id"], action, body)
    evidence.invariant("refused", answer.status in {409, 422}, answer.summary)
    kept = admin.part(incident["id"], "refusals").must()["items"]
    seen = [(one["action"], one["code"], one["actor"]) for one in kept]
    evidence.expect("kept", seen, [(action, answer.code, admin.user_id)])
    when = datetime.fromisoformat(kept[0]["at"])
    evidence.invariant("with its time", when >= datetime.fromisoformat(incident["updated_at"]), kept[0]["at"])
    evidence.invariant("with a reason", bool(kept[0]["detail"].strip()), kept[0]["detail"])


@pytest.mark.scenario("scenarios/ownership")
@pytest.mark.detects("owner-taken-by-actor")
def test_the_creator_owns_an_incident_whoever_works_on_it(
    _smartattend_tenant: Tenant, _smartattend_evidence: Evidence
) -> None:
    tenant, evidence = _smartattend_tenant, _smartattend_evidence
    incident_id = tenant.staff.report().must()["id"]
    for action in (*contract.WAY_TO["resolved"], "reopen", "mitigate", "resolve", "close"):
        done = tenant.admin.act(incident_id, action, contract.BODIES[action]).must()
        evidence.expect(f"owner after {action}", done["owner_id"], tenant.staff.user_id)


@pytest.mark.scenario("scenarios/sla-windows")
@pytest.mark.detects("low-window-short")
@pytest.mark.parametrize("severity", contract.SEVERITIES)
def test_both_windows_run_from_creation_for_every_severity_and_after_every_change(
    _smartattend_tenant: Tenant, _smartattend_evidence: Evidence, severity: str
) -> None:
    admin, evidence = _smartattend_tenant.admin, _smartattend_evidence
    incident = admin.report(severity=severity).must()
    for turned in (severity, *(other for other in contract.SEVERITIES if other != severity)):
        if turned != severity:
            incident = admin.act(incident["id"], "severity", {"severity": turned, "reason": "Looked again."}).must()
        created = datetime.fromisoformat(incident["created_at"])
        for name, window in zip(("acknowledge", "resolve"), contract.SLA[turned], strict=True):
            shown = incident["sla"][name]
            due = datetime.fromisoformat(shown["due_at"]) - created
            evidence.expect(f"{name} of {turned}, due after", due.total_seconds(), window.total_seconds())
