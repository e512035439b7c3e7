"""The documents of a divided run, put together: one document, judged anew, as if one machine had run it all."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pytest_smartattend.errors import EvidenceError
from pytest_smartattend.readiness.document import accounts, judged
from pytest_smartattend.readiness.outcomes import status_of
from pytest_smartattend.readiness.portrait import FAILURES, MEASUREMENTS, OPERATIONS, TIMELINE
from pytest_smartattend.readiness.requirements import Requirements

#: what must not differ between the machines, beside their checkouts and their targets
VERSIONS = ("python", "pytest", "pytest-xdist", "pytest-smartattend", "postgres_major", "requirements", "suites")
_LIMITS = {"measurements": MEASUREMENTS, "timeline": TIMELINE, "failures": FAILURES, "notes": FAILURES}
_CONCATENATED = ("other_tests_lost", "internal_errors", "workers_lost", "collection_errors", "journal_faults")

Document = Mapping[str, Any]


def merge(
    documents: Sequence[Document],
    requirements: Requirements,
    history: Sequence[Document] = (),
    history_fault: str = "",
) -> dict[str, Any]:
    """One document of the documents of all shards; without its seal.

    A shard that is absent makes it incomplete; the verdict names it.

    Raises:
        EvidenceError: there is none, one is no shard, two are of one number, or they are not of one run: another
            target, subject, scope, plan, seed or version. Names both shards and what differs.
    """
    shards = sorted(documents, key=lambda one: [entry["number"] for entry in one["run"]["shards"]])
    _check(shards)
    first = next((one for one in shards if one["run"]["finished"]), shards[0])
    merged: dict[str, Any] = {
        **{name: first[name] for name in ("schema_version", "subject", "scope", "not_exercised")},
        "target": _target(first, shards),
        "run": _run(shards),
        "versions": _versions(shards),
        "proof": next((one["proof"] for one in shards if one["proof"]), None),
        "history": [dict(entry) for entry in history],
        "history_fault": history_fault,
        "groups": _groups(shards),
        "objectives": [one for shard in shards for one in shard["objectives"]],
        "faults": [one for shard in shards for one in shard["faults"]],
    }
    merged["integrity"] = {
        **accounts(merged),
        **{name: [one for shard in shards for one in shard["integrity"][name]] for name in _CONCATENATED},
        "journals": [
            {**one, "file": f"shard-{shard['run']['shards'][0]['number']}/{one['file']}"}
            for shard in shards
            for one in shard["integrity"]["journals"]
        ],
    }
    return judged(merged, requirements)


def _check(shards: Sequence[Document]) -> None:
    if not shards:
        raise EvidenceError("there is no document to merge. Name the readiness.json of every shard.")
    for document in shards:
        if len(document["run"]["shards"]) != 1:
            raise EvidenceError(
                f"run {document['run']['id']} is no shard. Run the parts with --smartattend-shard=k/n and merge those."
            )
    for document, other in itertools.pairwise(shards):
        if document["run"]["shards"][0]["number"] == other["run"]["shards"][0]["number"]:
            raise EvidenceError(f"{_name(document)} is there twice. Name each shard's document once.")
    finished = [one for one in shards if one["run"]["finished"]]
    for document in shards:
        reference = (finished or shards)[0]
        for what, told in _identity(reference, document):
            raise EvidenceError(
                f"{_name(document)} is of another {what} than {_name(reference)}: {told}. Merge the parts of one run."
            )


def _name(document: Document) -> str:
    shard = document["run"]["shards"][0]
    return f"shard {shard['number']}/{shard['of']}"


def _identity(one: Document, other: Document) -> Iterator[tuple[str, str]]:
    """What differs between two shards and must not. One that did not finish knows little about itself."""
    pairs: dict[str, tuple[object, object]] = {
        "division": (one["run"]["shards"][0]["of"], other["run"]["shards"][0]["of"]),
        "target": (one["target"]["name"], other["target"]["name"]),
        "seed": (one["run"]["seed"], other["run"]["seed"]),
        "scope": (_scope(one), _scope(other)),
    }
    if one["run"]["finished"] and other["run"]["finished"]:
        pairs["subject"] = (_subject(one), _subject(other))
        pairs["plan"] = (one["run"]["shards"][0]["plan"], other["run"]["shards"][0]["plan"])
        for name in VERSIONS:
            versions = (one["versions"].get(name), other["versions"].get(name))
            if name != "postgres_major" or None not in versions:  # a part without databases has seen none
                pairs[f"version of {name}"] = versions
    for what, (left, right) in pairs.items():
        if left != right:
            yield what, f"{right}, not {left}"


def _scope(document: Document) -> tuple[str, str, str]:
    scope = document["scope"]
    return scope["text"], scope["digest"], scope["requirements"]["digest"]


def _subject(document: Document) -> tuple[object, ...]:
    return tuple(document["subject"][name] for name in ("name", "commit", "dirty", "image"))


def _run(shards: Sequence[Document]) -> dict[str, Any]:
    runs = [one["run"] for one in shards]
    ends = [run["finished"] for run in runs]
    entries = [{**one["run"]["shards"][0], "sha256": one["seal"]["sha256"]} for one in shards]
    return {
        "id": "merged-" + hashlib.sha256("".join(entry["sha256"] for entry in entries).encode()).hexdigest()[:12],
        "pid": os.getpid(),
        "started": min(run["started"] for run in runs),
        "finished": None if None in ends else max(ends),
        "seed": runs[0]["seed"],
        "workers": sum(run["workers"] for run in runs),
        "exit_status": max((run["exit_status"] for run in runs if run["exit_status"] is not None), default=None),
        "interrupted": next((run["interrupted"] for run in runs if run["interrupted"]), ""),
        "shards": entries,
        "arguments": runs[0].get("arguments", []),
    }


def _target(first: Document, shards: Sequence[Document]) -> dict[str, Any]:
    described = next((one["target"]["description"] for one in shards if one["target"]["description"]), None)
    return {**first["target"], "description": described}


def _versions(shards: Sequence[Document]) -> dict[str, Any]:
    finished = [one["versions"] for one in shards if one["run"]["finished"]] or [shards[0]["versions"]]
    return next((one for one in finished if one["postgres_major"] is not None), finished[0])


def _groups(shards: Sequence[Document]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, list[Document]]] = {}
    for shard in shards:
        for group in shard["groups"]:
            checks = found.setdefault(group["name"], {})
            for check in group["checks"]:
                checks.setdefault(check["id"], []).append(check)
    return [
        {"name": name, "status": "", "consensus": {}, "checks": [_united(entries) for entries in checks.values()]}
        for name, checks in found.items()
    ]


def _united(entries: Sequence[Document]) -> dict[str, Any]:
    """One entry of a check from those of all shards: nearly always one ran it, and the others only miss it."""
    ran = [entry for entry in entries if entry["attempts"]]
    if len(ran) == 1:
        return dict(ran[0])
    if not ran:
        return dict(next((entry for entry in entries if entry["status"] != "missing"), entries[0]))
    united: dict[str, Any] = {
        **ran[0],
        "tests": _concatenated(ran, "tests"),
        "detects": sorted({name for entry in ran for name in entry["detects"]}),
        "attempts": _concatenated(ran, "attempts"),
        "counts": _counts(ran),
        **{name: _concatenated(ran, name)[:limit] for name, limit in _LIMITS.items()},
    }
    united["status"] = status_of(united)
    united["reason"] = next((entry["reason"] for entry in ran if entry["status"] == united["status"]), "")
    united.pop("operations", None)
    if united["status"] != "passed":
        united["operations"] = _concatenated([one for one in ran if "operations" in one], "operations")[-OPERATIONS:]
    return united


def _concatenated(entries: Iterable[Document], name: str) -> list[Any]:
    return [one for entry in entries for one in entry[name]]


def _counts(entries: Iterable[Document]) -> dict[str, Any]:
    total: dict[str, Any] = {"expectations": 0, "expectations_failed": 0, "invariants": 0}
    broken: list[str] = []
    operations: Counter[str] = Counter()
    for entry in entries:
        for name in total:
            total[name] += entry["counts"][name]
        broken += entry["counts"]["invariants_broken"]
        operations.update(entry["counts"]["operations"])
    return {**total, "invariants_broken": broken[:FAILURES], "operations": dict(sorted(operations.items()))}
