from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from typing import Any

import pytest

from pytest_smartattend.reference.domain.incident import Severity
from pytest_smartattend.reference.domain.lifecycle import Report
from pytest_smartattend.reference.store.spool_file import Spooled
from tests.contract.reference.shift import HANDOFF, SAID, Shift
from tests.contract.reference.test_reference_incidents import chained

pytestmark = pytest.mark.asyncio


async def test_every_open_incident_changes_its_owner_and_its_timeline_tells_it(shift: Shift) -> None:
    world = shift.world
    opened = [await world.incident(status) for status in ("open", "investigating", "resolved")]
    closed = await world.incident("resolved")
    await world.client().post(f"/incidents/{closed}/close", json={})
    foreign = await world.incident(tenant="there")
    before = shift.owners()
    world.clock.move(minutes=1)
    handoff = await shift.initiate(briefing_notes="The pool is small.")
    assert {item["id"] for item in handoff["incidents"]} == set(opened)
    assert (handoff["status"], handoff["briefing_notes"]) == ("pending", "The pool is small.")
    world.clock.move(minutes=1)
    answer = await shift.accept(handoff)
    assert answer.status_code == 200, answer.text
    accepted = answer.json()
    assert (accepted["status"], sorted(accepted["ended"]["moved"])) == ("accepted", sorted(opened))
    assert {item["owner_id"] for item in accepted["incidents"]} == {shift.id("incoming")}
    assert accepted["difference"] == {"opened": [], "closed": [], "changed": []}
    after = shift.owners()
    assert {one: after[one] for one in opened} == dict.fromkeys(opened, shift.id("incoming"))
    assert {one: after[one] for one in (closed, foreign)} == {one: before[one] for one in (closed, foreign)}
    for incident in opened:
        told = (await world.client().get(f"/incidents/{incident}/timeline")).json()
        events = told["events"]
        assert [event["hash"] for event in events] == chained(events, incident)
        assert told["head"] == {"seq": len(events), "hash": events[-1]["hash"]}
        payload = {"handoff_id": handoff["id"], "from": before[incident], "to": shift.id("incoming")}
        newest = events[-1]
        assert (newest["kind"], newest["from"], newest["to"], newest["payload"]) == ("handed_over", None, None, payload)
        assert newest["actor"] == shift.id("incoming")


async def test_what_happened_in_between_is_in_the_accepted_handoff(shift: Shift) -> None:
    world, admin = shift.world, shift.world.client()
    kept, moved, went = await world.incident(), await world.incident(severity="high"), await world.incident("resolved")
    handoff = await shift.initiate()
    world.clock.move(minutes=1)
    await admin.post(f"/incidents/{moved}/escalate", json={"level": "level_3"})
    await admin.post(f"/incidents/{went}/close", json={})
    opened, came_and_went = await world.incident(), await world.incident("resolved")
    await admin.post(f"/incidents/{came_and_went}/close", json={})
    briefing = (await shift.client("incoming").get(f"{HANDOFF}/{handoff['id']}/briefing")).json()
    accepted = (await shift.accept(handoff)).json()
    for told in (briefing, accepted):
        assert {item["id"] for item in told["incidents"]} == {kept, moved, opened}
        assert {item["id"] for item in told["difference"]["opened"]} == {opened, came_and_went}
        assert {item["id"] for item in told["difference"]["closed"]} == {went, came_and_went}
        (changed,) = told["difference"]["changed"]
        assert changed["incident"]["id"] == moved
        assert [step["level"] for step in changed["incident"]["escalations"]] == ["level_3"]
        assert changed["changes"] == [
            {"what": "status", "from": "open", "to": "escalated"},
            {"what": "escalation_level", "from": None, "to": "level_3"},
            {"what": "sla.acknowledge", "from": "on_track", "to": "met"},
        ]
    again = (await shift.client("outgoing").get(f"{HANDOFF}/{handoff['id']}/briefing")).json()
    assert again == {**accepted, "as_of": again["as_of"]}
    assert {owner for one, owner in shift.owners().items() if one in {kept, moved, opened}} == {shift.id("incoming")}


