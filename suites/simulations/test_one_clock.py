"""There is one clock: what the platform tells, what its database tells, and every instant that is stored."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from pytest_smartattend import Evidence, InProcessPlatform, Tenant, contract

HOUR = timedelta(hours=1)
WAY = ("acknowledge", "investigate", "root-cause", "mitigate", "resolve", "close")


@pytest.mark.simulation("simulations/one-clock")
@pytest.mark.detects("metrics-on-the-servers-clock", "metrics-lost-at-the-end")
def test_platform_and_database_keep_the_same_time_and_nothing_is_stamped_by_another(
    _smartattend_discrete: InProcessPlatform,
    _smartattend_discrete_tenants: Callable[..., Tenant],
    _smartattend_evidence: Evidence,
) -> None:
    platform, tenant, clock = _smartattend_discrete, _smartattend_discrete_tenants(), _smartattend_discrete.clock
    incident = tenant.staff.report(severity="low").must()
    differences = []
    for hours, action in enumerate(WAY, start=1):
        platform.sleep_until(clock.start + hours * HOUR)
        tenant.admin.act(incident["id"], action, contract.BODIES[action]).must()
        tenant.member.submit(tenant.submission(day=hours), key=f"key-{hours}").must()
        told = tenant.nobody.now()
        differences += [platform.observer.value("select now()") - told, platform.database_clock.now() - told]
    largest = max(abs(difference) for difference in differences) / timedelta(microseconds=1)
    _smartattend_evidence.measure("difference between platform and database", largest, "µs", limit=0)
    platform.stop()
    metrics = platform.observer.value(
        "select count(*) from metrics where tenant_id = %s and kind = 'request'", tenant.id
    )
    _smartattend_evidence.expect("requests in the metrics once it has stopped", metrics, 1 + 2 * len(WAY))
    stored = platform.observer.moments()
    # everything happened at whole hours, and whatever follows from it falls due at whole minutes
    strange = {
        f"{place}: {moment.isoformat()}"
        for place, moments in stored.items()
        for moment in moments
        if (moment - clock.start) % timedelta(minutes=1)
    }
    _smartattend_evidence.measure("columns of moments", len(stored), "columns")
    _smartattend_evidence.expect("moments by another clock", sorted(strange), [])
    asks = platform.database_clock.unfollowed()
    _smartattend_evidence.expect("what in the database asks the server's own clock", asks, [])
