"""An incident leaves the platform whole, the same each time, without names, and it is kept who took it."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_smartattend.engine import chain
from pytest_smartattend.reference.domain.actors import Role, User
from pytest_smartattend.reference.store.seed import Account, seed
from tests.contract.reference.test_reference_database import filled

if TYPE_CHECKING:
    from tests.contract.reference.conftest import World

pytestmark = pytest.mark.asyncio


async def exported(world: World, incident: str, **body: Any) -> dict[str, Any]:
    answer = await world.client().post(f"/validation/incidents/{incident}/export", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert answer.content == json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return found


async def test_a_verbatim_export_holds_what_the_api_shows(world: World) -> None:
    incident, admin = await filled(world), world.client()
    record = (await exported(world, incident, verbatim=True))["record"]
    timeline = (await admin.get(f"/incidents/{incident}/timeline")).json()
    assert [{k: v for k, v in event.items() if k != "after_us"} for event in record["events"]] == timeline["events"]
    assert record["head"] == timeline["head"] == record["source"]["head"]
    for part in ("escalations", "root-causes", "refusals"):
        shown = (await admin.get(f"/incidents/{incident}/{part}")).json()["items"]
        assert shown
        assert [{k: v for k, v in one.items() if k != "after_us"} for one in record[part.replace("-", "_")]] == shown
    shown = (await admin.get(f"/incidents/{incident}")).json()
    assert record["incident"] == {name: value for name, value in shown.items() if name != "sla"}
    assert record["refusals"][0]["after_seq"] == 5
    assert [(one["role"], one["name"]) for one in record["people"]] == [("admin", "The admin")]


async def test_the_same_incident_twice_gives_the_same_but_for_the_header(world: World) -> None:
    incident = await filled(world)
    first = await exported(world, incident)
    world.clock.move(hours=100)
    second = await exported(world, incident)
    assert first["header"] != second["header"]
    assert {**first, "header": 0} == {**second, "header": 0}


async def test_names_and_texts_stay_behind_unless_asked_for_and_the_chain_holds_over_what_is_left(world: World) -> None:
    incident = await filled(world)
    secret = ["It is down", "the disk is full", "The admin", "@here.test", str(world.tenants["here"])]
    secret += [str(user.id) for user in world.people.values()]
    document = await exported(world, incident)
    text = json.dumps(document)
    assert [word for word in secret if word in text] == []
    record = document["record"]
    assert chain.faults_of(incident, record["events"], record["head"]) == []
    assert len({event["actor"] for event in record["events"]}) == 1
    assert record["people"] == [{"id": record["events"][0]["actor"], "role": "admin", "name": None}]
    assert record["incident"]["title"] == record["events"][0]["payload"]["title"]
    assert len(record["root_causes"][0]["root_cause"]) >= 10
    other = (await exported(world, await filled(world)))["record"]
    assert other["people"] == record["people"]
    verbatim = json.dumps(await exported(world, incident, verbatim=True))
    assert all(word in verbatim for word in secret[:3])


async def test_it_is_kept_who_exported_what(world: World) -> None:
    incident = await world.incident()
    documents = [await exported(world, incident), await exported(world, incident, verbatim=True)]
    rows = world.rows("SELECT * FROM exports ORDER BY position")
    assert [str(row["id"]) for row in rows] == [one["header"]["export_id"] for one in documents]
    assert [row["digest"] for row in rows] == [one["digest"] for one in documents]
    assert [row["verbatim"] for row in rows] == [False, True]
    assert {row["actor"] for row in rows} == {str(world.people["here", "admin"].id)}  # type: ignore[index]
    assert {str(row["incident_id"]) for row in rows} == {incident}


async def test_what_cannot_be_kept_is_not_given(world: World) -> None:
    incident = await filled(world)
    with world.sql() as connection:
        connection.execute("REVOKE INSERT ON exports FROM smartattend_app")
    answer = await world.client().post(f"/validation/incidents/{incident}/export")
    assert answer.status_code == 500
    assert incident not in answer.text


async def test_pages_hold_each_incident_once_oldest_first(world: World) -> None:
    wanted = []
    for severity in ("low", "high", "low", "low"):
        wanted.append(await world.incident(severity=severity))
        world.clock.move(minutes=1)
    await world.incident(tenant="there")
    admin, seen, cursor = world.client(), [], None
    while True:
        page = (
            await admin.post("/validation/incidents/export", json={"severity": "low", "limit": 2, "cursor": cursor})
        ).json()
        seen.append([item["record"]["incident"]["id"] for item in page["items"]])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [[wanted[0], wanted[2]], [wanted[3]]]
    second = (await admin.get(f"/incidents/{wanted[1]}")).json()["created_at"]
    third = (await admin.get(f"/incidents/{wanted[2]}")).json()["created_at"]
    for body, expected in (
        ({"since": second, "until": third}, [wanted[1]]),
        ({"status": "closed"}, []),
        ({"since": third}, wanted[2:]),
    ):
        page = (await admin.post("/validation/incidents/export", json=body)).json()
        assert [item["record"]["incident"]["id"] for item in page["items"]] == expected


async def test_a_superadmin_exports_all_and_is_known_by_role_where_they_acted(world: World) -> None:
    incident = await world.incident()
    await world.incident(tenant="there")
    everything = (await world.client("superadmin").post("/validation/incidents/export")).json()["items"]
    assert len(everything) == 2
    await world.client("superadmin").post(f"/incidents/{incident}/acknowledge")
    people = (await exported(world, incident))["record"]["people"]
    assert [one["role"] for one in people] == ["admin", "superadmin"]


async def test_who_has_gone_is_still_somebody_without_a_role(world: World) -> None:
    incident = await filled(world)
    before = (await exported(world, incident))["record"]
    admin = world.client()
    with world.sql() as connection:
        connection.execute("DELETE FROM users WHERE id = %s", [world.people["here", "admin"].id])  # type: ignore[index]
    answer = await world.client("superadmin").post(f"/validation/incidents/{incident}/export")
    assert answer.json()["record"]["people"] == [{**before["people"][0], "role": None}]
    assert (await admin.post(f"/validation/incidents/{incident}/export")).status_code == 401


async def test_a_chain_that_was_tampered_with_is_told_in_every_export(world: World) -> None:
    incident = await filled(world)
    assert (await exported(world, incident))["record"]["source"]["faults"] == []
    with world.sql() as connection:
        connection.execute("ALTER TABLE timeline DISABLE TRIGGER USER")
        connection.execute("DELETE FROM timeline WHERE seq = 5")
    for body in ({}, {"verbatim": True}):
        faults = (await exported(world, incident, **body))["record"]["source"]["faults"]
        assert faults == ["the timeline does not end where its head says"]
    with world.sql() as connection:
        connection.execute('UPDATE timeline SET payload = \'{"note": "x"}\' WHERE seq = 3')
    faults = (await exported(world, incident))["record"]["source"]["faults"]
    assert faults[0] == "event 3 does not follow from the one before, or was changed"


async def test_a_signature_covers_header_and_record_and_needs_the_key(world: World) -> None:
    incident = await filled(world)
    assert "signature" not in (await exported(world, incident))["header"]
    app = world.start(replace(world.settings, export_key=b"k" * 32))
    answers = [(await world.client(app=app).post(f"/validation/incidents/{incident}/export")).json() for _ in range(2)]
    signatures = {answer["header"]["signature"] for answer in answers}
    assert len(signatures) == 2
    assert all(len(one) == 64 for one in signatures)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 201}, "limit"),
        ({"cursor": "x"}, "cursor"),
        ({"since": "2026-01-01T00:00:00"}, "since"),
        ({"status": "lost"}, "status"),
        ({"everything": True}, "everything"),
    ],
)
async def test_what_is_not_documented_is_refused(world: World, body: dict[str, Any], field: str) -> None:
    answer = await world.client().post("/validation/incidents/export", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


async def test_whoever_handed_an_incident_over_is_named_like_whoever_took_it(world: World) -> None:
    incident, admin = await world.incident(), world.client()
    second = User(uuid.uuid4(), world.tenants["here"], Role.ADMIN, "second@here.test", "The second admin")
    seed(world.database.dsn, accounts=[Account(second)], at=world.clock.now())
    world.people["second", Role.ADMIN] = second
    asked = {"to_user_id": str(second.id), "briefing_notes": "All is quiet."}
    handoff = (await admin.post("/validation/handoff/initiate", json=asked)).json()["id"]
    taken = await world.client("admin", "second").post(f"/validation/handoff/{handoff}/accept", json={})
    assert taken.status_code == 200, taken.text
    record = (await exported(world, incident))["record"]
    event = record["events"][-1]
    assert event["payload"] == {"handoff_id": handoff, "from": record["people"][0]["id"], "to": event["actor"]}
    assert [one["role"] for one in record["people"]] == ["admin", "admin"]
    assert record["incident"]["owner_id"] == event["actor"]
