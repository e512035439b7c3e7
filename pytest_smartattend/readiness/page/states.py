"""The state graphs: which changes were made, which were refused as they must be, and which nobody tried."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_smartattend.readiness.verdict import all_checks

Point = tuple[float, float]
_PASSED = {"passed", "rerun"}
_NEVER = {"missing", "deselected", "not_run", "not_called", "skipped", "interrupted"}
_HALF_WIDTH, _HALF_HEIGHT = 52, 15


@dataclass(frozen=True)
class Graph:
    """What is drawn of one state machine.

    Attributes:
        title: for people.
        places: state → where it stands.
        legal, refused: the checks whose cells ``[from-to]`` make a legal change, and attempt an illegal one.
        changes: the legal changes, where one check has both kinds of cells; empty where the check's name tells.
    """

    title: str
    places: Mapping[str, Point]
    legal: str
    refused: str
    changes: frozenset[tuple[str, str]] = frozenset()


INCIDENTS = Graph(
    "Incidents",
    {
        "open": (60, 130), "acknowledged": (210, 50), "escalated": (210, 210), "investigating": (370, 130),
        "mitigating": (520, 130), "resolved": (670, 130), "closed": (800, 130),
    },
    "scenarios/legal-transitions",
    "scenarios/invalid-transitions",
)  # fmt: skip
_V, _F, _R, _M = "VERIFIED", "FLAGGED", "REVOKED", "MANUAL_OVERRIDE"
ATTENDANCE = Graph(
    "Attendance",
    {_V: (70, 130), _F: (300, 50), _R: (300, 210), _M: (530, 130)},
    "scenarios/attendance-states",
    "scenarios/attendance-states",
    frozenset(
        {(_V, _F), (_V, _R), (_V, _M), (_F, _V), (_F, _R), (_F, _M), (_R, _V), (_R, _M), (_M, _V), (_M, _F), (_M, _R)}
    ),
)


def drawn(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each graph of which a check is in the document."""
    statuses = {check["id"]: check["status"] for check in all_checks(document)}
    return [_drawn(graph, statuses) for graph in (INCIDENTS, ATTENDANCE) if _is_in(graph, statuses)]


def _is_in(graph: Graph, statuses: Mapping[str, str]) -> bool:
    return any(name.startswith(f"{graph.legal}[") for name in statuses)


def _drawn(graph: Graph, statuses: Mapping[str, str]) -> dict[str, Any]:
    kinds: dict[tuple[str, str], str] = {}
    for source in graph.places:
        for end in graph.places:
            kinds[source, end] = _kind(graph, source, end, statuses)
    edges = [
        {
            "path": _curve(graph.places[source], graph.places[end]),
            "kind": kind,
            "title": f"{source} → {end}: {_SAYS[kind]}",
        }
        for (source, end), kind in kinds.items()
        if kind in {"made", "broken", "accepted", "untried"}
    ]
    return {
        "title": graph.title,
        "states": [{"name": name, "x": x, "y": y} for name, (x, y) in graph.places.items()],
        "width": max(x for x, _ in graph.places.values()) + _HALF_WIDTH + 18,
        "edges": edges,
        "counts": [(kind, says, count) for kind, says in _SAYS.items() if (count := list(kinds.values()).count(kind))],
        "rows": [(source, [(end, kinds[source, end]) for end in graph.places]) for source in graph.places],
        "wrong": [f"{source} → {end}" for (source, end), kind in kinds.items() if kind in {"broken", "accepted"}],
    }


_SAYS = {
    "made": "legal, and made",
    "refused": "illegal, and refused",
    "broken": "legal, and failed",
    "accepted": "illegal, and not refused as it must be",
    "untried": "legal, and never tried",
    "unasked": "illegal, and never tried",
}
SIGNS = {"made": "✓", "refused": "-", "broken": "✗", "accepted": "✗", "untried": "○", "unasked": "○"}


def _kind(graph: Graph, source: str, end: str, statuses: Mapping[str, str]) -> str:
    cell = f"[{source}-{end}]"
    legal, refused = statuses.get(graph.legal + cell), statuses.get(graph.refused + cell)
    if graph.changes:
        is_legal, status = (source, end) in graph.changes, legal
    else:
        is_legal, status = legal is not None, legal if legal is not None else refused
    if status is None or status in _NEVER:
        return "untried" if is_legal else "unasked"
    if status in _PASSED:
        return "made" if is_legal else "refused"
    return "broken" if is_legal else "accepted"


def _curve(begin: Point, end: Point) -> str:
    """A path between two boxes, bent to its left so that the way back has a path of its own."""
    (x, y), (u, v) = begin, end
    if begin == end:
        return f"M{x - 14} {y + _HALF_HEIGHT}c-10 34 38 34 28 2"
    length = math.hypot(u - x, v - y)
    bend = 0.14 * length + 4
    over = ((x + u) / 2 + (v - y) / length * bend, (y + v) / 2 - (u - x) / length * bend)
    first, last = _edge_of(begin, over), _edge_of(end, over)
    return f"M{first[0]:.0f} {first[1]:.0f}Q{over[0]:.0f} {over[1]:.0f} {last[0]:.0f} {last[1]:.0f}"


def _edge_of(box: Point, towards: Point) -> Point:
    dx, dy = towards[0] - box[0], towards[1] - box[1]
    share = min(
        _HALF_WIDTH / abs(dx) if dx else math.inf,
        _HALF_HEIGHT / abs(dy) if dy else math.inf,
        1.0,
    )
    return box[0] + dx * share, box[1] + dy * share
