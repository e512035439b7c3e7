from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from pytest_smartattend.reference.domain.actors import Scope
from pytest_smartattend.reference.domain.incident import Incident
from pytest_smartattend.reference.store.incident_rows import IncidentRows

if TYPE_CHECKING:
    from tests.contract.reference.conftest import World

pytestmark = pytest.mark.asyncio

TELLING = {
    "root_cause": "the disk was full",
    "remediation_steps": "old logs were removed",
    "prevention_measures": "an alert was added",
}


def chained(events: list[dict[str, Any]], incident_id: str) -> list[str]:
    """The hashes that the rows should have, computed without the platform's code."""
    prev, hashes = "0" * 64, []
    for event in events:
        content = {**event, "incident_id": incident_id, "prev": prev}
        del content["hash"]
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        prev = hashlib.sha256(canonical).hexdigest()
        hashes.append(prev)
    return hashes


async def test_the_whole_path_is_told_without_gaps_and_bound_by_hashes(world: World) -> None:
    admin = world.client()
    made = await admin.post("/incidents", json={"title": "  It is down ", "severity": "critical", "description": "ü"})
    assert (made.status_code, made.headers["location"]) == (201, f"/api/incidents/{made.json()['id']}")
    incident = made.json()["id"]
    steps: list[tuple[str, dict[str, Any]]] = [
        ("acknowledge", {"note": "on it"}),
        ("escalate", {"level": "executive"}),
        ("investigate", {}),
        ("root-cause", {"root_cause": TELLING["root_cause"], "confidence": "high"}),
        ("mitigate", {}),
        ("investigate", {}),
        ("mitigate", {}),
        ("resolve", TELLING),
        ("reopen", {"note": "it came back"}),
        ("mitigate", {}),
        ("resolve", TELLING),
        ("close", {}),
    ]
    for action, body in steps:
        world.clock.move(minutes=1)
        answer = await admin.post(f"/incidents/{incident}/{action}", json=body)
        assert answer.status_code in {200, 201}, answer.text
    told = (await admin.get(f"/incidents/{incident}/timeline")).json()
    events = told["events"]
    assert [event["seq"] for event in events] == list(range(1, 14))
    assert [(event["kind"], event["from"], event["to"]) for event in events] == [
        ("created", None, "open"),
        ("acknowledged", "open", "acknowledged"),
        ("escalated", "acknowledged", "escalated"),
        ("investigating", "escalated", "investigating"),
        ("root_cause_recorded", None, None),
        ("mitigating", "investigating", "mitigating"),
        ("investigating", "mitigating", "investigating"),
        ("mitigating", "investigating", "mitigating"),
        ("resolved", "mitigating", "resolved"),
        ("reopened", "resolved", "investigating"),
        ("mitigating", "investigating", "mitigating"),
        ("resolved", "mitigating", "resolved"),
        ("closed", "resolved", "closed"),
    ]
    assert events[0]["payload"] == {"title": "It is down", "description": "ü", "severity": "critical"}
    assert events[0]["at"] == "2026-03-02T08:00:00.000000Z"
    assert events[1]["payload"] == {"note": "on it"}
    assert [event["hash"] for event in events] == chained(events, incident)
    assert told["head"] == {"seq": 13, "hash": events[-1]["hash"]}
    assert world.rows("SELECT seq, hash FROM audit_heads") == [told["head"]]


async def test_what_is_kept_beside_the_timeline_can_be_read(world: World) -> None:
    admin, incident = world.client(), await world.incident("investigating", "high")
    await admin.post(f"/incidents/{incident}/escalate", json={"level": "level_3", "note": "night shift"})
    recorded = await admin.post(
        f"/incidents/{incident}/root-cause", json={"root_cause": " the disk was full ", "confidence": "low"}
    )
    escalations = (await admin.get(f"/incidents/{incident}/escalations")).json()["items"]
    assert [(one["level"], one["severity"], one["note"]) for one in escalations] == [("level_3", "high", "night shift")]
    assert (await admin.get(f"/incidents/{incident}/root-causes")).json()["items"] == [recorded.json()]
    assert recorded.json()["root_cause"] == "the disk was full"


