"""One master and two workers of Locust send a storm, and our checkers judge it. Runs where Locust is: ``.ci/locust-lane.sh``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from pytest_smartattend import Retries, locust_storm, submission_request, validate_submissions
from pytest_smartattend.errors import TargetFailed, UsageError

if TYPE_CHECKING:
    from pytest_smartattend import Evidence, Observer, Request, Tenant


def _duplicates(tenant: Tenant, slots: int, times: int) -> list[Request]:
    """Submissions for some slots, each of them sent so many times: half with one key, half with one each."""
    requests = []
    for slot in range(slots):
        body = tenant.submission(day=slot)
        for number in range(times):
            key = f"{slot}-same" if number % 2 else f"{slot}-{number}"
            requests.append(submission_request(tenant.member, body, f"{tenant.id}-{key}"))
    return requests


def test_two_workers_send_the_plan_and_every_key_is_recorded_once(
    platform: Any, tenant: Tenant, observer: Observer, evidence: Evidence
) -> None:
    requests = _duplicates(tenant, slots=20, times=25)
    result = locust_storm(platform.base_url, requests, workers=2, users=20, retries=Retries(), seed=7, seconds=120)
    assert len(result.history) == 500
    assert result.dropped == 0
    assert {process // 1_000 for process in result.history.processes} == {0, 1}
    assert {operation.outcome for operation in result.history} == {"ok"}
    assert result.replies["201"] >= 20  # a key that was answered before is answered alike
    validate_submissions(evidence, observer, tenant, result.history, connections_at_rest=100)


def test_the_checkers_see_a_planted_defect_in_a_storm_of_locust(
    platform: Any, tenants: Callable[..., Tenant], observer: Observer, evidence: Evidence
) -> None:
    """Run with ``--smartattend-sabotage=natural-key-dropped``: what is recorded twice is found."""
    if "natural-key-dropped" not in str(platform.describe()):
        pytest.skip("needs --smartattend-sabotage=natural-key-dropped")
    tenant = tenants()
    result = locust_storm(platform.base_url, _duplicates(tenant, slots=3, times=40), workers=2, users=20)
    with pytest.raises(AssertionError, match="exactly once"):
        validate_submissions(evidence, observer, tenant, result.history, connections_at_rest=100)


def test_a_platform_that_is_not_there_is_an_error_with_what_locust_said() -> None:
    from pytest_smartattend import Request

    with pytest.raises(TargetFailed, match="answered 0 attempts"):
        locust_storm("http://127.0.0.1:9", [Request("POST", "/x", body={})], workers=1, users=1, seconds=20)


def test_a_storm_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one request"):
        locust_storm("http://127.0.0.1:9", [])
