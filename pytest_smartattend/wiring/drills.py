"""Fixtures for drills."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pytest_smartattend.evidence import run_directory
from pytest_smartattend.wiring import postgres as postgres_wiring
from pytest_smartattend.wiring import run as run_wiring
from pytest_smartattend.wiring.evidence import about

if TYPE_CHECKING:
    from pytest_smartattend.evidence.record import Evidence
    from pytest_smartattend.trials.drills import Drills


@pytest.fixture
def _smartattend_drill(request: pytest.FixtureRequest, _smartattend_evidence: Evidence) -> Iterator[Drills]:
    from pytest_smartattend.target.reference_schema import ReferenceSchema
    from pytest_smartattend.trials.drills import Drills

    run = run_wiring.of(request.config)
    settings = run.settings
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
def _smartattend_reference_drill(request: pytest.FixtureRequest, _smartattend_drill: Drills) -> Drills:
    """For the shipped drills: they are about a platform, so they need to be told which."""
    sabotage = run_wiring.of(request.config).settings.sabotage or None
    about(request.config, "target", {"name": "reference, several instances", "sabotage": sabotage})
    return _smartattend_drill


@pytest.fixture
def drill(_smartattend_drill: Drills) -> Drills:
    """Recoveries, held step by step on servers of your own or of the check's: call it with a name, in a ``with``."""
    return _smartattend_drill
