"""Whether an exported incident can be trusted: digest, signature, chain, head. Needs no database."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pytest_smartattend.engine import chain
from pytest_smartattend.engine.incident_record import Document, canonical

#: environment variable with the key that the platform signs with
KEY_VARIABLE = "SMARTATTEND_EXPORT_KEY"
_HEAD = ("seq", "hash")


def digest_of(document: Document) -> str:
    """The digest that `document` must carry: SHA-256, lower-case hexadecimal."""
    return hashlib.sha256(
        canonical({name: document[name] for name in ("format", "schema_version", "record")})
    ).hexdigest()


def signature_of(document: Document, key: bytes) -> str:
    """The signature that `document` must carry: HMAC-SHA-256, lower-case hexadecimal."""
    header = {name: value for name, value in document["header"].items() if name != "signature"}
    return hmac.digest(key, canonical({**document, "header": header}), "sha256").hex()


def sealed(document: Document, key: bytes) -> Document:
    """The document with digest and signature computed anew: what a platform does, and a forger who has the key."""
    found = {**document, "digest": digest_of(document)}
    found["header"] = {name: value for name, value in document["header"].items() if name != "signature"}
    if key:
        found["header"]["signature"] = signature_of(found, key)
    return found


def faults_of(document: Document, *, key: bytes = b"", head: Mapping[str, Any] | None = None) -> list[str]:
    """Everything that is wrong with a document that is to the schema, in words; empty for a sound one.

    Args:
        document: as `incident_record.read` gives it.
        key: the platform's; empty where it is not at hand. Where it is, an unsigned document is wrong.
        head: ``{"seq": …, "hash": …}`` of the incident's stored timeline, as it was kept outside the document.
    """
    record = document["record"]
    return [
        *_faults_of_seal(document, key),
        *chain.faults_of(record["incident"]["id"], record["events"], record["head"], canonical),
        *_faults_of_head(record, head),
        *(f"the platform found in its own store: {fault}" for fault in record["source"]["faults"]),
        *_faults_of_times(record),
        *_faults_of_people(record),
    ]


def _faults_of_seal(document: Document, key: bytes) -> list[str]:
    found = []
    if not hmac.compare_digest(document["digest"], digest_of(document)):
        found.append("its content was changed after it was sealed: the digest is that of another record")
    signature = document["header"].get("signature")
    if key and signature is None:
        found.append(f"{KEY_VARIABLE} is set and the document carries no signature")
    elif key and not hmac.compare_digest(signature, signature_of(document, key)):
        found.append("its signature was made with another key, or for another content")
    return found


def _faults_of_head(record: Mapping[str, Any], kept: Mapping[str, Any] | None) -> list[str]:
    source, found = record["source"]["head"], []
    if source is None:
        found.append("the platform kept no head of this incident")
    elif source["seq"] != len(record["events"]):
        found.append(f"the stored timeline had {source['seq']} events, the document has {len(record['events'])}")
    elif not record["pseudonymised"] and source != record["head"]:
        found.append("the stored timeline ended with another event")
    if kept is not None and (source is None or [source[name] for name in _HEAD] != [kept[name] for name in _HEAD]):
        found.append(f"the head that was kept outside is that of {kept['seq']} events, and another timeline")
    return found


def _faults_of_times(record: Mapping[str, Any]) -> list[str]:
    """Each interval beside the two instants that it lies between."""
    created = datetime.fromisoformat(record["incident"]["created_at"])
    rows = [(f"event {one['seq']}", one) for one in record["events"]]
    rows += [(f"refusal {number}", one) for number, one in enumerate(record["refusals"], start=1)]
    return [
        f"{name} is told to be {row['after_us']} µs after the creation, and is not by its time"
        for name, row in rows
        if datetime.fromisoformat(row["at"]) - created != timedelta(microseconds=row["after_us"])
    ]


def _faults_of_people(record: Mapping[str, Any]) -> list[str]:
    known = {one["id"] for one in record["people"]}
    acted = {one["actor"] for one in (*record["events"], *record["refusals"])}
    strangers = sorted(actor for actor in acted - known if not actor.startswith("system:"))
    return [f"{actor} acted, and the document does not say who that is" for actor in strangers]
