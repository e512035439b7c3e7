"""The hash chain of an incident's timeline, computed by the tester, not by the platform.

``hash = sha256(JCS({incident_id, seq, actor, at, kind, from, to, payload, prev}))`` with JCS as in RFC 8785; the first
``prev`` is 64 zeros.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import rfc8785

ZERO = "0" * 64
Canonical = Callable[[Any], bytes]
_FIELDS = ("seq", "actor", "at", "kind", "from", "to", "payload", "prev")


def event_hash(incident_id: str, event: Mapping[str, Any], canonical: Canonical = rfc8785.dumps) -> str:
    """The hash that `event` must carry; `event` has the fields of the API's timeline.

    `canonical` may be a faster way to the same bytes, where what may come is known.
    """
    content = {"incident_id": incident_id, **{name: event[name] for name in _FIELDS}}
    return hashlib.sha256(canonical(content)).hexdigest()


def faults_of(
    incident_id: str,
    events: Sequence[Mapping[str, Any]],
    head: Mapping[str, Any] | None,
    canonical: Canonical = rfc8785.dumps,
) -> list[str]:
    """Everything that is wrong with a timeline, in plain words; empty for a sound one.

    Args:
        incident_id: the incident's id, which the hashes contain.
        events: the timeline in the order in which the platform gave it.
        head: ``{"seq": …, "hash": …}`` as kept apart from the timeline; None where there is none.
        canonical: as for `event_hash`.
    """
    found: list[str] = []
    prev = ZERO
    for expected_seq, event in enumerate(events, start=1):
        seq = event["seq"]
        if seq != expected_seq:
            found.append(f"event {expected_seq} carries seq {seq}")
        if event["prev"] != prev:
            found.append(f"event {seq} is not bound to the one before it")
        if event["hash"] != event_hash(incident_id, event, canonical):
            found.append(f"event {seq} does not have the hash of its content")
        prev = event["hash"]
    if head is None:
        found.append("no head is kept")
    elif (head["seq"], head["hash"]) != (len(events), prev):
        found.append(f"the head says seq {head['seq']}, the timeline ends at {len(events)} or with another hash")
    return found
