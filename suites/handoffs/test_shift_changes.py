"""Handoffs that succeed: nothing is lost, nobody is surprised, and the account of it is true."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from pytest_smartattend import (
    Evidence,
    InProcessPlatform,
    Observer,
    Operation,
    Platform,
    ShiftChange,
    Tenant,
    contract,
    incident_in,
)


@pytest.mark.handoff("handoffs/quiet-shift-change")
@pytest.mark.detects(
    "ownership-not-moved", "handoff-without-an-event", "only-own-incidents-move", "handoff-signed-falsely"
)
def test_a_quiet_shift_change_hands_over_everything_with_a_briefing(
    _smartattend_tenant: Tenant, _smartattend_observer: Observer, _smartattend_evidence: Evidence
) -> None:
    tenant, evidence = _smartattend_tenant, _smartattend_evidence
    shift = ShiftChange([tenant], _smartattend_observer, evidence)
    for status in ("open", "investigating", "resolved"):
        incident_in(tenant.admin, status, reporter=tenant.staff)
    tenant.admin.report("Nobody can check in", "critical").must()
    handoff = shift.initiate("The pool is small; restart the second worker first.")
    evidence.expect("notes", handoff["briefing_notes"], "The pool is small; restart the second worker first.")
    evidence.expect("people", (handoff["from_user_id"], handoff["to_user_id"]), _people(shift))
    accepted = shift.accept(handoff).must()
    evidence.expect("status", accepted["status"], "accepted")
    still, owned = shift.owned()
    evidence.expect("incidents owned by the incoming person", sorted(owned), sorted(still))
    evidence.expect("difference", accepted["difference"], {"opened": [], "closed": [], "changed": []})
    shift.prove([accepted])


def _people(shift: ShiftChange) -> tuple[str | None, str | None]:
    return shift.outgoing.user_id, shift.incoming.user_id


@pytest.mark.handoff("handoffs/all-states")
@pytest.mark.detects(
    "resolved-left-out",
    "escalation-path-missing",
    "escalation-path-by-name",
    "illegal-next-action",
    "level-advised-again",
    "critical-not-alerted",
    "windows-confused",
)
def test_fifty_incidents_of_all_states_are_told_as_they_are(
    _smartattend_tenant: Tenant, _smartattend_observer: Observer, _smartattend_evidence: Evidence
) -> None:
    tenant, evidence = _smartattend_tenant, _smartattend_evidence
    shift = ShiftChange([tenant], _smartattend_observer, evidence)
    for number in range(50):
        severity = contract.SEVERITIES[number % 4]
        status = contract.STATUSES[number % 7]
        if status == "escalated":
            incident = tenant.staff.report(f"Number {number}", severity).must()
            tenant.admin.act(incident["id"], "escalate", {"level": contract.LEAST_LEVEL[severity]}).must()
        else:
            incident_in(tenant.admin, status, reporter=tenant.staff, title=f"Number {number}", severity=severity)
    far = tenant.staff.report("Carried up all the way", "low").must()["id"]
    for level in contract.LEVELS:
        tenant.admin.act(far, "escalate", {"level": level}).must()
    handoff = shift.initiate()
    faults = [fault for item in handoff["incidents"] for fault in _faults_of_item(tenant, item)]
    evidence.expect("faults of what is told of each incident", faults, [])
    alerted = {one["incident_id"] for one in handoff["critical_alerts"] if one["kind"] == "critical_incident"}
    critical = {
        item["id"] for item in handoff["incidents"] if item["severity"] == "critical" and item["status"] != "resolved"
    }
    evidence.expect("critical alerts", sorted(alerted), sorted(critical))
    accepted = shift.accept(handoff).must()
    evidence.expect("incidents handed over", len(accepted["incidents"]), 50 - 7 + 1)
    shift.prove([accepted])


def _faults_of_item(tenant: Tenant, item: dict[str, Any]) -> list[str]:
    """What is told of an incident, beside what the incident's own endpoints tell."""
    true = tenant.admin.incident(item["id"]).must()
    path = [step["level"] for step in tenant.admin.part(item["id"], "escalations").must()["items"]]
    windows = {name: {key: window[key] for key in ("status", "due_at")} for name, window in true["sla"].items()}
    told = {
        "path": ([step["level"] for step in item["escalations"]], path),
        "windows": (item["sla"], windows),
        **{name: (item[name], true[name]) for name in ("title", "severity", "status", "escalation_level", "owner_id")},
    }
    faults = [
        f"{item['id']}: {what} {seen}, in truth {stands}" for what, (seen, stands) in told.items() if seen != stands
    ]
    return faults + [f"{item['id']}: {fault}" for fault in _faults_of_advice(item)]


