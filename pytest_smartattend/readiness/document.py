"""``readiness.json``: everything that a run has shown, in one value."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

from pytest_smartattend.evidence.journal import ReadJournal
from pytest_smartattend.readiness import advice, portrait
from pytest_smartattend.readiness.integrity import Fate, Seen, reconcile
from pytest_smartattend.readiness.outcomes import status_of
from pytest_smartattend.readiness.reasons import Reason, status_from
from pytest_smartattend.readiness.requirements import Requirements, load
from pytest_smartattend.readiness.scope import Scope
from pytest_smartattend.readiness.verdict import all_checks, check_codes, judge, objective_status, required_ids
from pytest_smartattend.readiness.witness import Check, Witness, hear

SCHEMA_VERSION = "1.1.0"
#: runs that `history` remembers
HISTORY = 26
#: what no group of this version exercises, whatever the target
NOT_EXERCISED = ("production's topology", "managed failover", "production's volume of data", "production's network")


@dataclass(frozen=True)
class Run:
    """Facts about a run. Moments are RFC 3339; `finished` is None while it runs; `arguments` are pytest's."""

    id: str
    pid: int
    started: str
    seed: int
    finished: str | None = None
    workers: int = 0
    exit_status: int | None = None
    interrupted: str = ""
    arguments: tuple[str, ...] = ()
    #: the part of a divided run that this is, as (number, of); None for a whole one
    shard: tuple[int, int] | None = None

    def entry(self, plan: str) -> dict[str, Any]:
        """As it stands in a document. `plan` is the digest of how the run was divided; empty where nobody told."""
        shards = []
        if self.shard is not None:
            number, of = self.shard
            shards.append({"number": number, "of": of, "plan": plan, "run": self.id, "sha256": None})
        plain = {name: value for name, value in asdict(self).items() if name != "shard"}
        return {**plain, "seed": str(self.seed), "shards": shards, "arguments": list(self.arguments)}


@dataclass(frozen=True)
class Facts:
    """What a document is made of, beside what the tests did.

    Attributes:
        run: facts about the run.
        requirements: what is required.
        scope: what "ready" is about.
        target: the target's name; empty where no suite had one.
        sabotage: the planted defect; empty for none.
        subject: as `subject.Asked.answer` gives it.
        history: entries of earlier documents, oldest first.
        history_fault: what is wrong with the file that they come from; empty for nothing.
        proof: content of ``proof.json``; None where there is none.
        suites: sha256 over the files of the shipped suites.
    """

    run: Run
    requirements: Requirements
    scope: Scope
    target: str
    sabotage: str
    subject: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]] = ()
    history_fault: str = ""
    proof: Mapping[str, Any] | None = None
    suites: str = ""


def build(facts: Facts, seen: Seen, journals: Sequence[ReadJournal]) -> dict[str, Any]:
    """The document without its seal: evidence first, then the verdict that it gives."""
    witness = hear(journals)
    fates = _with_impostors(reconcile(seen, witness), witness, facts.requirements)
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "target": _target(facts, witness),
        "subject": dict(facts.subject),
        "scope": _scope(facts),
        "run": facts.run.entry((witness.about.get("shard") or {}).get("plan", "")),
        "versions": _versions(facts, witness),
        "proof": facts.proof,
        "history": [dict(entry) for entry in facts.history][-HISTORY:],
        "history_fault": facts.history_fault,
    }
    required = required_ids(facts.requirements, document["scope"])
    tests = _tests_of(fates, witness, _in_order(required, facts.requirements))
    document["groups"] = _groups(tests, witness, required, facts.requirements)
    document["objectives"] = [one for name, own in tests.items() for one in portrait.objectives(name, own)]
    document["faults"] = [one for name, own in tests.items() for one in portrait.faults(name, own)]
    document["integrity"] = _integrity(document, seen, witness, journals)
    document["not_exercised"] = _not_exercised(facts)
    return judged(document, facts.requirements)


