"""What the service must do, as functions: the tests call them, and the proof calls them against planted defects."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pytest_smartattend.errors import UnsafeTarget
from pytest_smartattend.readiness import sealing
from pytest_smartattend.service import command
from tests.contract.service.conftest import HONEST, Running, Serve

ROLES = ("nobody", "member", "staff", "admin", "superadmin")
#: endpoint → least role, as the specification has it; a second copy on purpose
LEAST = {
    "POST /validation/platform-readiness": "superadmin",
    "GET /validation/platform-readiness/latest": "superadmin",
    "POST /validation/scenarios": "admin",
    "POST /validation/simulations": "superadmin",
    "POST /simulations/time-drift": "admin",
    "POST /simulations/partial-outage": "admin",
    "POST /simulations/duplicate-storm": "admin",
    "POST /simulations/network-instability": "admin",
    "POST /simulations/comprehensive": "admin",
    "POST /simulations/stress-test": "admin",
    "GET /simulations/status": "admin",
    "GET /validation/jobs/x": "admin",
    "GET /validation/jobs/x/events": "admin",
    "POST /validation/jobs/x/cancel": "admin",
}
CRASHES = """
import os, pytest

@pytest.mark.scenario("scenarios/one")
def test_one(evidence):
    evidence.expect("one and one", 1 + 1, 2)
    os._exit(0)
"""


def roles_are_judged(running: Running) -> None:
    """A role that does not reach is refused everywhere, and a body is not looked at before."""
    for role in ROLES:
        with running.http(role) as http:
            assert http.get("/validation/health").status_code == 200, role
            for endpoint, least in LEAST.items():
                if ROLES.index(role) >= ROLES.index(least):
                    continue
                method, path = endpoint.split()
                answer = http.request(method, path, json={"no": "such field"} if method == "POST" else None)
                expected = 401 if role == "nobody" else 403
                assert (answer.status_code, endpoint, role) == (expected, endpoint, role)
                assert answer.json()["code"] == ("unauthenticated" if role == "nobody" else "forbidden")


def a_crash_is_not_ready(running: Running) -> None:
    """A run that ends in the middle is incomplete, whatever an earlier one said and whatever its exit status says."""
    running.checks(HONEST)
    assert running.outcome(running.start("/validation/platform-readiness"))["status"] == "ready"
    running.checks(CRASHES)
    outcome = running.outcome(running.start("/validation/platform-readiness"))
    assert outcome["status"] == "incomplete", outcome
    assert outcome["reasons"]
    latest = running.latest()
    assert (latest["status"], latest["seq"]) == ("incomplete", 2)


def the_latest_is_the_newest(running: Running) -> None:
    """What `latest` serves is the newest validation, also where an older one was better."""
    first = running.start("/validation/platform-readiness")
    assert running.outcome(first)["status"] == "ready"
    running.checks(HONEST.replace("1 + 1, 2", "1 + 1, 3"))
    second = running.start("/validation/platform-readiness")
    assert running.outcome(second)["status"] == "not_ready"
    latest = running.latest()
    assert (latest["job"], latest["status"]) == (second, "not_ready")


def the_latest_grows_old(running: Running) -> None:
    """A validation of three weeks ago was ready, and is not any more."""
    assert running.outcome(running.start("/validation/platform-readiness"))["status"] == "ready"
    results = running.app.state.validation.jobs.results
    entry = results.latest("platform-readiness")
    document = entry["document"]
    document["run"].update(started="2026-03-02T02:00:00.000000Z", finished="2026-03-02T02:10:00.000000Z")
    document["seal"] = sealing.seal(document, b"")
    fields = ("job", "kind", "tenant", "by", "started", "ended", "parameters", "outcome")
    results.append({**{name: entry[name] for name in fields}, "document": document})
    latest = running.latest()
    assert (latest["status"], latest["status_then"]) == ("incomplete", "ready")
    assert "too_old" in [reason["code"] for reason in latest["reasons"]]


def simulations_touch_their_tenant_only(running: Running) -> None:
    """All four simulations hold, and leave every row of the other tenant as it was."""
    others = _rows_of(running, running.tenants[1])
    small = {
        "time_drift": {"submissions": 12},
        "partialOutage": {"requests": 400},
        "duplicateStorm": {"duplicates": 20},
        "networkInstability": {"submissions": 6, "maxLatencyMs": 50},
    }
    outcome = running.outcome(running.start("/simulations/comprehensive", "admin", body=small))
    assert outcome["status"] == "ready", json.dumps(outcome)[:3000]
    assert [part["name"] for part in outcome["parts"]] == [
        "time_drift",
        "partial_outage",
        "duplicate_storm",
        "network_instability",
    ]
    assert all(part["checks"] and part["status"] == "passed" for part in outcome["parts"])
    assert _rows_of(running, running.tenants[1]) == others
    with running.http("admin") as http:
        status = http.get("/simulations/status").raise_for_status().json()
    assert status["health"]["requests"] > 0
    assert [job["kind"] for job in status["simulations"]] == ["comprehensive"]
    with running.http("admin", tenant=1) as http:
        assert http.get("/simulations/status").json()["simulations"] == []


def _rows_of(running: Running, tenant: str) -> dict[str, list[Any]]:
    tables = ("attendance", "attendance_history", "attendance_refusals", "users", "class_sessions", "shifts")
    with psycopg.connect(running.database.dsn) as connection:
        return {
            table: connection.execute(
                f"select t::text from {table} t where tenant_id = %s order by 1",
                [tenant],
            ).fetchall()
            for table in (*tables, "incidents")
        }


def an_unmarked_database_is_refused(url: str) -> None:
    """Nothing is written to a database that nobody marked as disposable."""
    with pytest.raises(UnsafeTarget, match="smartattend: disposable"):
        command.prepare(url, ())
    with psycopg.connect(url) as connection:
        made = connection.execute("select count(*) from pg_tables where schemaname = 'public'").fetchone()
    assert made == (0,)


def an_outage_is_its_own_tenants(running: Running) -> None:
    """Nobody but a simulation that runs can make the platform answer 503."""
    job_id = running.start("/simulations/duplicate-storm", "admin", body={"duplicates": 2})
    header = {"X-SmartAttend-Simulation": f"{job_id} abort"}
    with running.http("admin", tenant=1) as other:
        assert other.get("/auth/me", headers=header).status_code == 200
    running.outcome(job_id)
    with running.http("admin") as mine:
        assert mine.get("/auth/me", headers=header).status_code == 200


def fresh(serve: Serve, place: Path, **more: Any) -> Running:
    """A service without the results of the one before it."""
    shutil.rmtree(place / "state", ignore_errors=True)
    return serve(**more)