def _faults_of_advice(item: dict[str, Any]) -> list[str]:
    """What cannot be done in the incident's state is no advice; nor is silence."""
    faults = [] if item["next_actions"] else ["nothing is advised"]
    levels, has = contract.LEVELS, item["escalation_level"]
    above = levels.index(has) + 1 if has in levels else 0
    accepted = levels[max(above, levels.index(contract.LEAST_LEVEL[item["severity"]])) :]
    for step in item["next_actions"]:
        ways = {name for (before, _), name in contract.LEGAL.items() if before == item["status"]}
        if step["action"] not in ways:
            faults.append(f"{step['action']} is advised while {item['status']}")
        if step["action"] == "escalate" and step["level"] not in accepted:
            faults.append(f"{step['level']} is advised for severity {item['severity']} at {item['escalation_level']}")
    if item["status"] == "open" and "acknowledge" not in {step["action"] for step in item["next_actions"]}:
        faults.append("nobody is told to acknowledge it")
    return faults


@pytest.mark.handoff("handoffs/difference")
@pytest.mark.detects("moved-for-the-snapshot-only", "stale-briefing", "closed-not-told")
def test_what_happened_between_briefing_and_acceptance_is_told(
    _smartattend_tenant: Tenant, _smartattend_observer: Observer, _smartattend_evidence: Evidence
) -> None:
    tenant, evidence = _smartattend_tenant, _smartattend_evidence
    shift = ShiftChange([tenant], _smartattend_observer, evidence)
    admin = tenant.admin
    kept, moved, escalated, worse, closed = (
        incident_in(admin, status)["id"] for status in ("open", "acknowledged", "investigating", "open", "resolved")
    )
    handoff = shift.initiate()
    opened = tenant.staff.report("It spreads", "critical").must()["id"]
    admin.act(moved, "investigate").must()
    admin.act(escalated, "escalate", {"level": "level_3"}).must()
    admin.act(worse, "severity", {"severity": "critical", "reason": "All tenants are affected."}).must()
    admin.act(closed, "close").must()
    briefing = shift.incoming.briefing(handoff["id"]).must()
    listed = {item["id"] for item in briefing["incidents"]}
    evidence.expect("open incidents in the briefing", listed, {kept, moved, escalated, worse, opened})
    alerted = {one["incident_id"] for one in briefing["critical_alerts"]}
    evidence.invariant("the briefing alerts to what became critical", {opened, worse} <= alerted, str(alerted))
    accepted = shift.accept(handoff).must()
    for told in (briefing, accepted):
        seen = {
            "opened": {item["id"] for item in told["difference"]["opened"]},
            "closed": {item["id"] for item in told["difference"]["closed"]},
            "changed": {entry["incident"]["id"] for entry in told["difference"]["changed"]},
        }
        evidence.expect(
            "difference", seen, {"opened": {opened}, "closed": {closed}, "changed": {moved, escalated, worse}}
        )
    shift.prove([accepted])
    after = shift.outgoing.briefing(handoff["id"]).must()
    evidence.expect("what is told afterwards", {**after, "as_of": ""}, {**accepted, "as_of": ""})


@pytest.mark.handoff("handoffs/platform-restarted")
@pytest.mark.detects("handoff-kept-in-memory")
def test_a_handoff_outlives_the_death_of_the_platform(
    _smartattend_tenant: Tenant,
    _smartattend_observer: Observer,
    _smartattend_platform: Platform,
    _smartattend_evidence: Evidence,
) -> None:
    tenant, evidence = _smartattend_tenant, _smartattend_evidence
    shift = ShiftChange([tenant], _smartattend_observer, evidence)
    for status in ("open", "escalated", "mitigating"):
        incident_in(tenant.admin, status)
    handoff = shift.initiate("Before the crash.")
    _smartattend_platform.kill()
    evidence.event("all processes of the platform were killed")
    _smartattend_platform.start()
    briefing = shift.incoming.briefing(handoff["id"]).must()
    same = ("id", "status", "briefing_notes", "initiated_at", "expires_at", "incidents")
    evidence.expect("briefing", {name: briefing[name] for name in same}, {name: handoff[name] for name in same})
    accepted = shift.accept(handoff).must()
    _smartattend_platform.kill()
    _smartattend_platform.start()
    shift.prove([shift.outgoing.briefing(handoff["id"]).must()])
    still, owned = shift.owned()
    evidence.expect("incidents owned by the incoming person", sorted(owned), sorted(still))
    evidence.expect("the accepted handoff", accepted["status"], "accepted")


