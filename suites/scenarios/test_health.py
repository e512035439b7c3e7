"""Health tells the truth: 200 only while both stores answer, 503 that names the part otherwise, and it never hangs."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from pytest_smartattend import Down, Evidence, Faults, Silence, Tenant

#: seconds within which health must answer: the platform's deadline is two
PATIENCE = 8.0
FAULTS = {"down": Down(), "silence": Silence()}
#: what is lost → the stores that health must name
LOST = {
    "database": {"database"},
    "incidents_database": {"incidents_database"},
    "both": {"database", "incidents_database"},
}
CELLS = [(lost, fault) for lost in LOST for fault in FAULTS]


@pytest.mark.scenario("scenarios/health")
@pytest.mark.detects("health-always-ok", "health-names-one-store")
@pytest.mark.parametrize(("lost", "fault"), CELLS, ids=["-".join(cell) for cell in CELLS])
def test_health_names_every_store_that_does_not_answer_and_recovers(
    _smartattend_tenant: Tenant, _smartattend_faults: Faults, _smartattend_evidence: Evidence, lost: str, fault: str
) -> None:
    anyone, evidence = _smartattend_tenant.nobody, _smartattend_evidence
    before = anyone.health(timeout=PATIENCE)
    evidence.expect(
        "health before",
        (before.status, before.body.get("parts")),
        (200, {"database": "ok", "incidents_database": "ok"}),
    )
    # nobody may have a connection that could be cut: the refusal itself is seen in the answer
    with ExitStack() as faults:
        for store in sorted(LOST[lost]):
            faults.enter_context(_smartattend_faults.on(store, FAULTS[fault], may_not_fire=fault == "down"))
        during = anyone.health(timeout=PATIENCE)
        evidence.measure("health answers within", during.operation.seconds, "s", limit=PATIENCE)
        evidence.expect("health during the fault", during.summary, "503 unhealthy")
        sick = {name for name, state in during.body["parts"].items() if state != "ok"}
        evidence.expect("parts named", sick, LOST[lost])
    after = anyone.health(timeout=PATIENCE)
    evidence.expect("health after the fault", after.status, 200)
    reported = _smartattend_tenant.staff.report("After the fault")
    evidence.expect("an incident can be reported again", reported.status, 201)