def judged(document: dict[str, Any], requirements: Requirements) -> dict[str, Any]:
    """The document with the verdict that its evidence gives at the moment when the run ended."""
    at = document["run"]["finished"] or document["run"]["started"]
    reasons = judge(document, requirements, at)
    codes = check_codes(document, required_ids(requirements, document["scope"]), at)
    for group in document["groups"]:
        _weigh(group, codes, document["objectives"])
    document["status"] = status_from(reasons)
    document["status_reasons"] = [reason.entry() for reason in reasons]
    document["findings"] = advice.findings(document, reasons)
    document["recommendations"] = advice.recommendations(document, reasons)
    return document


def _weigh(group: dict[str, Any], codes: Mapping[str, str], objectives: Iterable[Mapping[str, Any]]) -> None:
    ids = {check["id"] for check in group["checks"]}
    own = [Reason(code) for name, code in codes.items() if name in ids]
    own += [Reason("invariant_broken") for check in group["checks"] if check["counts"]["invariants_broken"]]
    weights = {"missed": "objective_missed", "near_limit": "objective_near_limit"}
    for one in objectives:
        weight = objective_status(one["observed"], one["limit"])
        if one["check"] in ids and weight in weights:
            own.append(Reason(weights[weight]))
    required = [check for check in group["checks"] if check["required"]]
    against = sum(Reason(codes[check["id"]]).status == "not_ready" for check in required if check["id"] in codes)
    passed = sum(check["status"] in {"passed", "rerun", "xpassed"} for check in required)
    group["status"] = status_from(own)
    group["consensus"] = {
        "required": len(required),
        "for": passed,
        "against": against,
        "abstained": len(required) - passed - against,
    }


def _with_impostors(fates: dict[str, Fate], witness: Witness, requirements: Requirements) -> dict[str, Fate]:
    """Nothing but a shipped check may answer for a shipped id."""
    if not requirements.only_shipped_checks:
        return fates
    shipped_ids = requirements.expand()
    found = dict(fates)
    for test, check in witness.checks.items():
        if check.id in shipped_ids and not check.shipped and test in found:
            fate = found[test]
            reason = f"{test} carries the id of a shipped check, and is none"
            attempts = tuple(
                one.but("impostor", reason) if one.outcome in {"passed", "xpassed", "no_evidence"} else one
                for one in fate.attempts
            )
            found[test] = Fate(test, attempts, fate.absent, fate.evidence)
    return found


def _in_order(required: frozenset[str], requirements: Requirements) -> list[str]:
    """The required ids as the requirements list them, then the adopter's own."""
    listed = [name for names in requirements.groups.values() for name in names if name in required]
    return [*listed, *sorted(required.difference(listed))]


def _tests_of(fates: Mapping[str, Fate], witness: Witness, required: Sequence[str]) -> dict[str, list[Fate]]:
    """Id → the fates of its tests: everything required, every marked test, and unmarked ones that left evidence."""
    found: dict[str, list[Fate]] = {name: [] for name in required}
    for test, fate in fates.items():
        check = witness.checks.get(test)
        if check is not None:
            found.setdefault(check.id, []).append(fate)
        elif any(one.records for one in fate.evidence):
            found.setdefault(test, []).append(fate)
    return found


def _groups(
    tests: Mapping[str, list[Fate]], witness: Witness, required: frozenset[str], requirements: Requirements
) -> list[dict[str, Any]]:
    by_id: dict[str, Check] = {check.id: check for check in witness.checks.values()}
    groups: dict[str, list[dict[str, Any]]] = {name: [] for name in requirements.groups}
    for name, fates in tests.items():
        check = by_id.get(name)
        group = check.group if check else name.partition("/")[0] if name in required else "tests"
        entry = portrait.draw(name, required=name in required, fates=fates, detects=check.detects if check else ())
        groups.setdefault(group, []).append(entry)
    return [
        {"name": name, "status": "", "consensus": {}, "checks": checks} for name, checks in groups.items() if checks
    ]