@pytest.mark.handoff("handoffs/all-tenants")
@pytest.mark.detects("one-tenant-only")
def test_a_superadmin_hands_over_every_tenants_incidents(
    _smartattend_in_process: InProcessPlatform,
    _smartattend_record: Callable[[Operation], None],
    _smartattend_evidence: Evidence,
) -> None:
    platform, evidence = _smartattend_in_process, _smartattend_evidence
    tenants = [platform.seed(kind, _smartattend_record) for kind in ("school", "corporate")]
    shift = ShiftChange(tenants, platform.observer, evidence, "superadmin")
    for tenant in tenants:
        incident_in(tenant.admin, "acknowledged", reporter=tenant.staff)
        incident_in(tenant.admin, "closed", reporter=tenant.staff)
    _pass(platform, timedelta(minutes=1))
    handoff = shift.initiate()
    evidence.expect("whose", handoff["tenant_id"], None)
    _pass(platform, timedelta(minutes=1))
    tenants[1].staff.report("Opened meanwhile").must()
    _pass(platform, timedelta(minutes=1))
    accepted = shift.accept(handoff).must()
    shift.prove([accepted])
    still, owned = shift.owned()
    evidence.expect("incidents owned by the incoming superadmin", sorted(owned), sorted(still))
    hidden = tenants[0].admin.briefing(handoff["id"])
    evidence.expect("what a tenant's admin is told of it", hidden.summary, "404 not_found")


@pytest.mark.handoff("handoffs/ten-in-a-week")
@pytest.mark.detects("moved-once-only", "owner-taken-by-actor")
def test_ten_handoffs_in_a_week_leave_no_incident_behind(
    _smartattend_in_process: InProcessPlatform, _smartattend_simulated_tenant: Tenant, _smartattend_evidence: Evidence
) -> None:
    platform, tenant, evidence = _smartattend_in_process, _smartattend_simulated_tenant, _smartattend_evidence
    shift = ShiftChange([tenant], platform.observer, evidence)
    dice, known, accepted = random.Random("ten handoffs"), list[str](), list[dict[str, Any]]()
    for number in range(10):
        for half in range(2):
            _work(platform, tenant, dice, known)
            # off the whole second, on which windows end: at one and the same instant an order would be nobody's promise
            _pass(platform, timedelta(milliseconds=137))
            if half == 0:
                handoff = shift.initiate(f"Handoff {number}")
                _pass(platform, timedelta(minutes=1))
        accepted.append(shift.accept(handoff).must())
        still, owned = shift.owned()
        evidence.expect(
            f"open incidents that are not the new shift's after handoff {number}", sorted(still - owned), []
        )
        shift.turn()
        _pass(platform, timedelta(hours=16))
    shift.turn()
    shift.prove(accepted)
    evidence.measure("handoffs", len(accepted), "handoffs")


def _work(platform: InProcessPlatform, tenant: Tenant, dice: random.Random, known: list[str]) -> None:
    """Some minutes of a shift: new incidents, and steps on old ones, legal or not."""
    for _ in range(2):
        known.append(tenant.staff.report("Something is slow", dice.choice(contract.SEVERITIES)).must()["id"])
        _pass(platform, timedelta(minutes=dice.randint(1, 3)))
    for incident_id in dice.sample(known, 2):
        action = dice.choice(["acknowledge", "investigate", "mitigate", "resolve", "close"])
        person = dice.choice([tenant.admin, tenant.successor_of("admin")])
        person.act(incident_id, action, contract.BODIES[action])
        _pass(platform, timedelta(seconds=dice.randint(1, 60)))


def _pass(platform: InProcessPlatform, time: timedelta) -> None:
    """Let time go by."""
    platform.sleep_until(platform.clock.now() + time)
