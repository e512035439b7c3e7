"""Whoever changes an exported incident on its way is found: by digest, chain, head or signature, each where it must."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from pytest_smartattend import (
    Evidence,
    Tenant,
    chain,
    contract,
    incident_in,
    incident_record,
    record_seal,
)

Document = dict[str, Any]


def _changed(document: Document) -> None:
    document["record"]["events"][2]["payload"] = {"note": "It was all well."}


def _removed(document: Document) -> None:
    del document["record"]["events"][2]


def _reordered(document: Document) -> None:
    events = document["record"]["events"]
    events[1], events[2] = events[2], events[1]


def _refusal_removed(document: Document) -> None:
    document["record"]["refusals"].pop()


def _tail_cut(document: Document) -> None:
    """As whole as can be: head and digest are computed anew; only what is kept elsewhere tells."""
    record = document["record"]
    record["events"].pop()
    record["head"] = record["source"]["head"] = _end(record)
    document.update(record_seal.sealed(document, b""))


def _forged(document: Document) -> None:
    """Another story from beginning to end, with a sound chain and a sound digest."""
    record, prev = document["record"], chain.ZERO
    record["events"][2]["payload"] = {"note": "It was all well."}
    for event in record["events"]:
        event["prev"] = prev
        prev = event["hash"] = chain.event_hash(record["incident"]["id"], event)
    record["head"] = record["source"]["head"] = _end(record)
    document.update(record_seal.sealed(document, b""))


def _unsigned(document: Document) -> None:
    del document["header"]["signature"]


def _other_header(document: Document) -> None:
    document["header"]["exported_by"] = "person-000000000000"


def _end(record: dict[str, Any]) -> dict[str, Any]:
    return {"seq": len(record["events"]), "hash": record["events"][-1]["hash"]}


#: name → what is done, and by what it is found
TAMPERINGS: dict[str, tuple[Callable[[Document], None], str]] = {
    "changed": (_changed, "alone"),
    "removed": (_removed, "alone"),
    "reordered": (_reordered, "alone"),
    "refusal-removed": (_refusal_removed, "alone"),
    "tail-cut": (_tail_cut, "head"),
    "digest-recomputed": (_forged, "key"),
    "signature-removed": (_unsigned, "key"),
    "header-changed": (_other_header, "key"),
}


@pytest.mark.replay("replays/tampering")
@pytest.mark.detects("export-seal-with-a-gap", "export-by-time")
@pytest.mark.parametrize("tampering", list(TAMPERINGS))
def test_a_document_that_was_tampered_with_is_found(
    _smartattend_export_key: bytes,
    _smartattend_discrete_tenants: Callable[..., Tenant],
    _smartattend_evidence: Evidence,
    tampering: str,
) -> None:
    admin, evidence, key = (
        _smartattend_discrete_tenants().admin,
        _smartattend_evidence,
        _smartattend_export_key,
    )
    incident_id = str(incident_in(admin, "mitigating")["id"])
    admin.act(incident_id, "severity", contract.BODIES["severity"]).must()
    admin.act(incident_id, "escalate", {"level": "executive"}).must()
    admin.act(incident_id, "close")
    document = incident_record.checked(admin.export(incident_id, verbatim=True).must())
    head = admin.part(incident_id, "timeline").must()["head"]
    evidence.expect("faults before", record_seal.faults_of(document, key=key, head=head), [])
    tampered = copy.deepcopy(document)
    tamper, found_by = TAMPERINGS[tampering]
    tamper(tampered)
    alone = record_seal.faults_of(tampered)
    evidence.expect("found without head and key", bool(alone), found_by == "alone")
    means: dict[str, Any] = {"head": {"head": head}, "key": {"key": key}}.get(found_by, {})
    found = record_seal.faults_of(tampered, **means)
    evidence.invariant("the tampering is found", bool(found), "; ".join(found) or "it looks sound")
