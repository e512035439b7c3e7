"""Whatever people do to an incident, and whenever: its export is sound, its replay equal, and no change goes unseen.

``SMARTATTEND_EXAMPLES`` sets how many histories are tried on the real platform: 15 by default, always the same,
a second or so each.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_smartattend.engine import incident_record, record_seal
from pytest_smartattend.engine.incident_record import Document
from pytest_smartattend.loop.clock import LoopClock
from pytest_smartattend.postgres.server import Server
from pytest_smartattend.target.contract import LEVELS, RESOLUTION, SEVERITIES
from pytest_smartattend.target.in_process import InProcessPlatform
from pytest_smartattend.target.reference_schema import ReferenceSchema
from pytest_smartattend.trials.replay import Replay

EXAMPLES = int(os.environ.get("SMARTATTEND_EXAMPLES", "15"))
MICROSECOND = timedelta(microseconds=1)

texts = st.sampled_from(["", "  ", "short", "long enough to say something", "größer als zehn ☃ 'x\" \\ \u202e"])
bodies: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "acknowledge": st.fixed_dictionaries({}, optional={"note": texts}),
    "escalate": st.fixed_dictionaries({"level": st.sampled_from(LEVELS)}, optional={"note": texts}),
    "investigate": st.just({}),
    "mitigate": st.just({}),
    "resolve": st.fixed_dictionaries({}, optional=dict.fromkeys(RESOLUTION, texts)) | st.just(dict(RESOLUTION)),
    "close": st.just({}),
    "reopen": st.just({}),
    "root-cause": st.fixed_dictionaries({"root_cause": texts, "confidence": st.sampled_from(["low", "high"])}),
    "severity": st.fixed_dictionaries({"severity": st.sampled_from(SEVERITIES), "reason": st.just("Seen anew.")}),
}
#: also the very instants at which windows are at risk or end
waits = st.sampled_from([0, 1, 12 * 60 * 10**6, 15 * 60 * 10**6, 192 * 60 * 10**6]) | st.integers(0, 9 * 3600 * 10**6)
deeds = st.sampled_from(list(bodies)).flatmap(
    lambda action: st.tuples(waits, st.sampled_from(["admin", "next", "superadmin"]), st.just(action), bodies[action])
)
#: a course that leads somewhere, with whatever comes in between
courses = st.lists(deeds, max_size=6).flatmap(
    lambda between: st.lists(st.booleans(), min_size=5, max_size=5).map(
        lambda wanted: [
            *[
                (60 * 10**6, "admin", action, dict(RESOLUTION) if action == "resolve" else {})
                for action, take in zip(
                    ["acknowledge", "investigate", "mitigate", "resolve", "close"], wanted, strict=True
                )
                if take
            ],
            *between,
        ]
    )
)


@pytest.fixture(scope="module")
def platform(postgres: Server) -> Iterator[InProcessPlatform]:
    database = postgres.pool(ReferenceSchema()).take()
    with closing(InProcessPlatform(database, LoopClock())) as running:
        yield running


def live(platform: InProcessPlatform, severity: str, course: list[Any], *, verbatim: bool) -> Document:
    tenant = platform.seed("school", lambda _: None)
    people = {"admin": tenant.admin, "next": tenant.successor_of("admin"), "superadmin": tenant.superadmin}
    incident = tenant.staff.report("It is down", severity, description="All of it.").must()
    at = datetime.fromisoformat(incident["created_at"])
    for wait, who, action, body in course:
        at += wait * MICROSECOND
        platform.sleep_until(at)
        people[who].act(incident["id"], action, body)
    found = incident_record.checked(tenant.admin.export(incident["id"], verbatim=verbatim).must())
    return incident_record.read(incident_record.canonical(found))


def tampered(document: Document, data: st.DataObject) -> Document:
    changed = copy.deepcopy(document)
    record = changed["record"]
    number = data.draw(st.integers(0, len(record["events"]) - 1))
    match data.draw(st.sampled_from(["payload", "remove", "double", "cut", "actor", "after", "role", "refusal"])):
        case "payload":
            record["events"][number]["payload"]["note"] = "forged"
        case "remove" if len(record["events"]) > 1:
            del record["events"][number]
        case "double":
            record["events"].insert(number, record["events"][number])
        case "cut" if len(record["events"]) > 1:
            record["events"].pop()
        case "actor":
            record["events"][number]["actor"] = "person-of-nowhere"
        case "after":
            record["events"][number]["after_us"] += 1
        case "role":
            record["people"][0]["role"] = "member"
        case _:
            record["refusals"].append({**record["escalations"][0]} if record["escalations"] else {"after_us": 0})
            return changed | {"digest": "0" * 64, "record": document["record"]}
    return changed


def retold(document: Document, data: st.DataObject) -> Document:
    """Another story, whose file is sound: only driving it again can tell."""
    changed = copy.deepcopy(document)
    record = changed["record"]
    incident, window = record["incident"], record["sla"]["resolve"]
    match data.draw(st.sampled_from(["status", "severity", "outcome", "owner", "due"])):
        case "status":
            incident["status"] = "closed" if incident["status"] != "closed" else "resolved"
        case "severity":
            incident["severity"] = "low" if incident["severity"] != "low" else "high"
        case "outcome":
            window["outcome"] = "met" if window["outcome"] != "met" else "breached"
        case "owner":
            incident["owner_id"] = "person-of-nowhere"
            record["people"].append({"id": "person-of-nowhere", "role": "admin", "name": None})
        case _:
            due = datetime.fromisoformat(window["due_at"]) + MICROSECOND
            window["due_at"] = due.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return record_seal.sealed(changed, b"")


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="SMARTATTEND_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
@given(severity=st.sampled_from(SEVERITIES), course=courses, verbatim=st.booleans(), data=st.data())
def test_any_history_is_exported_whole_and_driven_again_and_no_change_of_it_goes_unseen(
    platform: InProcessPlatform, severity: str, course: list[Any], verbatim: bool, data: st.DataObject
) -> None:
    document = live(platform, severity, course, verbatim=verbatim)
    assert record_seal.faults_of(document, key=platform.export_key) == []
    assert record_seal.faults_of(tampered(document, data)) != []
    report = Replay(platform).of(document, "x", exact=True)
    assert report.lines()[0] == "x: equal", report.lines()
    other = retold(document, data)
    assert record_seal.faults_of(other) == []
    assert Replay(platform).of(other, "x", exact=True).verdict != "equal"
