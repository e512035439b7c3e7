from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from pytest_smartattend.reference.domain.incident import Kind, Status
from pytest_smartattend.reference.domain.ports import write_instant
from pytest_smartattend.reference.domain.timeline import GENESIS, Event

EVENT = Event(
    incident_id=UUID("00000000-0000-4000-8000-000000000001"),
    seq=1,
    actor="00000000-0000-4000-8000-00000000a22e",
    at=datetime(2026, 3, 2, 8, 0, tzinfo=UTC),
    kind=Kind.CREATED,
    source=None,
    target=Status.OPEN,
    payload={"title": "Ausfall im Gebäude 7 🔥", "severity": "high", "description": ""},
    prev=GENESIS,
)


def test_the_hash_is_that_of_the_row_as_the_api_shows_it() -> None:
    # JSON with sorted keys and no blanks is RFC 8785 for a row of strings, small integers and null
    shown = {
        "incident_id": "00000000-0000-4000-8000-000000000001",
        "seq": 1,
        "actor": "00000000-0000-4000-8000-00000000a22e",
        "at": "2026-03-02T08:00:00.000000Z",
        "kind": "created",
        "from": None,
        "to": "open",
        "payload": {"title": "Ausfall im Gebäude 7 🔥", "severity": "high", "description": ""},
        "prev": "0" * 64,
    }
    canonical = json.dumps(shown, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert EVENT.hash == hashlib.sha256(canonical).hexdigest()


@pytest.mark.parametrize(
    "changed",
    [
        replace(EVENT, incident_id=UUID(int=2)),
        replace(EVENT, seq=2),
        replace(EVENT, actor="system:sla-monitor"),
        replace(EVENT, at=EVENT.at + timedelta(microseconds=1)),
        replace(EVENT, kind=Kind.REOPENED),
        replace(EVENT, source=Status.OPEN),
        replace(EVENT, target=None),
        replace(EVENT, payload={**EVENT.payload, "severity": "low"}),
        replace(EVENT, prev="1" * 64),
    ],
)
def test_no_part_of_a_row_can_change_without_its_hash(changed: Event) -> None:
    assert changed.hash != EVENT.hash


def test_one_instant_has_one_spelling_in_every_zone() -> None:
    elsewhere = EVENT.at.astimezone(timezone(timedelta(hours=5, minutes=45)))
    assert write_instant(elsewhere) == "2026-03-02T08:00:00.000000Z"
    assert replace(EVENT, at=elsewhere).hash == EVENT.hash


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        write_instant(datetime(2026, 3, 2, 8, 0))  # noqa: DTZ001
