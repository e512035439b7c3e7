"""The tester's own reading of a timeline finds every way of tampering that SPEC 1 names."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_smartattend.engine import chain

INCIDENT = "5f6d4c1e-0000-4000-8000-000000000001"


def _timeline(length: int = 4) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    events: list[dict[str, Any]] = []
    prev = chain.ZERO
    for seq in range(1, length + 1):
        event: dict[str, Any] = {
            "seq": seq,
            "actor": "somebody",
            "at": f"2026-03-02T08:00:0{seq}.000000Z",
            "kind": "created" if seq == 1 else "acknowledged",
            "from": None,
            "to": "open",
            "payload": {"note": "ü", "n": seq},
            "prev": prev,
        }
        event["hash"] = prev = chain.event_hash(INCIDENT, event)
        events.append(event)
    return events, {"seq": length, "hash": prev}


def test_a_sound_timeline_has_no_faults() -> None:
    events, head = _timeline()
    assert chain.faults_of(INCIDENT, events, head) == []


def test_the_hash_is_the_one_of_the_specification() -> None:
    event = {
        "seq": 1,
        "actor": "a",
        "at": "t",
        "kind": "k",
        "from": None,
        "to": "open",
        "payload": {},
        "prev": chain.ZERO,
    }
    written_out = (
        '{"actor":"a","at":"t","from":null,"incident_id":"i","kind":"k","payload":{},"prev":"'
        + "0" * 64
        + '","seq":1,"to":"open"}'
    )
    import hashlib

    assert chain.event_hash("i", event) == hashlib.sha256(written_out.encode()).hexdigest()


@pytest.mark.parametrize("field", ["actor", "at", "kind", "from", "to", "payload"])
def test_a_changed_field_is_found(field: str) -> None:
    events, head = _timeline()
    events[1][field] = "changed"
    assert chain.faults_of(INCIDENT, events, head) == ["event 2 does not have the hash of its content"]


def test_a_removed_event_is_found() -> None:
    events, head = _timeline()
    del events[1]
    assert "event 2 carries seq 3" in chain.faults_of(INCIDENT, events, head)


def test_a_cut_tail_is_found_by_the_head() -> None:
    events, head = _timeline()
    assert chain.faults_of(INCIDENT, events[:-1], head) == [
        "the head says seq 4, the timeline ends at 3 or with another hash"
    ]


def test_a_timeline_rewritten_with_new_hashes_is_found_by_the_head() -> None:
    _, head = _timeline()
    other = chain.faults_of("another", *_rewritten("another", head))
    assert other == ["the head says seq 4, the timeline ends at 4 or with another hash"]


def _rewritten(incident_id: str, head: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    events, _ = _timeline()
    prev = chain.ZERO
    for event in events:
        event["prev"] = prev
        event["hash"] = prev = chain.event_hash(incident_id, event)
    return events, head


def test_reordered_events_are_found() -> None:
    events, head = _timeline()
    events[1], events[2] = events[2], events[1]
    assert chain.faults_of(INCIDENT, events, head)


def test_a_missing_head_is_found() -> None:
    events, _ = _timeline()
    assert chain.faults_of(INCIDENT, events, None) == ["no head is kept"]
