"""Fixtures for drills."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pytest_smartattend import marks
from pytest_smartattend.evidence import run_directory
from pytest_smartattend.wiring import postgres as postgres_wiring
from pytest_smartattend.wiring import run as run_wiring
from pytest_smartattend.wiring import suites
from pytest_smartattend.wiring.evidence import about

if TYPE_CHECKING:
    from pytest_smartattend.evidence.record import Evidence
    from pytest_smartattend.trials.drills import Drills


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run shipped drills only against the defects that they promise to catch: each takes seconds, not milliseconds."""
    sabotage = run_wiring.of(config).settings.sabotage
    if not sabotage:
        return
    others = [
        item
        for item in items
        if item.get_closest_marker("drill") and suites.is_shipped(item.path) and sabotage not in marks.detected_by(item)
    ]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


@pytest.fixture
def _smartattend_drill(request: pytest.FixtureRequest, _smartattend_evidence: Evidence) -> Iterator[Drills]:
    from pytest_smartattend.target.reference_schema import ReferenceSchema
    from pytest_smartattend.trials.drills import Drills

    run = run_wiring.of(request.config)
    settings = run.settings
    about(request.config, "target", {"name": "reference", "sabotage": settings.sabotage or None})
    drills = Drills(
        postgres_wiring.wanted(settings),
        ReferenceSchema(),
        # in the run's folder: whatever kills this process, the run's keeper removes it
        run.folder(run_directory.bases()[-1]) / f"drill-{run.worker}-{os.getpid()}",
        record=_smartattend_evidence.event,
        measure=_smartattend_evidence.measure,
        sabotage=settings.sabotage,
    )
    yield drills
    drills.close()


@pytest.fixture
def drill(_smartattend_drill: Drills) -> Drills:
    """Holds drills, as in ``with drill("our failover") as held``, and makes servers of the check's own to hold them on."""
    return _smartattend_drill