async def test_of_two_accepts_one_wins_and_the_other_is_told_and_recorded(shift: Shift) -> None:
    incident = await shift.world.incident()
    handoff = await shift.initiate()
    answers = await asyncio.gather(*(shift.accept(handoff) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    lost = next(answer.json() for answer in answers if answer.status_code == 409)
    assert (lost["code"], lost["current"]) == ("handoff_over", "accepted")
    told = (await shift.world.client().get(f"/incidents/{incident}/timeline")).json()
    assert [event["kind"] for event in told["events"]] == ["created", "handed_over"]
    refused = shift.world.rows("SELECT action, code, actor FROM handoff_refusals")
    assert refused == [{"action": "accept", "code": "handoff_over", "actor": shift.id("incoming")}] * 3


@pytest.mark.parametrize(
    ("who", "answered"),
    [
        ("outgoing", (403, "wrong_person")),
        ("third", (403, "wrong_person")),
        ("superadmin", (403, "wrong_person")),
        ("staff", (403, "forbidden")),
        ("foreign", (404, "not_found")),
    ],
)
@pytest.mark.parametrize("action", ["accept", "reject"])
async def test_only_the_named_person_ends_a_handoff(
    shift: Shift, action: str, who: str, answered: tuple[int, str]
) -> None:
    await shift.world.incident()
    handoff, before = await shift.initiate(), shift.owners()
    body = {"reason": "I am ill today."} if action == "reject" else {}
    answer = await shift.client(who).post(f"{HANDOFF}/{handoff['id']}/{action}", json=body)
    assert (answer.status_code, answer.json()["code"]) == answered
    assert shift.owners() == before
    recorded = shift.world.rows("SELECT actor FROM handoff_refusals")
    assert [row["actor"] for row in recorded] == ([shift.id(who)] if answered[1] == "wrong_person" else [])
    assert (await shift.accept(handoff)).status_code == 200


async def test_a_rejected_handoff_moves_nothing_and_keeps_its_reason(shift: Shift) -> None:
    await shift.world.incident()
    handoff, before = await shift.initiate(), shift.owners()
    incoming = shift.client("incoming")
    for reason in ("", "  ", "x" * 2001):
        refused = await incoming.post(f"{HANDOFF}/{handoff['id']}/reject", json={"reason": reason})
        assert (refused.status_code, refused.json()["code"]) == (422, "validation_error")
    rejected = await incoming.post(f"{HANDOFF}/{handoff['id']}/reject", json={"reason": "  I am ill.  "})
    assert rejected.status_code == 200, rejected.text
    assert (rejected.json()["status"], rejected.json()["ended"]["reason"]) == ("rejected", "I am ill.")
    assert (await shift.accept(handoff)).json()["current"] == "rejected"
    assert shift.owners() == before


async def test_a_handoff_can_be_accepted_until_the_very_instant_of_its_end(shift: Shift) -> None:
    await shift.world.incident()
    first, second = await shift.initiate(), await shift.initiate("outgoing", "third")
    assert (await shift.accept(first)).json()["current"] == "superseded"
    shift.world.clock.move(minutes=30)
    assert (await shift.accept(second, "third")).status_code == 200
    late = await shift.initiate("third", "incoming")
    shift.world.clock.move(minutes=30, microseconds=1)
    answer = await shift.accept(late)
    assert (answer.status_code, answer.json()["code"], answer.json()["current"]) == (409, "handoff_over", "expired")
    briefing = await shift.client("third").get(f"{HANDOFF}/{late['id']}/briefing")
    assert briefing.json()["status"] == "expired"
    await shift.initiate("third", "incoming")
    endings = shift.world.rows("SELECT status FROM handoff_endings ORDER BY at")
    assert [row["status"] for row in endings] == ["superseded", "accepted"]


async def test_critical_incidents_are_read_back(shift: Shift) -> None:
    world = shift.world
    critical, calmed = await world.incident(severity="critical"), await world.incident(severity="critical")
    await world.incident(severity="high")
    handoff = await shift.initiate()
    await world.client().patch(f"/incidents/{calmed}/severity", json={"severity": "low", "reason": "it calmed down"})
    later = await world.incident(severity="critical")
    before = shift.owners()
    incoming, url = shift.client("incoming"), f"{HANDOFF}/{handoff['id']}/accept"
    bodies: list[dict[str, Any]] = [
        {},
        {"read_back": [{"incident_id": critical, "said": " short   "}]},
        {"read_back": []},
    ]
    for body in bodies:
        refused = await incoming.post(url, json=body)
        assert (refused.status_code, refused.json()["code"]) == (422, "missing_fields")
        assert refused.json()["fields"] == [f"read_back.{critical}"]
    assert shift.owners() == before
    accepted = await incoming.post(url, json={"readBack": [{"incidentId": critical, "said": f"  {SAID} "}]})
    assert accepted.status_code == 200, accepted.text
    assert accepted.json()["ended"]["read_back"] == {critical: SAID}
    assert shift.owners()[later] == shift.id("incoming")


@pytest.mark.parametrize("to", ["outgoing", "staff", "superadmin", "foreign", "nobody"])
async def test_only_another_of_the_same_role_and_tenant_can_be_named(shift: Shift, to: str) -> None:
    to_user_id = str(uuid.uuid4()) if to == "nobody" else shift.id(to)
    answer = await shift.client("outgoing").post(f"{HANDOFF}/initiate", json={"to_user_id": to_user_id})
    absent = to in {"superadmin", "foreign", "nobody"}
    expected = (404, "not_found") if absent else (422, "validation_error")
    assert (answer.status_code, answer.json()["code"]) == expected
    assert shift.world.rows("SELECT 1 FROM handoffs") == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"to_user_id": "not-an-id"},
        {"to_user_id": None},
        {"to_user_id": "$TO", "toUserId": "$TO"},
        {"to_user_id": "$TO", "briefing_notes": "x" * 10_001},
        {"to_user_id": "$TO", "incidents": []},
        {"toUserId": "$TO", "briefing_notes": 7},
    ],
)
async def test_a_body_that_is_not_as_documented_is_refused(shift: Shift, body: dict[str, Any]) -> None:
    given = {name: shift.id("incoming") if value == "$TO" else value for name, value in body.items()}
    answer = await shift.client("outgoing").post(f"{HANDOFF}/initiate", json=given)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_error")


