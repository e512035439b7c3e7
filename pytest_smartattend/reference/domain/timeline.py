"""A row of the timeline, and the hash that binds it to the row before."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pytest_smartattend.reference.domain.canonical import canonical
from pytest_smartattend.reference.domain.incident import Kind, Status
from pytest_smartattend.reference.domain.ports import write_instant

#: what the first row of an incident names as the row before it
GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class Position:
    """The end of an incident's timeline: the newest row's number and hash. Number 0 before the first row."""

    seq: int = 0
    hash: str = GENESIS


@dataclass(frozen=True, slots=True)
class Event:
    """One row. `source` and `target` are the statuses called ``from`` and ``to`` elsewhere; None if none changed."""

    incident_id: UUID
    seq: int
    actor: str
    at: datetime
    kind: Kind
    source: Status | None
    target: Status | None
    payload: Mapping[str, Any]
    prev: str

    @property
    def hash(self) -> str:
        """SHA-256 over the row's canonical JSON (RFC 8785), lower-case hexadecimal, 64 characters (SPEC 1)."""
        return hash_of(self.content())

    def content(self) -> dict[str, Any]:
        """What is hashed: the row as the API shows it, without the hash."""
        return {
            "incident_id": str(self.incident_id),
            "seq": self.seq,
            "actor": self.actor,
            "at": write_instant(self.at),
            "kind": self.kind.value,
            "from": self.source.value if self.source else None,
            "to": self.target.value if self.target else None,
            "payload": dict(self.payload),
            "prev": self.prev,
        }


def hash_of(content: Mapping[str, Any]) -> str:
    """The hash of the row with this `Event.content`."""
    return hashlib.sha256(canonical(content)).hexdigest()
