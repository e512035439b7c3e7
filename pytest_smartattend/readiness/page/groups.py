"""Groups and their checks as matrices; the three reasons at the top of the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from pytest_smartattend.readiness import causes
from pytest_smartattend.readiness.advice import unproven_checks
from pytest_smartattend.readiness.page.geometry import percent
from pytest_smartattend.readiness.reasons import CODES
from pytest_smartattend.readiness.verdict import all_checks
from pytest_smartattend.readiness.wording import anchor, figure, many, sign

Document = Mapping[str, Any]
#: ids that a reason shows before "and … more"
NAMED = 6
#: what nobody may waive comes before all else
_FIRST = frozenset({"sabotaged_target", "invariant_broken", "objective_missed"})


def deciding(document: Document) -> list[dict[str, Any]]:
    """Every reason, worst first; for a ready platform what speaks for it, most weighty first."""
    if not document["status_reasons"]:
        return [
            {"title": title, "advice": advice, "status": status, "evidence": [], "more": 0, "causes": []}
            for status, title, advice in _for_it(document)
        ]
    shown = {check["id"] for check in all_checks(document) if check["status"] != "passed"}
    found = []
    for reason in sorted(document["status_reasons"], key=lambda one: one["code"] not in _FIRST):
        row = CODES.get(reason["code"])
        names = [(one, _place(one, reason["code"], shown)) for one in reason["evidence"][:NAMED]]
        found.append(
            {
                "title": row.says if row else reason["text"],
                "status": reason["status"],
                "code": reason["code"],
                "advice": row.advice if row else "",
                "evidence": names,
                "more": max(0, len(reason["evidence"]) - NAMED),
                "causes": causes.lines(causes.causes(document, reason)),
            }
        )
    return found


def _place(evidence: str, code: str, shown: AbstractSet[str]) -> str:
    """The fragment of the page where `evidence` is told; empty where it is not."""
    if code.startswith("objective"):
        return "objectives"
    name = evidence if evidence in shown else evidence.partition(": ")[0]  # "check: invariant"
    return anchor(name) if name in shown else ""


def _for_it(document: Document) -> Iterable[tuple[str, str, str]]:
    required = document["integrity"]["required"]
    yield (
        "ready",
        f"all {many(required, 'required check')} ran, passed and left evidence",
        "nothing was lost on the way",
    )
    objectives = document["objectives"]
    if objectives:
        tightest = max(objectives, key=lambda one: one["observed"] / one["limit"] if one["limit"] else 0)
        text = f"{figure(tightest['observed'], tightest['unit'])} of {figure(tightest['limit'], tightest['unit'])}"
        yield "ready", f"all {many(len(objectives), 'objective')} met", f"the tightest: {tightest['name']}, {text}"
    else:
        invariants = sum(check["counts"]["invariants"] for check in all_checks(document))
        yield "ready", f"{many(invariants, 'invariant')} held and none broke", "no objective was declared"
    proof = document["proof"]
    if proof:
        caught = sum(one["status"] == "caught" for one in proof["sabotages"])
        unproven = len(unproven_checks(document))
        text = f"on {proof['made_at'][:10]}; {many(unproven, 'check')} not yet seen to fail"
        yield "ready", f"{caught} of {many(len(proof['sabotages']), 'planted defect')} caught", text
    else:
        yield (
            "incomplete",
            "not shown here: that these checks can fail",
            "smartattend prove --out=reports/proof.json shows it",
        )


def matrix(document: Document) -> list[dict[str, Any]]:
    """One entry per group: consensus, time, and its checks as families."""
    return [_group(group) for group in document["groups"]]


def _group(group: Mapping[str, Any]) -> dict[str, Any]:
    votes, checks = group["consensus"], group["checks"]
    whole = max(1, votes["required"])
    return {
        "name": group["name"],
        "status": group["status"],
        "votes": votes,
        "bar": [(kind, percent(votes[key], whole)) for kind, key in _VOTES if votes[key]],
        "seconds": sum(attempt["seconds"] for check in checks for attempt in check["attempts"]),
        "checks": len(checks),
        "families": families(checks),
    }


_VOTES = (("good", "for"), ("bad", "against"), ("gap", "abstained"))


def families(checks: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Checks with cells as tables, ``row-column``, and the others as one list each. Every cell is in exactly one."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for check in checks:
        family, bracket, cell = check["id"].partition("[")
        if "::" in family:  # pytest's name of a test without a mark is no check with cells
            family, bracket, cell = check["id"], "", ""
        found.setdefault(family, {})[cell[:-1] if bracket else ""] = check
    return [_family(family, cells) for family, cells in found.items()]


def _kind(checks: Iterable[Mapping[str, Any]]) -> str:
    """The class of the worst of them: one that failed, one that was not shown, one that wears thin, good."""
    kinds = {sign(check["status"])[1] for check in checks}
    return next((kind for kind in ("bad", "gap", "risk") if kind in kinds), "good")


def _family(family: str, cells: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    grid: dict[str, dict[str, Mapping[str, Any]]] = {}
    for cell, check in cells.items():
        row, _, column = cell.rpartition("-")
        grid.setdefault(row, {})[column] = check
    columns = list(dict.fromkeys(column for row in grid.values() for column in row))
    filled = len(cells) / (len(grid) * len(columns))
    # A list that only looks like a table would be mostly holes.
    is_table = len(columns) > 1 and len(grid) > 1 and filled > 0.2
    passed = sum(check["status"] == "passed" for check in cells.values())
    return {
        "family": family,
        "passed": passed,
        "kind": _kind(cells.values()),
        "cells": cells,
        "grid": grid if is_table else None,
        "columns": columns,
        "seconds": sum(attempt["seconds"] for check in cells.values() for attempt in check["attempts"]),
    }
