"""Simulation 4: two hundred incidents in seven days, and four people who work on them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_smartattend import Evidence, InProcessPlatform, Tenant, Week

INCIDENTS = 200
#: another seed is another week
SEED = 20260302
#: of all timelines; whoever changes how a week is drawn computes it anew
DIGEST = "af83f2aec2f9a496044a5e86f8ea631579196be022899530dc3311828e4d5cc4"


@pytest.mark.simulation("simulations/busy-week")
@pytest.mark.detects("one-notice-a-look", "window-ignores-severity-change", "low-window-short")
def test_a_week_of_two_hundred_incidents_goes_as_it_must(
    _smartattend_discrete: InProcessPlatform,
    _smartattend_discrete_tenants: Callable[..., Tenant],
    _smartattend_evidence: Evidence,
) -> None:
    week = Week(INCIDENTS, SEED)
    week.play(_smartattend_discrete, _smartattend_discrete_tenants(), _smartattend_evidence, DIGEST)
