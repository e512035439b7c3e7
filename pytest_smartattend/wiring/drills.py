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
    from pytest_smartattend.options import Settings
    from pytest_smartattend.postgres.schema import Schema
    from pytest_smartattend.target.installation import Startup
    from pytest_smartattend.trials.drills import Drills


def _drills(config: pytest.Config, evidence: Evidence, theirs: tuple[Startup, Schema] | None = None) -> Drills:
    from pytest_smartattend.target.reference_schema import ReferenceSchema
    from pytest_smartattend.trials.drills import Drills

    run = run_wiring.of(config)
    startup, schema = theirs or (None, ReferenceSchema())
    return Drills(
        postgres_wiring.wanted(run.settings),
        schema,
        run.scratch("drill"),
        record=evidence.event,
        measure=evidence.measure,
        sabotage=planting.shipped(run.settings),
        startup=startup,
    )


def _programs(settings: Settings) -> bool:
    """Whether this machine has PostgreSQL's programs for the run; a container, asked for or the last resort, has not."""
    from pytest_smartattend.postgres import choosing

    if settings.postgres == "container" or "://" in settings.postgres:
        return False
    return choosing.choose(postgres_wiring.wanted(settings)).binaries is not None


@pytest.fixture
def _smartattend_drill(request: pytest.FixtureRequest, _smartattend_evidence: Evidence) -> Iterator[Drills]:
    drills = _drills(request.config, _smartattend_evidence)
    yield drills
    drills.close()


def theirs(config: pytest.Config) -> tuple[Startup, Schema] | None:
    """How the adopter's platform is started for the shipped drills; None where it is the reference. Starts nothing.

    Raises:
        NotOffered: the target, or this machine, has not got what they need.
    """
    settings = run_wiring.of(config).settings
    started = None
    if settings.target != "reference":
        from pytest_smartattend.wiring import adopted

        started = adopted.drilled(config)
    if not _programs(settings):
        raise NotOffered("programs of PostgreSQL on this machine, for servers that a drill may kill and damage")
    return started


@pytest.fixture
def _smartattend_reference_drill(request: pytest.FixtureRequest, _smartattend_evidence: Evidence) -> Iterator[Drills]:
    """For the shipped drills: they are about a platform, so they need to be told which."""
    config = request.config
    started = theirs(config)
    if started is not None:
        about(config, "target", {"name": f"{started[0].adapter.name}, several instances"})
    else:
        sabotage = planting.shipped(run_wiring.of(config).settings) or None
        about(config, "target", {"name": "reference, several instances", "sabotage": sabotage})
    drills = _drills(config, _smartattend_evidence, started)
    yield drills
    drills.close()


@pytest.fixture
def drill(_smartattend_drill: Drills) -> Drills:
    """Recoveries, held step by step on servers of your own or of the check's: call it with a name, in a ``with``."""
    return _smartattend_drill