@pytest.mark.parametrize(
    ("status", "method", "action", "body", "code", "extensions"),
    [
        ("open", "POST", "investigate", {}, "invalid_transition", {"current": "open"}),
        ("open", "POST", "escalate", {"level": "level_1"}, "escalation_level_mismatch", {"least": "level_3"}),
        ("mitigating", "POST", "resolve", {}, "missing_fields", {"fields": list(TELLING)}),
        (
            "mitigating",
            "POST",
            "resolve",
            {**TELLING, "root_cause": None},
            "missing_fields",
            {"fields": ["root_cause"]},
        ),
        ("open", "POST", "root-cause", {"root_cause": "x", "confidence": "low"}, "invalid_transition", {}),
        ("investigating", "POST", "root-cause", {"confidence": "low"}, "missing_fields", {"fields": ["root_cause"]}),
        ("resolved", "PATCH", "severity", {"severity": "low", "reason": "r"}, "severity_frozen", {}),
        ("open", "PATCH", "severity", {"severity": "high", "reason": "r"}, "validation_error", {}),
    ],
)
async def test_a_refusal_changes_nothing_and_is_recorded(
    world: World, status: str, method: str, action: str, body: dict[str, Any], code: str, extensions: dict[str, Any]
) -> None:
    admin, incident = world.client(), await world.incident(status, "high")
    before = world.everything()
    world.clock.move(minutes=1)
    answer = await admin.request(method, f"/incidents/{incident}/{action}", json=body)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code
    assert answer.json().items() >= extensions.items()
    assert world.everything() == before
    (refusal,) = (await admin.get(f"/incidents/{incident}/refusals")).json()["items"]
    assert (refusal["action"], refusal["code"], refusal["detail"]) == (action, code, answer.json()["detail"])
    assert refusal["at"] == "2026-03-02T08:01:00.000000Z"


@pytest.mark.parametrize("actors", [2, 8])
async def test_of_concurrent_acknowledgements_exactly_one_is_done(world: World, actors: int) -> None:
    incident = await world.incident()
    clients = [world.client(app=world.start()) for _ in range(actors)]
    answers = await asyncio.gather(*(client.post(f"/incidents/{incident}/acknowledge") for client in clients))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * (actors - 1)
    assert {answer.json()["current"] for answer in answers if answer.status_code == 409} == {"acknowledged"}
    told = (await clients[0].get(f"/incidents/{incident}/timeline")).json()
    assert [event["kind"] for event in told["events"]] == ["created", "acknowledged"]
    refusals = (await clients[0].get(f"/incidents/{incident}/refusals")).json()["items"]
    assert len(refusals) == actors - 1


async def test_without_the_lock_all_of_them_would_be_done(world: World) -> None:
    """The check above proves something only because this is what happens without the lock."""
    incident, all_have_read = await world.incident(), asyncio.Barrier(3)

    def meet(rows: IncidentRows) -> None:
        read = rows.find

        async def lock(transaction: AsyncConnection, scope: Scope, incident_id: UUID) -> Incident | None:
            found = await read(transaction, scope, incident_id)
            await all_have_read.wait()
            return found

        rows.lock = lock  # type: ignore[method-assign]

    clients = []
    for _ in range(3):
        app = world.start()
        meet(app.state.platform.desk.rows)
        clients.append(world.client(app=app))
    answers = await asyncio.gather(*(client.post(f"/incidents/{incident}/acknowledge") for client in clients))
    assert [answer.status_code for answer in answers] == [200] * 3


