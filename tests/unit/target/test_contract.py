"""The tester's tables have the sizes that the specification counts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pytest_smartattend.reference.domain.tenant_health import HealthRules, Load
from pytest_smartattend.target import contract


def test_of_49_pairs_13_are_legal_and_36_are_not() -> None:
    assert len(contract.LEGAL) == 13
    assert len(contract.ILLEGAL) == 36
    assert len({*contract.LEGAL, *contract.ILLEGAL}) == 49


def test_of_16_cells_10_are_accepted() -> None:
    accepted = [
        (severity, level)
        for severity in contract.SEVERITIES
        for level in contract.LEVELS
        if contract.LEVELS.index(level) >= contract.LEVELS.index(contract.LEAST_LEVEL[severity])
    ]
    assert len(accepted) == 10


def test_there_are_eight_subsets_of_the_three_fields() -> None:
    assert len(set(contract.RESOLUTION_SUBSETS)) == 8


def test_every_way_is_made_of_legal_steps() -> None:
    for status, way in contract.WAY_TO.items():
        at = "open"
        for action in way:
            at = next(after for (before, after), name in contract.LEGAL.items() if before == at and name == action)
        assert at == status


def test_resolved_incidents_are_reopened_by_reopen_only() -> None:
    assert contract.LEGAL["resolved", "investigating"] == "reopen"
    assert [pair for pair, action in contract.LEGAL.items() if action == "reopen"] == [("resolved", "investigating")]


def test_of_16_pairs_of_attendance_states_5_are_refused() -> None:
    pairs = [(before, after) for before in contract.ATTENDANCE_STATES for after in contract.ATTENDANCE_STATES]
    assert len(pairs) == 16
    assert len({*pairs} & {*contract.ATTENDANCE_ILLEGAL}) == len(contract.ATTENDANCE_ILLEGAL) == 5


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("seconds", "band"),
    [(0, "accepted"), (5, "accepted"), (300, "flagged"), (600, "blocked"), (601, "critical")],
)
def test_a_limit_belongs_to_the_milder_band_whatever_the_sign(seconds: int, band: str, sign: int) -> None:
    drift = sign * timedelta(seconds=seconds)
    assert contract.drift_band(drift) == band
    if band != "critical" and seconds:
        assert contract.drift_band(drift + sign * timedelta(microseconds=1)) != band


@pytest.mark.parametrize("failures", [0, 5, 6, 15, 16])
@pytest.mark.parametrize("mean_ms", [0.0, 5_000.0, 5_000.5, 10_000.0, 10_001.0])
def test_a_tenants_health_is_judged_alike(failures: int, mean_ms: float) -> None:
    judged = HealthRules().judge(Load(100, failures, 0, mean_ms))
    assert contract.health(failures / 100, timedelta(milliseconds=mean_ms)) == judged.value
