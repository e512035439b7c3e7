"""A platform that always tells of no failures and calls itself healthy is not believed; one that is only slow is."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_smartattend.service.simulations import health_faults


def told(status: str, failures: int, requests: int, rate: float, mean_ms: float = 20.0) -> dict[str, Any]:
    counts = {"requests": requests, "failures": failures, "failure_rate": rate}
    return {"status": status, "mean_latency_ms": mean_ms, **counts}


@pytest.mark.parametrize(
    "honest",
    [
        told("healthy", 1, 20, 0.05),
        told("critical", 4, 20, 0.2),
        told("critical", 90, 200, 0.45),  # others are at work in the tenant too
        told("degraded", 1, 40, 0.025, mean_ms=5_000.001),
        told("critical", 1, 40, 0.025, mean_ms=10_001),
    ],
)
def test_health_that_follows_from_what_was_seen_is_believed(honest: dict[str, Any]) -> None:
    assert health_faults(honest, sent=20, failed=1) == []


@pytest.mark.parametrize(
    ("liar", "says"),
    [
        (told("healthy", 0, 20, 0.0), "it tells of 0 failures in 20 requests, and 4 in 20 were seen"),
        (told("critical", 4, 10, 0.4), "it tells of 4 failures in 10 requests, and 4 in 20 were seen"),
        (told("healthy", 4, 20, 0.0), "its failure rate is 0, and its counts make it 0.2"),
        (told("healthy", 4, 20, 0.2), "it is healthy, and 0.2 with a mean of 0:00:00.020000 makes it critical"),
        (told("critical", 4, 100, 0.04), "it is critical, and 0.04 with a mean of 0:00:00.020000 makes it healthy"),
        (
            told("healthy", 4, 100, 0.04, 5_001),
            "it is healthy, and 0.04 with a mean of 0:00:05.001000 makes it degraded",
        ),
    ],
)
def test_health_against_what_was_seen_is_not(liar: dict[str, Any], says: str) -> None:
    assert says in health_faults(liar, sent=20, failed=4)


def test_a_tenant_of_which_nothing_is_known_is_healthy() -> None:
    assert health_faults(told("healthy", 0, 0, 0.0, 0.0), sent=0, failed=0) == []
