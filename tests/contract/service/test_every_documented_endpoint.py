"""Every endpoint that the platform's two founding documents name, over HTTP on one service, as its table says."""

from __future__ import annotations

from typing import Any

from tests.contract.service.conftest import Running, Serve

JOBS = {
    "POST /validation/platform-readiness": "superadmin",
    "POST /validation/scenarios": "admin",
    "POST /validation/simulations": "superadmin",
    "POST /simulations/time-drift": "admin",
    "POST /simulations/partial-outage": "admin",
    "POST /simulations/duplicate-storm": "admin",
    "POST /simulations/network-instability": "admin",
    "POST /simulations/comprehensive": "admin",
    "POST /simulations/stress-test": "admin",
}
SMALL: dict[str, Any] = {
    "time-drift": {"submissions": 4},
    "partial-outage": {"requests": 200},
    "duplicate-storm": {"duplicates": 5},
    "network-instability": {"submissions": 4, "max_latency_ms": 0},
}
ALL = {name.replace("-", "_"): body for name, body in SMALL.items()}


def test_every_documented_endpoint_answers_as_its_table_says(serve: Serve) -> None:
    running = serve()
    with running.http("nobody") as http:
        assert http.get("/health").json()["status"] == "ok"
        assert http.get("/validation/health").json()["status"] == "ok"
    seen = {}
    for endpoint, role in JOBS.items():
        path = endpoint.split()[1]
        name = path.rpartition("/")[2]
        body = SMALL.get(name, ALL if path.startswith("/simulations") else None)
        seen[endpoint] = running.outcome(running.start(path, role, body=body))["status"]
    assert seen == dict.fromkeys(JOBS, "ready")
    assert running.latest()["status"] == "ready"
    with running.http("admin") as http:
        status = http.get("/simulations/status").raise_for_status().json()
    assert len(status["simulations"]) == 6
    _export(running)
    _handoff(running)


def _export(running: Running) -> None:
    with running.http("staff") as staff, running.http("admin") as admin:
        made = staff.post("/incidents", json={"title": "The door is stuck", "severity": "low"})
        incident = made.raise_for_status().json()["id"]
        assert staff.post(f"/validation/incidents/{incident}/export").status_code == 403
        assert admin.post(f"/validation/incidents/{incident}/export").is_success
    with running.http("admin", tenant=1) as other:
        assert other.post(f"/validation/incidents/{incident}/export").status_code == 404


def _handoff(running: Running) -> None:
    incoming = running.people[0, "next admin"]
    told = {"toUserId": incoming.user_id, "briefingNotes": "2 incidents in progress"}
    with running.http("admin") as admin, running.http("next admin") as following:
        session = admin.post("/validation/handoff/initiate", json=told).raise_for_status().json()["id"]
        assert following.get(f"/validation/handoff/{session}/briefing").is_success
        assert admin.post(f"/validation/handoff/{session}/accept", json={}).status_code in {403, 409}
        facts = following.get(f"/validation/handoff/{session}/briefing", headers={"Accept": "application/json"}).json()
        critical = [one["id"] for one in facts.get("incidents", []) if one.get("severity") == "critical"]
        read_back = [{"incidentId": one, "said": "The clock of a device is far off"} for one in critical]
        accepted = following.post(f"/validation/handoff/{session}/accept", json={"readBack": read_back})
        assert accepted.is_success, accepted.text
