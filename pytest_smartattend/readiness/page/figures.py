"""Objectives against their limits, latencies, measurements, the trend over earlier runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_smartattend.readiness.page.geometry import WIDTH, LogScale, bars
from pytest_smartattend.readiness.verdict import NEAR, all_checks
from pytest_smartattend.readiness.wording import anchor, duration

Document = Mapping[str, Any]
#: rows of each table on the page; the document has all
ROWS = 200
HISTOGRAMS = 24


def objectives(document: Document) -> list[dict[str, Any]]:
    """Each objective as a bullet: observed, limit, the mark at 80 %, and the machine's floor where one was measured."""
    floors = _floors(document)
    found = []
    for one in document["objectives"][:ROWS]:
        limit, observed = one["limit"], one["observed"]
        floor = floors.get(one["check"]) if "rto" in one["name"].lower() else None
        scale = LogScale(value for value in (observed, limit, floor or 0) if value > 0)
        found.append(
            {
                **one,
                "anchor": anchor(one["check"]),
                "used": 100 * observed / limit if limit else None,
                "floor": floor,
                "bullet": limit > 0
                and {
                    "observed": scale.place(observed),
                    "near": scale.place(NEAR * limit),
                    "limit": scale.place(limit),
                    "floor": None if floor is None else scale.place(floor),
                },
            }
        )
    return found


def _floors(document: Document) -> dict[str, float]:
    found: dict[str, float] = {}
    for check in all_checks(document):
        for event in check["timeline"]:
            data = event.get("data")
            rto = data.get("rto") if event["name"] == "drill" and isinstance(data, dict) else None
            floor = rto.get("floor") if isinstance(rto, dict) else None
            if isinstance(floor, int | float) and floor > 0:
                found[check["id"]] = float(floor)
    return found


def latencies(document: Document) -> list[dict[str, Any]]:
    """How long the requests of a check took: storms first, then the checks of most requests."""
    found = [
        (group["name"] != "storms", -check["latency"]["count"], check)
        for group in document["groups"]
        for check in group["checks"]
        if check.get("latency")
    ]
    found.sort(key=lambda row: row[:2])
    return [{"check": check["id"], **_histogram(check["latency"])} for _, _, check in found[:HISTOGRAMS]]


def _histogram(latency: Mapping[str, Any]) -> dict[str, Any]:
    counts = [count for _, count in latency["bins"]]
    return {
        "path": bars(counts, 60, max([1, *counts])),
        "width": WIDTH,
        "first": duration(latency["bins"][0][0]),
        "last": duration(latency["bins"][-1][0]),
        **{name: latency[name] for name in ("count", "p50", "p95", "p99", "most")},
    }


def measurements(document: Document) -> list[tuple[str, Mapping[str, Any]]]:
    """What was measured and is not weighed."""
    found = [
        (check["id"], one) for check in all_checks(document) for one in check["measurements"] if not one["objective"]
    ]
    return found[:ROWS]


def trend(document: Document) -> dict[str, Any] | None:
    """This run after the earlier ones, oldest first, and what changed last; None without earlier ones."""
    if not document["history"] and not document.get("history_fault"):
        return None
    now = {
        "at": document["run"]["finished"] or document["run"]["started"],
        "status": document["status"],
        "target": document["target"]["name"],
        "subject": document["subject"]["name"],
    }
    runs = [*document["history"], now]
    alike = [one for one in document["history"] if one["target"] == now["target"]]
    before = alike[-1] if alike else None
    changed = before is not None and before["status"] != now["status"]
    return {"runs": runs, "before": before, "changed": changed, "lines": _lines([*alike, document])}


def _lines(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each objective of the last run over those runs that measured it, as bars; for fewer than two there is none."""
    found = []
    for one in runs[-1]["objectives"][:ROWS]:
        seen = [
            earlier["observed"]
            for run in runs
            for earlier in run.get("objectives", ())
            if (earlier["name"], earlier["check"], earlier["unit"]) == (one["name"], one["check"], one["unit"])
        ]
        if len(seen) > 1:
            found.append({**one, "first": seen[0], "runs": len(seen), "path": bars(seen, 30, max(*seen, 1e-12))})
    return found
