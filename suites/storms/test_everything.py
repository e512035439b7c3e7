"""Storms 5 and 6: all that the other storms do, one after the other and all at once, by plans that anybody can read."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from pytest_smartattend import (
    ClockedStorm,
    Evidence,
    Faults,
    History,
    InProcessPlatform,
    Platform,
    Request,
    Retries,
    Storm,
    Tenant,
    distinct_submissions,
    shipped_plan,
    validate_submissions,
)

MILLISECOND, SECOND = timedelta(milliseconds=1), timedelta(seconds=1)
PATIENT = Retries(attempts=12, first=50 * MILLISECOND, longest=2 * SECOND)
_FLAGGED = "select count(*) from attendance_history h where h.tenant_id = %s and h.to = 'FLAGGED'"
#: each submission so often
COPIES = 4


@pytest.mark.storm("storms/comprehensive")
@pytest.mark.detects("drift-sign-ignored", "replay-with-new-id")
def test_everything_that_goes_wrong_one_after_the_other_changes_nothing(
    _smartattend_discrete: InProcessPlatform,
    _smartattend_discrete_tenants: Callable[..., Tenant],
    _smartattend_discrete_faults: Faults,
    _smartattend_evidence: Evidence,
    _smartattend_seed: int,
) -> None:
    platform, evidence, history = _smartattend_discrete, _smartattend_evidence, History()
    tenant, plan = _smartattend_discrete_tenants(), shipped_plan("comprehensive")
    storm = ClockedStorm(platform, retries=PATIENT, seed=_smartattend_seed)
    left = distinct_submissions(tenant, "comprehensive")
    each = len(left) // len(plan.phases)
    for phase in plan.phases:
        with phase.held(_smartattend_discrete_faults, may_not_fire=phase.name == "wrong clocks"):
            requests = [_by_the_device(platform, left.pop()) for _ in range(each)]
            result = storm.closed([one for one in requests for _ in range(COPIES)], 8)
        evidence.event(phase.name, **result.to_json())
        for operation in (*result.history, *storm.closed(requests, 4).history):
            history.append(operation)
        platform.rest()
        validate_submissions(evidence, platform.observer, tenant, history)
        evidence.expect(f"the databases after {phase.name}", tenant.nobody.health().status, 200)
        if phase.name == "wrong clocks":
            flagged = platform.observer.value(_FLAGGED, tenant.id)
            evidence.expect("records that are flagged for their clock", flagged, each)


def _by_the_device(platform: InProcessPlatform, request: Request) -> Request:
    """The submission as a device makes it now, by its own clock."""
    now = platform.node_clocks.now("device").isoformat()
    return replace(request, body={**(request.body or {}), "client_time": now})


_AT_WORK = (
    "select count(*) from pg_stat_activity where datname = current_database() and xact_start is not null"
    " and application_name <> 'pytest-smartattend'"
)


@pytest.mark.storm("storms/stress")
@pytest.mark.detects("natural-key-dropped")
def test_everything_that_goes_wrong_at_once_changes_nothing(
    _smartattend_platform: Platform,
    _smartattend_tenants: Callable[..., Tenant],
    _smartattend_faults: Faults,
    _smartattend_evidence: Evidence,
    _smartattend_seed: int,
) -> None:
    platform, evidence, (phase,) = _smartattend_platform, _smartattend_evidence, shipped_plan("stress").phases
    tenant = _smartattend_tenants("corporate")
    keyed = distinct_submissions(tenant, "stress")[::2]
    keyless = [replace(request, idempotency_key=None) for request in keyed]
    requests = [each for pair in zip(keyed, keyless, strict=True) for each in pair for _ in range(COPIES)]
    storm = Storm(platform.clients_url, retries=PATIENT, seed=_smartattend_seed, timeout=30)
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(storm.closed, requests, 32)
        evidence.invariant("it is in the middle", platform.observer.counted(_AT_WORK, least=1, patience=30) > 0)
        with phase.held(_smartattend_faults):
            result = under_way.result()
    evidence.event(phase.name, **result.to_json())
    again = storm.closed([*keyed, *keyless], 8)
    evidence.expect("answers when all has healed", {each.outcome for each in again.history}, {"ok"})
    for operation in again.history:
        result.history.append(operation)
    validate_submissions(evidence, platform.observer, tenant, result.history, platform.connections_at_rest)
    evidence.expect("the databases", tenant.nobody.health().status, 200)
