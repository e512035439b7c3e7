"""The verdict: from the evidence in a document to reasons and a status. Pure, and the same for the run and the gate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from pytest_smartattend.readiness.outcomes import status_of
from pytest_smartattend.readiness.reasons import CODES, OF_CHECK, WAIVED, Reason, status_from
from pytest_smartattend.readiness.requirements import Requirements, covers
from pytest_smartattend.readiness.shards import absent

#: an objective over this share of its limit is at risk (SPEC 6)
NEAR = 0.8

Document = Mapping[str, Any]


def objective_status(observed: float, limit: float) -> str:
    """``met``, ``near_limit`` (over 80 % of the limit) or ``missed``. A limit of zero is met or missed."""
    if observed > limit:
        return "missed"
    return "near_limit" if observed > NEAR * limit else "met"


def required_ids(requirements: Requirements, scope: Mapping[str, Any]) -> frozenset[str]:
    """What must have been shown: the requirements and the adopter's own, without what is not applicable."""
    excluded = [entry["id"] for entry in scope["not_applicable"]]
    wanted = requirements.expand() | set(scope["required"])
    return frozenset(one for one in wanted if not any(covers(name, one) for name in excluded))


def judge(document: Document, requirements: Requirements, at: str) -> list[Reason]:
    """Every reason that the document's evidence gives, worst first.

    Args:
        document: what was seen. Its own `status`, and those of its checks and objectives, are not believed.
        requirements: what is required, from whoever asks.
        at: the moment of asking, RFC 3339: waivers end.
    """
    reasons = [*_of_run(document, requirements), *_of_checks(document, requirements, at), *_of_objectives(document)]
    order = list(CODES)
    return sorted(reasons, key=lambda reason: order.index(reason.code))


def _of_run(document: Document, requirements: Requirements) -> Iterator[Reason]:
    integrity, run, scope, target = (document[key] for key in ("integrity", "run", "scope", "target"))
    if target["sabotage"] and run["finished"] is not None:  # else nobody knows whether it came to be planted
        yield Reason("sabotaged_target", (target["sabotage"],))
    if run["finished"] is None:
        yield Reason("unfinished")
    others = absent(run.get("shards", ()))
    if others:
        yield Reason("shard_absent", tuple(others))
    if run["interrupted"]:
        yield Reason("run_interrupted", (run["interrupted"],))
    if scope["requirements"]["digest"] != requirements.digest:
        yield Reason("requirements_differ", (f"{scope['requirements']['version']}, not {requirements.version}",))
    for code, key in (
        ("internal_error", "internal_errors"),
        ("worker_lost", "workers_lost"),
        ("journal_broken", "journal_faults"),
    ):
        if integrity[key]:
            yield Reason(code, tuple(integrity[key]))
    declared, found = scope["postgres"], document["versions"].get("postgres_major")
    if declared is not None and declared != found:
        yield Reason("postgres_major", (f"{found or 'unknown'}, not {declared}",))


def _of_checks(document: Document, requirements: Requirements, at: str) -> Iterator[Reason]:
    required = required_ids(requirements, document["scope"])
    if not required:
        yield Reason("nothing_required")
    found: dict[str, list[str]] = {}
    for name, code in sorted(check_codes(document, required, at).items()):
        found.setdefault(code, []).append(name)
    for check in all_checks(document):
        found.setdefault("invariant_broken", []).extend(
            f"{check['id']}: {name}" for name in check["counts"]["invariants_broken"]
        )
    for code, names in found.items():
        if names:
            yield Reason(code, tuple(names))


def _of_objectives(document: Document) -> Iterator[Reason]:
    weighed = [(one, objective_status(one["observed"], one["limit"])) for one in document["objectives"]]
    for status, code in (("missed", "objective_missed"), ("near_limit", "objective_near_limit")):
        shown = tuple(_objective_text(objective) for objective, weight in weighed if weight == status)
        if shown:
            yield Reason(code, shown)


def _objective_text(objective: Mapping[str, Any]) -> str:
    unit = objective["unit"]
    return (
        f"{objective['name']} {objective['observed']:g} {unit} of {objective['limit']:g} {unit} ({objective['check']})"
    )


def check_codes(document: Document, required: AbstractSet[str], at: str) -> dict[str, str]:
    """Required id → code of the reason that it gives; an id that is fine is left out."""
    waivers = [entry["id"] for entry in document["scope"]["waivers"] if entry["expires"] >= at[:10]]
    statuses = {check["id"]: status_of(check) for check in all_checks(document)}
    codes = {}
    for name in required:
        code = OF_CHECK.get(statuses.get(name, "missing"))
        if code is not None:
            is_waived = any(covers(waiver, name) for waiver in waivers)
            codes[name] = WAIVED.get(code, code) if is_waived else code
    return codes


def all_checks(document: Document) -> Iterator[Mapping[str, Any]]:
    """The checks of every group."""
    for group in document["groups"]:
        yield from group["checks"]


def contradictions(document: Document, requirements: Requirements) -> Iterator[str]:
    """Where the document says of itself what its evidence does not: nobody but an editor writes that."""
    required = required_ids(requirements, document["scope"])
    finished = document["run"]["finished"] or document["run"]["started"]
    reasons = judge(document, requirements, finished)
    entries = [reason.entry() for reason in reasons]
    if (document["status"], document["status_reasons"]) != (status_from(reasons), entries):
        yield f"its status is {document['status']}, and its evidence gives other reasons for it"
    for check in all_checks(document):
        if check["status"] != status_of(check):
            yield f"{check['id']} is called {check['status']}, and its attempts say {status_of(check)}"
        if check["required"] != (check["id"] in required):
            yield f"{check['id']} is {'' if check['required'] else 'not '}called required, against the requirements"
    yield from _wrong_objectives(document["objectives"])


def _wrong_objectives(objectives: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for one in objectives:
        status = objective_status(one["observed"], one["limit"])
        if one["status"] != status:
            yield f"the objective {one['name']} is called {one['status']}, and its figures say {status}"
