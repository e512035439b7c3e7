"""Findings and recommendations, worked out from a document's evidence and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_smartattend.readiness.causes import causes, lines
from pytest_smartattend.readiness.reasons import CODES, Reason
from pytest_smartattend.readiness.verdict import all_checks
from pytest_smartattend.readiness.wording import many

Document = Mapping[str, Any]


def findings(document: Document, reasons: Sequence[Reason]) -> dict[str, list[str]]:
    """What speaks for the platform, what was not shown, and what may yet go wrong."""
    return {
        "strengths": list(_strengths(document)),
        "gaps": [text for reason in reasons if reason.status == "incomplete" for text in _gap(document, reason)]
        + list(_gaps(document)),
        "risk_factors": [reason.text() for reason in reasons if reason.status != "incomplete"]
        + list(_risk_factors(document)),
    }


def _strengths(document: Document) -> Iterator[str]:
    for group in document["groups"]:
        votes = group["consensus"]
        if group["status"] == "ready" and votes["required"]:
            yield f"{group['name']}: {many(votes['required'], 'required check')} passed and left evidence"
    met = [one for one in document["objectives"] if one["status"] == "met"]
    if met:
        yield f"{len(met)} of {len(document['objectives'])} objectives met with room to spare"
    invariants = sum(check["counts"]["invariants"] for check in all_checks(document))
    if invariants and not any(check["counts"]["invariants_broken"] for check in all_checks(document)):
        yield f"{invariants} invariants held"


def _gap(document: Document, reason: Reason) -> list[str]:
    """What was not shown, and for which causes."""
    return [reason.text(), *(f"{reason.code}: {one}" for one in lines(causes(document, reason.entry())))]


def _gaps(document: Document) -> Iterator[str]:
    unproven = unproven_checks(document)
    if unproven:
        yield f"{many(len(unproven), 'check')} not yet seen to fail on a planted defect"
    if document["subject"]["dirty"]:
        yield "the checkout had changes that are in no commit, so this run cannot be repeated from its commit"


def _risk_factors(document: Document) -> Iterator[str]:
    for check in all_checks(document):
        if not check["required"] and check["status"] in {"failed", "error", "crashed", "vanished"}:
            yield f"{check['id']} is not required, and {check['status']}"


def unproven_checks(document: Document) -> list[str]:
    """Ids of checks that passed and that no proof run has seen to fail."""
    proof = document["proof"] or {}
    proven = {entry["id"] for entry in proof.get("checks", []) if entry["caught"]}
    passed = [check["id"] for check in all_checks(document) if check["status"] == "passed"]
    return [name for name in passed if name.partition("[")[0] not in proven]  # a proof is of a check, not of its cells


def recommendations(document: Document, reasons: Sequence[Reason]) -> list[dict[str, str]]:
    """What to do about each reason, worst first, and about what nobody has proven."""
    found = [{"for": reason.code, "action": CODES[reason.code].advice} for reason in reasons]
    if unproven_checks(document):
        found.append({"for": "unproven", "action": "run `smartattend prove --out=reports/proof.json` and look at it"})
    return found
