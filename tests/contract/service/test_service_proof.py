"""The service's own claims have been seen to fail: each planted defect is caught by the claim that is about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from pytest_smartattend.postgres import given
from pytest_smartattend.postgres.choosing import Wanted
from pytest_smartattend.postgres.standalone import throwaway
from pytest_smartattend.reference.domain.actors import Role
from pytest_smartattend.service import endpoints
from pytest_smartattend.service.gate import Outage
from pytest_smartattend.service.results import Results
from pytest_smartattend.service.runs import Runs
from tests.contract.service import claims
from tests.contract.service.conftest import Running, Serve

Patch = Callable[[pytest.MonkeyPatch], object]
RED = (AssertionError, pytest.fail.Exception)


def _by_exit_status(_: Runs, __: object, exit_status: int | None, ___: str) -> dict[str, Any]:
    return {"status": "ready" if exit_status == 0 else "not_ready", "reasons": []}


def _best(results: Results, kind: str) -> dict[str, Any] | None:
    entries = [entry for entry in results._newest_first() if entry["kind"] == kind]
    return next((entry for entry in entries if entry["outcome"]["status"] == "ready"), None)


DEFECTS: dict[str, tuple[Patch, Callable[[Running], None]]] = {
    "a crashed job is ready because it exited with 0": (
        lambda patch: patch.setattr(Runs, "conclude", _by_exit_status),
        claims.a_crash_is_not_ready,
    ),
    "the latest that was ready is served as the latest": (
        lambda patch: patch.setattr(Results, "latest", _best),
        claims.the_latest_is_the_newest,
    ),
    "a validation is good for ever": (
        lambda patch: patch.setattr(Runs, "now", lambda _, entry: dict(entry["outcome"])),
        claims.the_latest_grows_old,
    ),
    "a member may run the simulations": (
        lambda patch: patch.setitem(endpoints.LEAST_ROLE, "POST /validation/simulations", Role.MEMBER),
        claims.roles_are_judged,
    ),
    "anybody may read the progress of jobs": (
        lambda patch: patch.setitem(endpoints.LEAST_ROLE, "GET /validation/jobs/{id}/events", None),
        claims.roles_are_judged,
    ),
    "anybody can make the platform answer 503": (
        lambda patch: patch.setattr(Outage, "_holds", lambda *_: True),
        claims.an_outage_is_its_own_tenants,
    ),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_of_the_service_is_caught(serve: Serve, monkeypatch: pytest.MonkeyPatch, defect: str) -> None:
    plant, claim = DEFECTS[defect]
    plant(monkeypatch)
    running = serve()
    with pytest.raises(RED):
        claim(running)


@pytest.fixture
def unmarked() -> Iterator[str]:
    """The URL of somebody's database that nobody marked."""
    with throwaway(Wanted()) as server:
        with server.connect() as connection:
            connection.execute("CREATE DATABASE unmarked")
            connection.execute("CREATE ROLE maker LOGIN SUPERUSER")
        address = server.address
        assert isinstance(address, str)
        yield f"postgresql://maker@{quote(str(Path(address).parent), safe='')}:5432/unmarked"


def test_a_database_that_is_not_marked_as_disposable_is_refused_and_that_is_seen_to_fail(
    unmarked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims.an_unmarked_database_is_refused(unmarked)
    monkeypatch.setattr(given, "admit", lambda *_: None)
    with pytest.raises(RED):
        claims.an_unmarked_database_is_refused(unmarked)
