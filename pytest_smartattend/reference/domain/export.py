"""An incident as a document that stands by itself: everything that happened, who did it, and what proves it.

``record`` is the incident, ``digest`` the SHA-256 of it; ``header`` tells of the export itself and is the only part that
differs when the same incident is exported twice.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pytest_smartattend.reference.domain.actors import User, is_person
from pytest_smartattend.reference.domain.canonical import canonical
from pytest_smartattend.reference.domain.incident import Incident, Mark
from pytest_smartattend.reference.domain.ports import write_instant
from pytest_smartattend.reference.domain.pseudonyms import Pseudonyms
from pytest_smartattend.reference.domain.sla import Promise, SlaRules
from pytest_smartattend.reference.domain.timeline import GENESIS, Position

FORMAT = "smartattend-incident"
SCHEMA_VERSION = "1.0"
_HASHED = ("seq", "actor", "at", "kind", "from", "to", "payload")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Material:
    """What the stores hold of one incident, all of it from one moment. Rows are as the database has them."""

    incident: Incident
    events: Sequence[Row]
    escalations: Sequence[Row]
    root_causes: Sequence[Row]
    refusals: Sequence[Row]
    head: Position | None


class Exporter:
    """Makes documents. Pure: the same material gives the same record.

    Args:
        sla: tells the windows' ends.
        pseudonyms: replaces persons and texts where that was not waived.
        key: signs the documents; empty for none.
    """

    def __init__(self, sla: SlaRules, pseudonyms: Pseudonyms, key: bytes) -> None:
        self.sla = sla
        self.pseudonyms = pseudonyms
        self._key = key

    def document(
        self, material: Material, people: Mapping[UUID, User], header: Mapping[str, Any], *, verbatim: bool
    ) -> dict[str, Any]:
        """The document.

        Args:
            material: the incident.
            people: who is known of those who acted.
            header: of this export.
            verbatim: leave names and texts as they are.
        """
        record = self.record(material, people)
        if not verbatim:
            record = self.pseudonymised(record)
        told = (
            dict(header) if verbatim else dict(header) | {"exported_by": self.pseudonyms.person(header["exported_by"])}
        )
        content = {"format": FORMAT, "schema_version": SCHEMA_VERSION, "record": record}
        document = {**content, "digest": self.digest(content), "header": told}
        if self._key:
            told["signature"] = hmac.digest(self._key, canonical(document), "sha256").hex()
        return document

    def digest(self, document: Mapping[str, Any]) -> str:
        """SHA-256 over format, schema version and record, lower-case hexadecimal."""
        return hashlib.sha256(canonical(document)).hexdigest()

    def record(self, material: Material, people: Mapping[UUID, User]) -> dict[str, Any]:
        """The record, with everything verbatim."""
        incident = material.incident
        events = self.events(material)
        refusals = self.refusals(material)
        acted = [row["actor"] for row in (*events, *refusals)]
        owners = [row["payload"][end] for row in events if row["kind"] == "handed_over" for end in ("from", "to")]
        named = dict.fromkeys([*acted, *owners, str(incident.created_by), str(incident.owner_id)])
        head = {"seq": material.head.seq, "hash": material.head.hash} if material.head else None
        return {
            "pseudonymised": False,
            "incident": self.incident(incident),
            "people": [self.person(actor, people) for actor in named if is_person(actor)],
            "events": events,
            "escalations": [_shown(row, "severity", "level", "note") for row in material.escalations],
            "root_causes": [_shown(row, "root_cause", "confidence") for row in material.root_causes],
            "refusals": refusals,
            "sla": {promise.value: self.window(incident, promise) for promise in Promise},
            "head": head,
            "source": {"head": head, "faults": self.faults(str(incident.id), events, head)},
        }

    def incident(self, incident: Incident) -> dict[str, Any]:
        """The incident as it stands."""
        texts = incident.resolution
        return {
            "id": str(incident.id),
            "tenant_id": str(incident.tenant_id),
            "title": incident.title,
            "description": incident.description,
            "severity": incident.severity.value,
            "status": incident.status.value,
            "escalation_level": incident.escalation_level.value if incident.escalation_level else None,
            "owner_id": str(incident.owner_id),
            "created_by": str(incident.created_by),
            "created_at": write_instant(incident.created_at),
            "updated_at": write_instant(incident.updated_at),
            "resolution": {name: getattr(texts, name) for name in texts.__slots__} if texts else None,
        }

    def person(self, actor: str, people: Mapping[UUID, User]) -> dict[str, Any]:
        """Who acted, and as what; the role is null for an account that is gone."""
        user = people.get(UUID(actor))
        return {"id": actor, "role": user.role.value if user else None, "name": user.name if user else None}

    def events(self, material: Material) -> list[dict[str, Any]]:
        """The timeline by number, each with its time since creation."""
        created = material.incident.created_at
        return [
            {
                **{name: row[name] for name in ("seq", "actor", "kind", "from", "to", "prev", "hash")},
                "payload": dict(row["payload"]),
                "at": write_instant(row["at"]),
                "after_us": self.after(created, row["at"]),
            }
            for row in material.events
        ]

    def refusals(self, material: Material) -> list[dict[str, Any]]:
        """What was refused: what was asked, after which event, and why not."""
        created = material.incident.created_at
        return [
            _shown(row, "action", "code", "detail", "asked", "after_seq") | {"after_us": self.after(created, row["at"])}
            for row in material.refusals
        ]

    def after(self, created: datetime, at: datetime) -> int:
        """Microseconds from the creation to `at`."""
        return (at - created) // timedelta(microseconds=1)

    def window(self, incident: Incident, promise: Promise) -> dict[str, Any]:
        """What became of a promise, as far as it is known; the same whenever it is asked."""
        mark: Mark = incident.acknowledge if promise is Promise.ACKNOWLEDGE else incident.resolve
        outcome = "breached" if mark.breached_at else "met" if mark.answered_at else "running"
        due = {"outcome": outcome, "due_at": write_instant(self.sla.due(incident, promise))}
        marks = {"answered_at": mark.answered_at, "breached_at": mark.breached_at}
        return {**due, **{name: None if at is None else write_instant(at) for name, at in marks.items()}}

    def faults(self, incident_id: str, events: Sequence[Row], head: Row | None) -> list[str]:
        """What is wrong with the chain as it is stored; empty for a sound one."""
        found, prev = [], GENESIS
        for number, event in enumerate(events, start=1):
            if event["seq"] != number or event["prev"] != prev or event["hash"] != hash_of(incident_id, event, prev):
                found.append(f"event {number} does not follow from the one before, or was changed")
            prev = event["hash"]
        if head is None or (head["seq"], head["hash"]) != (len(events), prev):
            found.append("the timeline does not end where its head says")
        return found

    def pseudonymised(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The record with persons and texts replaced, and a chain over what is left; ``source`` keeps the real head."""
        names = self.pseudonyms
        incident_id = record["incident"]["id"]
        events, prev = [], GENESIS
        for event in record["events"]:
            seen = event | {
                "actor": names.person(event["actor"]),
                "payload": names.said(event["payload"]),
                "prev": prev,
            }
            prev = seen["hash"] = hash_of(incident_id, seen, prev)
            events.append(seen)
        incident = record["incident"]
        kept = {name: incident[name] for name in ("id", "status", "escalation_level", "created_at", "updated_at")}
        return {
            **record,
            "pseudonymised": True,
            "incident": names.said(incident) | kept | {"tenant_id": names.tenant(incident["tenant_id"])},
            "people": [one | {"id": names.person(one["id"]), "name": None} for one in record["people"]],
            "events": events,
            **{part: [self._about(one) for one in record[part]] for part in ("escalations", "root_causes", "refusals")},
            "head": {"seq": len(events), "hash": prev},
        }

    def _about(self, row: Row) -> dict[str, Any]:
        return self.pseudonyms.said(row) | {name: row[name] for name in ("id", "at")}


def hash_of(incident_id: str, event: Row, prev: str) -> str:
    """The hash of a row of the timeline behind the row whose hash is `prev` (SPEC 1)."""
    content = {"incident_id": incident_id, "prev": prev, **{name: event[name] for name in _HASHED}}
    return hashlib.sha256(canonical(content)).hexdigest()


def _shown(row: Row, *names: str) -> dict[str, Any]:
    """A record beside the timeline."""
    return {"id": str(row["id"]), "actor": row["actor"], "at": write_instant(row["at"])} | {
        name: row[name] for name in names
    }
