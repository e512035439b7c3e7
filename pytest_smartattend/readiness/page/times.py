"""Pictures over time: the lanes of the workers, drills with their outages, storms with their faults, scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_smartattend.readiness.page.geometry import WIDTH, bars, merged, percent
from pytest_smartattend.readiness.verdict import all_checks
from pytest_smartattend.readiness.wording import anchor, duration, many, sign

Document = Mapping[str, Any]
#: pictures of each kind on one page, and steps that a picture names
PICTURES = 40
STEPS = 40
_HEIGHT = 60
_AT = re.compile(r"(?:(\d+) days?, )?(\d{1,3}):(\d{2}):(\d{2})(\.\d+)?")


def lanes(document: Document) -> dict[str, Any] | None:
    """What each worker did when; None where no attempt says when it began, and for several machines' clocks."""
    if len(document["run"].get("shards", ())) > 1:
        return None
    spans: dict[str, list[tuple[float, float, str]]] = {}
    worst: list[dict[str, Any]] = []
    for check in all_checks(document):
        for attempt in check["attempts"]:
            if attempt.get("began") is not None:
                end = attempt["began"] + attempt["seconds"]
                spans.setdefault(attempt["worker"] or "main", []).append(
                    (attempt["began"], end, sign(attempt["outcome"])[1])
                )
                if attempt["outcome"] in {"crashed", "vanished", "interrupted"}:
                    worst.append({"check": check["id"], "outcome": attempt["outcome"], "at": attempt["began"]})
    if not spans:
        return None
    whole = max(end for found in spans.values() for _, end, _ in found) or 1.0
    return {
        "seconds": whole,
        "marks": worst[:STEPS],
        "lanes": [
            {
                "worker": worker,
                "checks": len(found),
                "busy": percent(sum(end - begin for begin, end, _ in found), whole),
                "spans": [
                    (percent(begin, whole), max(0.15, percent(end - begin, whole)), kind)
                    for begin, end, kind, _ in merged(found, whole / 400)
                ],
            }
            for worker, found in sorted(spans.items())
        ],
    }


def drills(document: Document) -> list[dict[str, Any]]:
    """One picture for each event ``drill`` (docs/reference/readiness-json.md); what is not to that shape has none."""
    found = []
    for check in all_checks(document):
        for event in check["timeline"]:
            if event["name"] == "drill":
                try:
                    found.append({"check": check["id"], "anchor": anchor(check["id"]), **_drill(event["data"])})
                except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError, OverflowError):
                    continue  # somebody's own event of that name
    return found[:PICTURES]


def _drill(data: Mapping[str, Any]) -> dict[str, Any]:
    whole, ticks, outage = float(data["seconds"]), data["ticks"], data["outage"]
    kept = [max(0, a - gone) for a, gone in zip(ticks["acknowledged"], ticks["lost"], strict=True)]
    return {
        "title": str(data["title"]),
        "control": bool(data["control"]),
        "seconds": whole,
        "picture": _stacked(
            {"ok": kept, "lost": ticks["lost"], "failed": ticks["failed"], "unknown": ticks["unknown"]}
        ),
        "fault": None if data["fault"] is None else percent(data["fault"], whole),
        "outage": outage
        and {
            "left": percent(outage["from"], whole),
            "width": percent(outage["to"] - outage["from"], whole),
            "over": bool(outage["over"]),
        },
        "phases": [
            {
                "name": str(one["name"]),
                "actor": str(one["actor"]),
                "credited": bool(one["credited"]),
                "from": float(one["from"]),
                "seconds": float(one["to"]) - float(one["from"]),
                "left": percent(one["from"], whole),
                "width": max(0.3, percent(one["to"] - one["from"], whole)),
            }
            for one in data["phases"][:STEPS]
        ],
        "lines": list(_drill_lines(data)),
    }


