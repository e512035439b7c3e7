"""Scenario 7: several people act on one incident, or one attendance, at the same moment. None is lost, none is applied twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from pytest_smartattend import Evidence, Observer, Request, Tenant, chain, contract, incident_in, release_together

ACTORS = 8
ROUNDS = 4


@pytest.mark.scenario("scenarios/concurrent-actors")
@pytest.mark.detects("concurrent-transitions")
@pytest.mark.parametrize("action", ["acknowledge", "investigate", "mitigate", "resolve", "close"])
def test_of_many_who_do_the_same_one_wins(
    _smartattend_tenant: Tenant, _smartattend_observer: Observer, _smartattend_evidence: Evidence, action: str
) -> None:
    admin, evidence = _smartattend_tenant.admin, _smartattend_evidence
    endpoint = next(each for each in contract.ENDPOINTS if each.path.endswith(f"/{action}"))
    after = next(to for (_, to), name in contract.LEGAL.items() if name == action)
    for turn in range(ROUNDS):
        incident = incident_in(admin, endpoint.status or "open")
        body = {"note": "mine", **contract.BODIES[action]} if action != "resolve" else dict(contract.RESOLUTION)
        path = f"/incidents/{incident['id']}/{action}"
        answers = release_together(admin.base_url, [Request("POST", path, admin.token or "", body)] * ACTORS)
        counted = Counter(answer.summary for answer in answers)
        evidence.expect(f"answers of round {turn}", dict(counted), {"200": 1, "409 invalid_transition": ACTORS - 1})
        stands = {answer.body["current"] for answer in answers if not answer.ok}
        evidence.expect(f"what the losers are told in round {turn}", stands, {after})
        timeline = admin.part(incident["id"], "timeline").must()
        kinds = [event["to"] for event in timeline["events"]]
        evidence.expect(f"transitions to {after} in round {turn}", kinds.count(after), 1)
        evidence.expect(
            "faults of the chain", chain.faults_of(incident["id"], timeline["events"], timeline["head"]), []
        )
        refusals = admin.part(incident["id"], "refusals").must()["items"]
        evidence.expect(f"refusals kept in round {turn}", len(refusals), ACTORS - 1)
    evidence.expect("locks and transactions left", _smartattend_observer.leftovers(), [])


@pytest.mark.scenario("scenarios/concurrent-actors")
@pytest.mark.detects("attendance-states-unlocked")
@pytest.mark.parametrize("kind", ["school", "corporate"], ids=["school-attendance", "corporate-attendance"])
def test_of_many_who_change_a_records_state_one_wins(
    _smartattend_tenants: Callable[..., Tenant],
    _smartattend_observer: Observer,
    _smartattend_evidence: Evidence,
    kind: str,
) -> None:
    tenant, evidence, observer = _smartattend_tenants(kind), _smartattend_evidence, _smartattend_observer
    body = {"state": "FLAGGED", "reason": "The teacher looked into it."}
    for turn in range(ROUNDS):
        record = tenant.member.submit(tenant.submission(day=turn)).must()["id"]
        requests = [Request("POST", f"/attendance/{record}/state", tenant.staff.token or "", body)] * ACTORS
        # whoever has read the state before one has changed it waits at the gate: so they meet, however busy the machine
        with ThreadPoolExecutor(1) as pool, observer.gate("attendance_history") as gathered:
            under_way = pool.submit(release_together, tenant.staff.base_url, requests)
            gathered(2)
        answers = under_way.result()
        counted = Counter(answer.summary for answer in answers)
        evidence.expect(f"answers of round {turn}", dict(counted), {"200": 1, "409 invalid_transition": ACTORS - 1})
        stands = {answer.body["current"] for answer in answers if not answer.ok}
        evidence.expect(f"what the losers are told in round {turn}", stands, {"FLAGGED"})
        rows = tenant.staff.attendance_history(record).must()["items"]
        evidence.expect(
            f"history after round {turn}", [(row["seq"], row["to"]) for row in rows], [(1, "VERIFIED"), (2, "FLAGGED")]
        )
        codes = observer.rows("select code from attendance_refusals where attendance_id = %s", record)
        kept = [row["code"] for row in codes]
        evidence.expect(f"refusals kept in round {turn}", kept, ["invalid_transition"] * (ACTORS - 1))
    evidence.expect("locks and transactions left", observer.leftovers(), [])


@pytest.mark.scenario("scenarios/concurrent-escalations")
@pytest.mark.detects("concurrent-transitions")
def test_concurrent_escalations_only_climb(_smartattend_tenant: Tenant, _smartattend_evidence: Evidence) -> None:
    admin, evidence = _smartattend_tenant.admin, _smartattend_evidence
    for turn in range(ROUNDS):
        incident = admin.report(severity="low").must()
        path = f"/incidents/{incident['id']}/escalate"
        requests = [Request("POST", path, admin.token or "", {"level": level}) for level in contract.LEVELS * 2]
        answers = release_together(admin.base_url, requests)
        won = [answer.body["escalation_level"] for answer in answers if answer.ok]
        climbed = [row["level"] for row in admin.part(incident["id"], "escalations").must()["items"]]
        evidence.expect(f"escalations kept in round {turn}", sorted(climbed), sorted(won))
        ranks = [contract.LEVELS.index(level) for level in climbed]
        evidence.invariant(f"round {turn} only climbs", ranks == sorted(set(ranks)), " → ".join(climbed))
        evidence.expect(f"level at the end of round {turn}", climbed[-1], "executive")
        timeline = admin.part(incident["id"], "timeline").must()
        evidence.expect("events", len(timeline["events"]), 1 + len(won))
        evidence.expect(
            "faults of the chain", chain.faults_of(incident["id"], timeline["events"], timeline["head"]), []
        )


#: two that do not exclude each other: (status before, action and body of each, status after, severity after)
PAIRS = {
    "severity-and-acknowledge": (
        "open",
        ("PATCH", "severity", contract.BODIES["severity"]),
        ("POST", "acknowledge", {"note": "mine"}),
        "acknowledged",
    ),
    "root-cause-and-investigate": (
        "acknowledged",
        ("POST", "root-cause", contract.BODIES["root-cause"]),
        ("POST", "investigate", {"note": "mine"}),
        "investigating",
    ),
}


@pytest.mark.scenario("scenarios/concurrent-changes")
@pytest.mark.detects("unlocked-events")
@pytest.mark.parametrize("pair", list(PAIRS))
def test_a_change_beside_a_transition_loses_neither(
    _smartattend_tenant: Tenant, _smartattend_evidence: Evidence, pair: str
) -> None:
    admin, evidence = _smartattend_tenant.admin, _smartattend_evidence
    before, *both, after = PAIRS[pair]
    for turn in range(3 * ROUNDS):
        incident = incident_in(admin, before)
        requests = [
            Request(method, f"/incidents/{incident['id']}/{action}", admin.token or "", dict(body))
            for method, action, body in (both if turn % 2 else both[::-1])
        ]
        answers = release_together(admin.base_url, requests)
        evidence.invariant(f"both are done in round {turn}", all(answer.ok for answer in answers), str(answers)[:300])
        kept = admin.incident(incident["id"]).must()
        wanted = (after, "critical" if pair.startswith("severity") else "high")
        evidence.expect(f"status and severity after round {turn}", (kept["status"], kept["severity"]), wanted)
        timeline = admin.part(incident["id"], "timeline").must()
        evidence.expect(
            "faults of the chain", chain.faults_of(incident["id"], timeline["events"], timeline["head"]), []
        )
