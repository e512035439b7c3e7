"""Scenario 3: the 49 pairs of statuses, 13 of them legal; and the eight subsets of a resolution's fields."""

from __future__ import annotations

import pytest

from pytest_smartattend import Evidence, Observer, Tenant, chain, contract, incident_in


def _cells(pairs: list[tuple[str, str]]) -> list[str]:
    return [f"{before}-{after}" for before, after in pairs]


LEGAL = list(contract.LEGAL)
ILLEGAL = list(contract.ILLEGAL)
#: an escalated incident can only be escalated to a level above its present one
HIGHER = {"level": "executive"}


@pytest.mark.scenario("scenarios/legal-transitions")
@pytest.mark.detects("timeline-row-lost", "chain-not-bound", "legal-transition-refused")
@pytest.mark.parametrize(("before", "after"), LEGAL, ids=_cells(LEGAL))
def test_a_legal_transition_is_made_and_leaves_one_event(
    _smartattend_tenant: Tenant, _smartattend_evidence: Evidence, before: str, after: str
) -> None:
    admin, evidence = _smartattend_tenant.admin, _smartattend_evidence
    incident = incident_in(admin, before)
    events = admin.part(incident["id"], "timeline").must()["events"]
    action = contract.LEGAL[before, after]
    answer = admin.act(incident["id"], action, HIGHER if action == "escalate" else contract.BODIES[action])
    evidence.expect("answer", answer.status, 200)
    evidence.expect("status", answer.body["status"], after)
    timeline = admin.part(incident["id"], "timeline").must()
    evidence.expect("new events", len(timeline["events"]) - len(events), 1)
    newest = timeline["events"][-1]
    evidence.expect("from and to", (newest["from"], newest["to"]), (before, after))
    evidence.expect("actor", newest["actor"], admin.user_id)
    evidence.expect("faults of the chain", chain.faults_of(incident["id"], timeline["events"], timeline["head"]), [])


@pytest.mark.scenario("scenarios/invalid-transitions")
@pytest.mark.detects("illegal-transition-allowed", "refusal-changes-the-incident", "refusal-not-recorded")
@pytest.mark.parametrize(("before", "after"), ILLEGAL, ids=_cells(ILLEGAL))
def test_an_illegal_transition_is_refused_and_changes_nothing(
    _smartattend_tenant: Tenant,
    _smartattend_observer: Observer,
    _smartattend_evidence: Evidence,
    before: str,
    after: str,
) -> None:
    admin, evidence, observer = _smartattend_tenant.admin, _smartattend_evidence, _smartattend_observer
    incident = incident_in(admin, before)
    stands = observer.everything_of(incident["id"])
    if after == "open":
        answer = admin.act(incident["id"], "open")
        evidence.expect("no endpoint leads to open", answer.status, 404)
    else:
        action = contract.ENDPOINT_TO[after]
        answer = admin.act(incident["id"], action, HIGHER if action == "escalate" else contract.BODIES[action])
        evidence.expect("answer", answer.summary, "409 invalid_transition")
        evidence.expect("status named", answer.body.get("current"), before)
        legal = sorted(to for origin, to in contract.LEGAL if origin == before)
        evidence.expect("legal ways named", sorted(answer.body.get("legal", [])), legal)
        refusals = admin.part(incident["id"], "refusals").must()["items"]
        evidence.expect("refusals kept", [item["code"] for item in refusals], ["invalid_transition"])
    evidence.expect("what the refusal changed", observer.everything_of(incident["id"]), stands)


@pytest.mark.scenario("scenarios/reopening")
@pytest.mark.detects("reopens-by-investigate")
def test_a_resolved_incident_is_reopened_by_reopen_and_only_so(
    _smartattend_tenant: Tenant, _smartattend_evidence: Evidence
) -> None:
    admin, evidence = _smartattend_tenant.admin, _smartattend_evidence
    incident = incident_in(admin, "resolved")
    by_investigate = admin.act(incident["id"], "investigate")
    evidence.expect("investigate on resolved", by_investigate.summary, "409 invalid_transition")
    for status in ("open", "acknowledged", "escalated", "mitigating", "closed"):
        other = incident_in(admin, status)
        evidence.expect(f"reopen on {status}", admin.act(other["id"], "reopen").summary, "409 invalid_transition")
    reopened = admin.act(incident["id"], "reopen")
    evidence.expect("reopen on resolved", (reopened.status, reopened.body["status"]), (200, "investigating"))
    evidence.expect("the window runs again", reopened.body["sla"]["resolve"]["status"], "on_track")
    newest = admin.part(incident["id"], "timeline").must()["events"][-1]
    evidence.expect("event", (newest["kind"], newest["from"], newest["to"]), ("reopened", "resolved", "investigating"))


SUBSETS = list(contract.RESOLUTION_SUBSETS)


def _subset_id(given: tuple[str, ...]) -> str:
    return {0: "none", len(contract.RESOLUTION_FIELDS): "all"}.get(len(given), "+".join(given))


@pytest.mark.scenario("scenarios/resolution-fields")
@pytest.mark.detects("blank-field-accepted", "bytes-for-characters", "only-first-missing-field-named")
@pytest.mark.parametrize("given", SUBSETS, ids=[_subset_id(given) for given in SUBSETS])
def test_resolving_needs_all_three_fields_and_names_every_one_that_lacks(
    _smartattend_tenant: Tenant,
    _smartattend_observer: Observer,
    _smartattend_evidence: Evidence,
    given: tuple[str, ...],
) -> None:
    admin, evidence, observer = _smartattend_tenant.admin, _smartattend_evidence, _smartattend_observer
    incident = incident_in(admin, "mitigating")
    stands = observer.everything_of(incident["id"])
    lacking = [name for name in contract.RESOLUTION_FIELDS if name not in given]
    present = {name: contract.RESOLUTION[name] for name in given}
    if not lacking:
        exactly = dict.fromkeys(given, "x" * contract.LEAST_TEXT)
        answer = admin.act(incident["id"], "resolve", {name: f"  {text} " for name, text in exactly.items()})
        evidence.expect("answer to ten characters each", answer.status, 200)
        evidence.expect("status", answer.body["status"], "resolved")
        return
    ways: dict[str, dict[str, object]] = {
        "absent": {},
        "empty": dict.fromkeys(lacking, ""),
        "blank": dict.fromkeys(lacking, " \t\n" * 5),
        "null": dict.fromkeys(lacking),
        "one character short": dict.fromkeys(lacking, f"   {contract.TOO_SHORT}   "),
    }
    for way, missing in ways.items():
        answer = admin.act(incident["id"], "resolve", {**present, **missing})
        evidence.expect(f"answer when {way}", answer.summary, "422 missing_fields")
        evidence.expect(f"fields named when {way}", sorted(answer.body.get("fields", [])), sorted(lacking))
    evidence.expect("what the refusals changed", observer.everything_of(incident["id"]), stands)
