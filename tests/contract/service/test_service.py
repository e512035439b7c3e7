"""Every validation endpoint over HTTP: who may, what comes of it, and what is refused."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from pytest_smartattend.service.desk import Limits
from tests.contract.service import claims
from tests.contract.service.conftest import HONEST, Serve

HANGS = """
import signal, threading, pytest

@pytest.mark.scenario("scenarios/one")
def test_one(evidence):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Event().wait()
"""
WAITS = HANGS.replace("    signal.signal(signal.SIGINT, signal.SIG_IGN)\n", "")


def alive(pid: int) -> bool:
    """Whether a process is there and not only waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children_of(pid: int) -> list[int]:
    """Children, and theirs."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # it has ended
            for child in map(int, task.read_text().split()):
                found += [child, *children_of(child)]
    return found


def test_roles_are_judged_before_anything_else(serve: Serve) -> None:
    claims.roles_are_judged(serve())


def test_a_validation_runs_tells_its_progress_and_is_kept(serve: Serve) -> None:
    running = serve()
    with running.http() as http:
        assert http.get("/validation/platform-readiness/latest").status_code == 404
    job_id = running.start("/validation/platform-readiness", body={"subject": "v1.2.3"})
    events = running.events(job_id)
    assert [event["event"] for event in events if event["event"] != "test"] == ["started", "collected", "result"]
    tests = [event for event in events if event["event"] == "test"]
    assert len(tests) == 2
    assert {event["outcome"] for event in tests} == {"passed"}
    outcome = running.outcome(job_id)
    assert (outcome["status"], outcome["reasons"]) == ("ready", [])
    assert outcome["consensus"]["scenarios"]["for"] == 1
    latest = running.latest()
    assert latest["document"]["subject"]["name"] == "v1.2.3"
    assert latest["document"]["target"]["name"] == "reference"
    assert (latest["job"], latest["running"]) == (job_id, None)


def test_the_scenarios_alone_are_ready_for_the_scenarios_and_say_so(serve: Serve) -> None:
    running = serve()
    outcome = running.outcome(running.start("/validation/scenarios", "admin"))
    assert outcome["status"] == "ready", outcome
    entry = running.app.state.validation.jobs.results.latest("scenarios")
    assert "without simulations" in entry["document"]["scope"]["text"]
    running.checks(HONEST.replace('"it holds", True', '"it holds", False'))
    assert running.outcome(running.start("/validation/simulations"))["status"] == "not_ready"


SCOPE = """
requirements = "test"
postgres = 9
required = ["scenarios/ours", "simulations/ours"]
[[waivers]]
id = "scenarios/one"
reason = "ticket 1"
owner = "Ada"
expires = 2999-12-31
[[not_applicable]]
id = "simulations/one"
reason = "no clock"
"""


def test_what_the_operator_requires_waives_and_declares_holds_for_the_scenarios_alone_too(serve: Serve) -> None:
    running = serve(scope=SCOPE)
    running.checks(HONEST.replace("1 + 1, 2", "1 + 1, 3"))
    outcome = running.outcome(running.start("/validation/scenarios", "admin"))
    found = {reason["code"]: reason["evidence"] for reason in outcome["reasons"]}
    assert found.keys() == {"check_missing", "waived", "postgres_major"}, outcome
    assert (found["check_missing"], found["waived"]) == (["scenarios/ours"], ["scenarios/one"])


def test_a_scope_that_is_none_ends_in_no_verdict(serve: Serve) -> None:
    running = serve(scope=SCOPE.replace("test", "another version"))
    for path in ("scenarios", "platform-readiness"):
        outcome = running.outcome(running.start(f"/validation/{path}"))
        assert (outcome["status"], outcome["reasons"][0]["code"]) == ("incomplete", "job_crashed"), path


def test_a_run_that_crashed_is_not_ready(serve: Serve) -> None:
    claims.a_crash_is_not_ready(serve())


def test_the_latest_validation_is_the_newest_whatever_it_says(serve: Serve) -> None:
    claims.the_latest_is_the_newest(serve())


def test_a_validation_grows_old(serve: Serve) -> None:
    claims.the_latest_grows_old(serve())


def test_one_job_at_a_time_for_a_tenant_and_so_many_for_all(serve: Serve) -> None:
    running = serve(most_jobs=2)
    running.checks(WAITS)
    first = running.start("/validation/scenarios", "admin")
    with running.http("admin") as mine, running.http("admin", tenant=1) as other:
        refused = mine.post("/simulations/time-drift")
        assert (refused.status_code, refused.json()["code"], refused.json()["job"]) == (409, "job_running", first)
        second = running.start("/validation/scenarios", "admin", tenant=1)
        assert other.get(f"/validation/jobs/{first}").status_code == 404
        assert other.post(f"/validation/jobs/{first}/cancel").status_code == 404
        assert other.get(f"/validation/jobs/{first}/events").status_code == 404
    with running.http() as http:
        full = http.post("/validation/platform-readiness")
        assert (full.status_code, full.json()["code"]) == (429, "too_many_jobs")
        assert full.headers["retry-after"]
        for job_id in (first, second):
            assert http.post(f"/validation/jobs/{job_id}/cancel").status_code == 202
    outcomes = [running.outcome(job_id) for job_id in (first, second)]
    assert [outcome["status"] for outcome in outcomes] == ["incomplete"] * 2
    assert {outcome.get("stopped") or outcome["reasons"][0]["text"] for outcome in outcomes} == {"cancelled"}


def test_a_job_that_takes_too_long_is_ended_with_all_that_it_started(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = serve(limits=Limits(run=3, simulation=3))
    running.checks(WAITS)
    job_id = running.start("/validation/platform-readiness")
    started = next(event for event in running.events(job_id) if event["event"] == "started")
    outcome = running.outcome(job_id)
    assert outcome["status"] == "incomplete"
    assert "longer than 3 s" in json.dumps(outcome)
    assert not alive(started["pid"])


def test_a_job_does_not_outlive_the_service_and_is_told_by_the_next(serve: Serve, tmp_path: Path) -> None:
    running = serve()
    running.checks(WAITS)
    job_id = running.start("/validation/platform-readiness")
    job = running.app.state.validation.jobs.find(job_id)
    seen = threading.Event()
    while job.pid is None:
        seen.wait(0.01)
    between = next(child for child in children_of(os.getpid()) if job.pid in children_of(child))
    os.kill(between, signal.SIGKILL)  # as the kernel does when memory is short
    assert running.outcome(job_id)["status"] == "incomplete"
    with contextlib.suppress(ProcessLookupError):
        os.killpg(job.pid, signal.SIGKILL)
    (tmp_path / "state" / "jobs" / "left" / "report").mkdir(parents=True)
    note = {"kind": "platform-readiness", "tenant": None, "by": "x", "at": "2026-03-02T02:00:00.000000Z"}
    (tmp_path / "state" / "jobs" / "left" / "job.json").write_text(json.dumps({**note, "parameters": {}}))
    again = serve()
    assert again.latest()["job"] == "left"
    assert again.latest()["status"] == "incomplete"


OUT_OF_BOUNDS: list[tuple[str, Any, str]] = [
    ("time-drift", {"max_drift_ms": 0}, "max_drift_ms"),
    ("time-drift", {"maxDriftMs": 3_600_001}, "maxDriftMs"),
    ("time-drift", {"submissions": 57}, "submissions"),
    ("partial-outage", {"requests": 2_001}, "requests"),
    ("duplicate-storm", {"duplicates": 1}, "duplicates"),
    ("duplicate-storm", {"duplicates": 10_001}, "duplicates"),
    ("network-instability", {"failure_rate": 0.51}, "failure_rate"),
    ("network-instability", {"timeout_rate": 0.01}, "timeout_rate"),
    ("network-instability", {"max_latency_ms": 5_001}, "max_latency_ms"),
    ("comprehensive", {"duplicate_storm": {"duplicates": 0}}, "duplicates"),
    ("stress-test", {"tenant_id": "another"}, "tenant_id"),
]


def test_parameters_out_of_bounds_are_refused_by_name(serve: Serve) -> None:
    running = serve()
    with running.http("admin") as http:
        for path, body, field in OUT_OF_BOUNDS:
            answer = http.post(f"/simulations/{path}", json=body)
            assert answer.status_code == 422, (path, body)
            named = [error["field"].rpartition(".")[2] for error in answer.json()["errors"]]
            assert named == [field], (path, body)
    assert running.app.state.validation.jobs.running == []


def test_simulations_hold_and_touch_their_tenant_only(serve: Serve) -> None:
    claims.simulations_touch_their_tenant_only(serve())


def test_the_stress_test_holds_in_a_corporate_too(serve: Serve) -> None:
    running = serve()
    body = {
        "time_drift": {"submissions": 8},
        "duplicate_storm": {"duplicates": 30},
        "networkInstability": {"submissions": 6},
    }
    outcome = running.outcome(running.start("/simulations/stress-test", "admin", tenant=1, body=body))
    assert outcome["status"] == "ready", json.dumps(outcome)[:3000]


def test_a_superadmin_has_no_tenant_to_simulate_in(serve: Serve) -> None:
    with serve().http() as http:
        answer = http.post("/simulations/time-drift")
    assert (answer.status_code, answer.json()["code"]) == (409, "no_tenant")


@pytest.mark.parametrize(
    ("sabotage", "path", "body"),
    [
        ("natural-key-dropped", "duplicate-storm", {"duplicates": 30}),
        ("drift-sign-ignored", "time-drift", {"submissions": 20}),
        ("metrics-lost-on-errors", "time-drift", {"submissions": 20}),
        ("health-never-recovers", "partial-outage", {"requests": 200}),
    ],
)
def test_a_simulation_finds_a_planted_defect(serve: Serve, sabotage: str, path: str, body: Any) -> None:
    running = serve(sabotage=sabotage)
    outcome = running.outcome(running.start(f"/simulations/{path}", "admin", body=body))
    assert outcome["status"] == "not_ready", json.dumps(outcome)[:3000]
    assert outcome["reasons"][0]["code"] == "simulation_failed"


def test_each_fault_of_an_unstable_network_strikes_however_few_submissions_there_are(serve: Serve) -> None:
    running = serve()
    for seed in (1, 2):
        rare = {"submissions": 1, "failure_rate": 0.1, "timeout_rate": 0.05, "max_latency_ms": 20, "seed": seed}
        outcome = running.outcome(running.start("/simulations/network-instability", "admin", body=rare))
        assert outcome["status"] == "ready", json.dumps(outcome)[:3000]
        fired = outcome["parts"][0]["figures"]["fired"]
        assert len(fired) == 4
        assert min(fired.values()) > 0, fired


def test_an_outage_is_its_own_tenants(serve: Serve) -> None:
    claims.an_outage_is_its_own_tenants(serve())


def test_results_that_were_changed_are_not_served(serve: Serve) -> None:
    running = serve()
    running.outcome(running.start("/validation/platform-readiness"))
    path = running.state / "results" / "00000001.json"
    assert path.stat().st_mode & 0o222 == 0
    path.chmod(0o600)
    path.write_text(path.read_text().replace('"status": "ready"', '"status": "at_risk"'))
    with running.http() as http:
        answer = http.get("/validation/platform-readiness/latest")
        assert (answer.status_code, answer.json()["code"]) == (500, "results_damaged")
        assert http.get("/validation/health").status_code == 503
    again = serve()
    with again.http() as http:
        assert http.get("/validation/health").json()["status"] == "results_damaged"
    outcome = again.outcome(again.start("/validation/platform-readiness"))
    assert outcome["reasons"][0]["code"] == "result_lost"


def test_a_method_that_is_not_offered_is_told_which_one_is(serve: Serve) -> None:
    with serve().http() as http:
        answer = http.get("/simulations/time-drift")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        assert http.delete("/incidents").headers["allow"] == "GET, POST"


def test_serve_answers_from_the_command_line_and_ends_in_order(tmp_path: Path) -> None:
    served = subprocess.Popen(
        [sys.executable, "-m", "pytest_smartattend.cli", "serve", "--port=0", f"--state={tmp_path / 'state'}"],
        stdout=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "TOKEN_SECRET"},
    )
    try:
        assert served.stdout is not None
        first = served.stdout.readline()
        assert first.startswith("smartattend serves on http://127.0.0.1:")
        people = "".join(iter(served.stdout.readline, "  their password: correct horse battery staple\n"))
        assert re.search(r"^  superadmin +superadmin-", people, re.MULTILINE)
        children = children_of(served.pid)
        assert children
    finally:
        served.terminate()
        served.communicate(timeout=60)
        ended = served.returncode
    assert ended in {0, -15}
    ending = threading.Event()
    for _ in range(600):
        if not any(alive(child) for child in children):
            break
        ending.wait(0.05)
    assert [child for child in children if alive(child)] == []
