"""``readiness.html``: the document as one page that needs no network, no script and no other file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from pytest_smartattend.readiness.advice import unproven_checks
from pytest_smartattend.readiness.reasons import CODES
from pytest_smartattend.readiness.summary import headline

#: status of a check → (sign, class): never told by colour alone
SIGNS = {"passed": ("✓", "good"), "rerun": ("↻", "risk"), "xpassed": ("?", "risk"), "skipped": ("/", "gap")}
_BAD = {"failed", "error", "xfailed"}
#: lines of a timeline, and of operations, on the page; the document has more
_SHOWN = 20


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
    environment.filters["short"] = _short
    return environment.get_template("readiness.html.jinja")


def render(document: Mapping[str, Any]) -> str:
    """The page. Everything in it that came from a test, a platform or a person is escaped."""
    tables = [(group, _tables(group["checks"])) for group in document["groups"]]
    page: str = _template().render(
        document=document,
        headline=headline(document),
        advice={code: row.advice for code, row in CODES.items()},
        tables=tables,
        wanting=[check for group in document["groups"] for check in group["checks"] if check["status"] != "passed"],
        timelines=[
            (check, check["timeline"][:_SHOWN])
            for group in document["groups"]
            for check in group["checks"]
            if check["timeline"]
        ][:_SHOWN],
        measured=[
            (check["id"], figure)
            for group in document["groups"]
            for check in group["checks"]
            for figure in check["measurements"]
            if not figure["objective"]
        ][:100],
        unproven=unproven_checks(document),
        sign=sign,
    )
    return page


def sign(status: str) -> tuple[str, str]:
    """The sign and the class in which a check's status is shown."""
    return SIGNS.get(status) or (("✗", "bad") if status in _BAD else ("○", "gap"))


def _short(value: object, length: int = 300) -> str:
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= length else shown[:length] + "…"


def _tables(checks: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Checks with cells as tables, ``row-column``, and the others as one list each. Every cell is in exactly one."""
    families: dict[str, dict[str, Mapping[str, Any]]] = {}
    for check in checks:
        family, _, cell = check["id"].partition("[")
        families.setdefault(family, {})[cell.removesuffix("]")] = check
    return [_table(family, cells) for family, cells in families.items()]


def _table(family: str, cells: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
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
        "cells": cells,
        "grid": grid if is_table else None,
        "columns": columns,
    }