async def test_camel_case_is_accepted(shift: Shift) -> None:
    body = {"toUserId": shift.id("incoming"), "briefingNotes": "As the seeds wrote it."}
    answer = await shift.client("outgoing").post(f"{HANDOFF}/initiate", json=body)
    assert (answer.status_code, answer.json()["briefing_notes"]) == (201, "As the seeds wrote it.")


async def test_a_superadmin_hands_over_all_tenants(shift: Shift) -> None:
    here, there = await shift.world.incident(), await shift.world.incident(tenant="there")
    own = await shift.initiate()
    handoff = await shift.initiate("superadmin", "next superadmin")
    assert {item["id"] for item in handoff["incidents"]} == {here, there}
    assert handoff["tenant_id"] is None
    hidden = await shift.client("incoming").get(f"{HANDOFF}/{handoff['id']}/briefing")
    assert hidden.status_code == 404
    assert (await shift.accept(handoff, "next superadmin")).status_code == 200
    assert shift.owners() == dict.fromkeys([here, there], shift.id("next superadmin"))
    accepted = (
        await shift.accept(own)
    ).json()  # a tenant's own handoff goes on beside it, and tells of the other owner
    assert accepted["difference"]["changed"][0]["changes"] == [
        {"what": "owner_id", "from": shift.id("outgoing"), "to": shift.id("next superadmin")}
    ]


async def test_a_report_that_waited_elsewhere_during_a_handoff_follows_it(shift: Shift) -> None:
    world, desk = shift.world, shift.world.platform.desk
    tenant, staff = world.tenants["here"], shift.people["staff"].id
    made = [Spooled(uuid.uuid4(), tenant, Report("Away", "", Severity.LOW), staff, str(staff), world.clock.now())]
    world.clock.move(minutes=1)
    handoff = await shift.initiate()
    await shift.accept(handoff)
    world.clock.move(minutes=1)
    made.append(replace(made[0], incident_id=uuid.uuid4(), at=world.clock.now()))
    for entry in made * 2:
        await desk.bring_in(entry)
    owners = shift.owners()
    assert [owners[str(entry.incident_id)] for entry in made] == [shift.id("incoming"), str(staff)]
    told = (await world.client().get(f"/incidents/{made[0].incident_id}/timeline")).json()
    assert [event["kind"] for event in told["events"]] == ["created", "handed_over"]
    assert [event["hash"] for event in told["events"]] == chained(told["events"], told["incident_id"])
    everything = await shift.initiate("superadmin", "next superadmin")
    await shift.accept(everything, "next superadmin")
    late = replace(made[0], incident_id=uuid.uuid4(), tenant_id=world.tenants["there"])
    await desk.bring_in(late)
    assert shift.owners()[str(late.incident_id)] == shift.id("next superadmin")


@pytest.mark.parametrize("handoff", ["nothing", "00000000-0000-4000-8000-000000000000", "%00", "{}"])
async def test_what_is_no_handoff_is_not_found(shift: Shift, handoff: str) -> None:
    incoming = shift.client("incoming")
    for answer in (
        await incoming.get(f"{HANDOFF}/{handoff}/briefing"),
        await incoming.post(f"{HANDOFF}/{handoff}/accept", json={}),
        await incoming.post(f"{HANDOFF}/{handoff}/reject", json={"reason": "No."}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