async def test_a_change_of_severity_is_an_event_and_moves_the_windows(world: World) -> None:
    admin, incident = world.client(), await world.incident(severity="low")
    world.clock.move(minutes=20)
    changed = await admin.patch(f"/incidents/{incident}/severity", json={"severity": "critical", "reason": " worse "})
    assert (changed.json()["severity"], changed.json()["escalation_level"]) == ("critical", None)
    window = changed.json()["sla"]["acknowledge"]
    assert (window["due_at"], window["status"]) == ("2026-03-02T08:15:00.000000Z", "breached")
    assert window["breached_at"] == "2026-03-02T08:20:00.000000Z"
    event = (await admin.get(f"/incidents/{incident}/timeline")).json()["events"][-1]
    assert (event["kind"], event["from"], event["to"]) == ("severity_changed", None, None)
    assert event["payload"] == {"old": "low", "new": "critical", "reason": "worse"}


async def test_the_windows_follow_the_platforms_clock(world: World) -> None:
    staff, incident = world.client("staff"), await world.incident(severity="critical")
    seen = []
    for minutes in (0, 191, 1, 48, 1):
        world.clock.move(minutes=minutes)
        seen.append((await staff.get(f"/incidents/{incident}/sla")).json()["resolve"]["status"])
    assert seen == ["on_track", "on_track", "at_risk", "at_risk", "breached"]


async def test_pages_are_newest_first_complete_and_stable_while_new_ones_come(world: World) -> None:
    staff = world.client("staff")
    made = []
    for number in range(7):
        world.clock.move(seconds=number % 2)  # some at the same instant
        made.append((await staff.post("/incidents", json={"title": f"{number}", "severity": "low"})).json())
    seen: list[dict[str, Any]] = []
    cursor = None
    while True:
        query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await staff.get("/incidents", params=query)).json()
        seen += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        world.clock.move(seconds=1)
        await staff.post("/incidents", json={"title": "newer", "severity": "low"})
    expected = sorted(made, key=lambda one: (one["created_at"], one["id"]), reverse=True)
    assert [one["id"] for one in seen] == [one["id"] for one in expected]


async def test_lists_are_filtered(world: World) -> None:
    staff = world.client("staff")
    await world.incident("acknowledged", "high")
    await world.incident("open", "high")
    await world.incident("open", "low")
    listed = (await staff.get("/incidents", params={"status": "open", "severity": "high"})).json()["items"]
    assert [(one["status"], one["severity"]) for one in listed] == [("open", "high")]


@pytest.mark.parametrize(
    "query", ["status=lost", "severity=9", "limit=0", "limit=201", "limit=x", "cursor=", "cursor=ab"]
)
async def test_a_query_that_makes_no_sense_is_refused(world: World, query: str) -> None:
    answer = await world.client("staff").get(f"/incidents?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_error")
    assert answer.json()["errors"][0]["field"] == query.split("=")[0]


async def test_a_cursor_that_was_altered_anywhere_is_refused(world: World) -> None:
    staff = world.client("staff")
    await world.incident()
    await world.incident()
    cursor = (await staff.get("/incidents?limit=1")).json()["next_cursor"]
    for position in range(0, len(cursor), 7):
        altered = cursor[:position] + ("A" if cursor[position] != "A" else "B") + cursor[position + 1 :]
        assert (await staff.get("/incidents", params={"cursor": altered})).status_code == 422, altered


async def test_a_superadmin_says_where_and_nobody_else_may(world: World) -> None:
    body = {"title": "It is down", "severity": "low"}
    here = str(world.tenants["here"])
    superadmin = world.client("superadmin")
    assert (await superadmin.post("/incidents", json=body)).json()["errors"][0]["field"] == "tenant_id"
    unknown = await superadmin.post("/incidents", json={**body, "tenant_id": str(uuid4())})
    assert unknown.status_code == 422
    assert (await superadmin.post("/incidents", json={**body, "tenant_id": here})).json()["tenant_id"] == here
    assert (await world.client("staff").post("/incidents", json={**body, "tenant_id": here})).status_code == 422
