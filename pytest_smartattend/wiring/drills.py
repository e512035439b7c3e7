"""Fixtures for drills."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pytest_smartattend.errors import NotOffered
from pytest_smartattend.wiring import planting
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
        run.scratch("drill"),
        record=_smartattend_evidence.event,
        measure=_smartattend_evidence.measure,
        sabotage=planting.shipped(settings),
    )
    yield drills
    drills.close()


@pytest.fixture
def _smartattend_reference_drill(request: pytest.FixtureRequest, _smartattend_drill: Drills) -> Drills:
    """For the shipped drills: they are about a platform, so they need to be told which."""
    settings = run_wiring.of(request.config).settings
    if settings.target != "reference":
        raise NotOffered(
            "instances and servers that a drill may kill, with the operators' commands; hold one of your own in their "
            "place, as docs/how-to/your-own-recovery-drill.md shows"
        )
    if settings.postgres == "container" or "://" in settings.postgres:
        raise NotOffered("programs of PostgreSQL on this machine, for servers that a drill may kill and damage")
    sabotage = planting.shipped(settings) or None
    about(request.config, "target", {"name": "reference, several instances", "sabotage": sabotage})
    return _smartattend_drill


@pytest.fixture
def drill(_smartattend_drill: Drills) -> Drills:
    """Recoveries, held step by step on servers of your own or of the check's: call it with a name, in a ``with``."""
    return _smartattend_drill
