"""``readiness.html``: the document as one page that needs no network, no script and no other file."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from pytest_smartattend.readiness import repeating, wording
from pytest_smartattend.readiness.advice import unproven_checks
from pytest_smartattend.readiness.page import figures, groups, states, times
from pytest_smartattend.readiness.summary import VERDICTS
from pytest_smartattend.readiness.verdict import all_checks

#: checks that did not pass are told in full up to here; of the others the first are named
TOLD, NAMED = 60, 400
#: characters of all that is told in full, so that a page of failures can still be opened
_BUDGET = 120_000


@cache
def _template() -> Any:  # noqa: ANN401
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("pytest_smartattend.readiness"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters.update(short=wording.short, duration=wording.duration, anchor=wording.anchor)
    environment.globals.update(sign=wording.sign, figure=wording.figure, many=wording.many, edge_signs=states.SIGNS)
    return environment.get_template("readiness.html.jinja")


def render(document: Mapping[str, Any]) -> str:
    """The page. Everything in it that came from a test, a platform or a person is escaped."""
    told, named = _wanting(document)
    page: str = _template().render(
        document=document,
        verdict=VERDICTS[document["status"]],
        reasons=groups.deciding(document),
        matrix=groups.matrix(document),
        objectives=figures.objectives(document),
        lanes=times.lanes(document),
        drills=times.drills(document),
        storms=times.storms(document),
        scripts=times.scripts(document),
        graphs=states.drawn(document),
        latencies=figures.latencies(document),
        measured=figures.measurements(document),
        trend=figures.trend(document),
        told=told,
        named=named[:NAMED],
        unnamed=len(named[NAMED:]),
        unproven=unproven_checks(document),
        linked={reason["text"]: reason["code"] for reason in document["status_reasons"]},
    )
    return page


def _wanting(document: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[Mapping[str, Any]]]:
    """What did not simply pass: the worst told in full, the others by name."""
    wanting = [check for check in all_checks(document) if check["status"] != "passed"]
    order = {"bad": 0, "gap": 1, "risk": 2}
    wanting.sort(key=lambda check: (not check["required"], order.get(wording.sign(check["status"])[1], 3)))
    faults: dict[str, list[Mapping[str, Any]]] = {}
    for one in document["faults"]:
        faults.setdefault(one["check"], []).append(one)
    told: list[dict[str, Any]] = []
    budget = _BUDGET
    named: list[Mapping[str, Any]] = []
    for check in wanting:
        if not check["attempts"] or len(told) == TOLD or budget <= 0:
            named.append(check)
            continue
        one = {
            **check,
            "repeat": repeating.command(document, check),
            "faults": faults.get(check["id"], [])[:10],
            "timeline": check["timeline"][-12:],
        }
        budget -= len(check["reason"][:1200]) + sum(len(str(one)[:1600]) for one in check["failures"][:5])
        budget -= sum(len(line) for log in check.get("logs", ()) for line in log["lines"])
        told.append(one)
    return told, named
