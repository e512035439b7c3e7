"""A user's own checks, typed strictly. The install lane runs mypy on it; nobody runs it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from pytest_smartattend import Down, Evidence, Faults, LoopClock, Observer, Platform, Silence, Tenant


@pytest.mark.scenario("scenarios/our-own-check")
@pytest.mark.detects("nobody-is-called")
def test_a_report_outlives_an_outage(
    platform: Platform, tenant: Tenant, faults: Faults, observer: Observer, evidence: Evidence
) -> None:
    with faults.on("database", Silence(after=timedelta(seconds=1))):
        answer = tenant.staff.report("Nobody can check in", "critical")
    evidence.expect("status", answer.status, 200)
    evidence.measure("answer", 0.3, "s", limit=1.0, objective=True)
    rows = observer.rows("select 1 as one")
    evidence.invariant("one row", len(rows) == 1, platform.base_url)


def test_time_passes_on_the_clock(clock: LoopClock, tenants: Callable[..., Tenant]) -> None:
    before = clock.now()
    assert tenants("corporate").admin is not None
    assert clock.now() >= before
    assert Down() is not None