def _drill_lines(data: Mapping[str, Any]) -> Iterator[str]:
    rto, rpo, counts, outage = data["rto"], data["rpo"], data["counts"], data["outage"]
    least = "" if outage is None or outage["over"] else "at least "
    floor = f"; the least that this machine can do: {duration(rto['floor'])}" if rto.get("floor") else ""
    limit = f" of {duration(rto['limit'])}" if rto["limit"] is not None else ""
    yield f"RTO {least}{duration(rto['seconds'])}{limit}{floor}"
    limit = f" of {duration(rpo['limit'])}" if rpo["limit"] is not None else ""
    yield f"RPO {many(rpo['rows'], 'row')}, {duration(rpo['seconds'])}{limit}"
    yield (
        f"{many(counts['acknowledged'], 'write')} acknowledged, {counts['failed']:,} failed, {counts['unknown']:,} "
        f"without an answer, of which {counts['unknown_stored']:,} are stored"
    )


def storms(document: Document) -> list[dict[str, Any]]:
    """Requests over time, with the faults at their moments, of each storm and of what failed. Drills have their own."""
    faults: dict[str, list[Mapping[str, Any]]] = {}
    for one in document["faults"]:
        faults.setdefault(one["check"], []).append(one)
    found = []
    for group in document["groups"]:
        for check in group["checks"]:
            activity = check.get("activity")
            if activity and (group["name"] == "storms" or check["status"] != "passed"):
                own = faults.get(check["id"], [])
                found.append(_storm(check, activity, own))
    return found[:PICTURES]


def _storm(check: Mapping[str, Any], activity: Mapping[str, Any], faults: list[Mapping[str, Any]]) -> dict[str, Any]:
    whole = activity["seconds"]
    outcomes = {name: activity[name] for name in ("ok", "failed", "unknown")}
    return {
        "check": check["id"],
        "anchor": anchor(check["id"]),
        "seconds": whole,
        "picture": _stacked(outcomes),
        "counts": {name: sum(counts) for name, counts in outcomes.items()},
        "faults": [
            {"name": str(one["name"]), "seed": one["seed"], "left": percent(offset, whole), "at": offset}
            for one in faults[:STEPS]
            if isinstance(offset := one.get("offset", 0), int | float)
        ],
        "more": max(0, len(faults) - STEPS),
    }


def _stacked(outcomes: Mapping[str, list[int]]) -> dict[str, Any]:
    """Paths of stacked bars, first outcome lowest."""
    totals = [sum(column) for column in zip(*outcomes.values(), strict=True)]
    most = max([1, *totals])
    base = [0.0] * len(totals)
    paths = []
    for name, counts in outcomes.items():
        paths.append((name, bars(counts, _HEIGHT, most, base)))
        base = [low + count for low, count in zip(base, counts, strict=True)]
    return {"paths": [(name, path) for name, path in paths if path], "width": WIDTH, "height": _HEIGHT, "most": most}


def scripts(document: Document) -> list[dict[str, Any]]:
    """Checks whose events carry a moment of the clock, ``at`` as ``0:02:00``: each event at its place."""
    found = []
    for check in all_checks(document):
        steps = [(at, event["name"]) for event in check["timeline"] if (at := _clock(event)) is not None]
        if len(steps) > 1:
            whole = max(at for at, _ in steps) or 1.0
            found.append(
                {
                    "check": check["id"],
                    "seconds": whole,
                    "steps": [{"name": name, "at": at, "left": percent(at, whole)} for at, name in steps[:STEPS]],
                    "more": max(0, len(steps) - STEPS),
                }
            )
    return found[:PICTURES]


def _clock(event: Mapping[str, Any]) -> float | None:
    data = event.get("data")
    at = data.get("at") if isinstance(data, dict) else None
    match = _AT.fullmatch(at) if isinstance(at, str) else None
    if match is None:
        return None
    days, hours, minutes, seconds, rest = match.groups()
    return int(days or 0) * 86_400 + int(hours) * 3_600 + int(minutes) * 60 + int(seconds) + float(rest or 0)