def accounts(document: Mapping[str, Any]) -> dict[str, Any]:
    """The part of ``integrity`` that follows from the checks: how many, and which were not shown."""
    required = [check for check in all_checks(document) if check["required"]]
    by_status: dict[str, list[str]] = {}
    for check in required:
        by_status.setdefault(status_of(check), []).append(check["id"])
    named = ("missing", "deselected", "not_run", "vanished", "crashed", "interrupted", "skipped", "no_evidence")
    return {
        "required": len(required),
        "reported": sum(
            status_of(check) in {"passed", "failed", "error", "xfailed", "xpassed", "rerun"} for check in required
        ),
        **{name: by_status.get(name, []) for name in (*named, "evidence_lost")},
        "impostors": by_status.get("impostor", []),
        "reruns": [check["id"] for check in all_checks(document) if len(check["attempts"]) > len(check["tests"])],
    }


def _integrity(
    document: Mapping[str, Any], seen: Seen, witness: Witness, journals: Sequence[ReadJournal]
) -> dict[str, Any]:
    marked = set(witness.checks)
    return {
        **accounts(document),
        "other_tests_lost": [test for test in seen.lost() if test not in marked],
        "internal_errors": [line[:300] for line in seen.internal_errors],
        "workers_lost": [f"{worker}: {error}"[:300] for worker, error in seen.workers_lost.items()],
        "collection_errors": list(seen.collection_errors),
        "journal_faults": list(witness.faults),
        "journals": [
            {"file": one.name, "worker": one.worker, "lines": len(one.records), "head": one.head, "torn": one.torn}
            for one in journals
        ],
    }


def _target(facts: Facts, witness: Witness) -> dict[str, Any]:
    name = facts.target or "none"
    if facts.sabotage:
        name = f"{name} (sabotaged: {facts.sabotage})"
    return {"name": name, "sabotage": facts.sabotage or None, "description": witness.about.get("target")}


def _scope(facts: Facts) -> dict[str, Any]:
    excluded = {entry["id"] for entry in facts.scope.not_applicable}
    groups = [name for name in facts.requirements.groups if name not in excluded]
    own = sorted({name.partition("/")[0] for name in facts.scope.required} - set(groups))
    text = ", ".join([*groups, *own]) or "nothing"
    if facts.requirements != load():
        text += f" (by requirements {facts.requirements.version}, not those that ship)"
    if facts.scope.required:
        text += f" with {len(facts.scope.required)} checks of its own"
    if excluded:
        text += f" without {', '.join(sorted(excluded)[:3])}" + (
            f" and {len(excluded) - 3} more" if len(excluded) > 3 else ""
        )
    return {
        "text": text,
        "groups": groups,
        "requirements": {"version": facts.requirements.version, "digest": facts.requirements.digest},
        "digest": facts.scope.digest,
        "postgres": facts.scope.postgres,
        "required": list(facts.scope.required),
        "not_applicable": [dict(entry) for entry in facts.scope.not_applicable],
        "waivers": [dict(entry) for entry in facts.scope.waivers],
    }


def _versions(facts: Facts, witness: Witness) -> dict[str, Any]:
    postgres = witness.about.get("postgres")
    major = re.match(r"\d+", str(postgres.get("version", ""))) if isinstance(postgres, dict) else None
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{name: _version(name) for name in ("pytest", "pytest-xdist", "pytest-smartattend")},
        "postgres": postgres,
        "postgres_major": int(major[0]) if major else None,
        "requirements": facts.requirements.version,
        "suites": facts.suites,
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _not_exercised(facts: Facts) -> list[str]:
    excluded = [f"{entry['id']}: not applicable, {entry['reason']}" for entry in facts.scope.not_applicable]
    lacking = [f"{'check' if '/' in name else 'group'} {name}: no suite yet" for name in facts.requirements.not_yet]
    return [*lacking, *NOT_EXERCISED, *excluded]
