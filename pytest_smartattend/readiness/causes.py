"""Why checks were not shown, by cause: hundreds of them are often skipped for one line that an adapter lacks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_smartattend.readiness.verdict import all_checks
from pytest_smartattend.readiness.wording import many, short

#: reasons whose evidence is checks that came to no assertion: what stopped them, they often share
_GROUPED = frozenset({
    "check_skipped", "declared_skip", "check_error", "check_missing", "check_deselected", "check_not_run",
    "check_not_called", "check_vanished", "check_crashed", "check_interrupted",
})  # fmt: skip
#: causes of one reason before "… and more"
SHOWN = 4
#: without a cause of their own, so few checks are named by the reason itself
_FEW = 3
#: what pytest and a check put before the cause
_BEFORE = re.compile(r"^(?:Skipped: |Failed: |not run: )+")
#: ports, ids and moments do not make another cause
_VARYING = re.compile(r"\b[0-9a-f]*\d[0-9a-f]*\b")


@dataclass(frozen=True)
class Cause:
    """Checks that were not shown for one cause.

    Attributes:
        text: the cause, as the first of them tells it; the checks' common name where none tells one.
        count: how many there are.
        example: the id of one.
    """

    text: str
    count: int
    example: str

    def line(self) -> str:
        """In one line."""
        return f"{many(self.count, 'check')}: {short(self.text, 200)} (such as {short(self.example, 120)})"


def causes(document: Mapping[str, Any], reason: Mapping[str, Any]) -> list[Cause]:
    """The causes of one of the document's reasons, most frequent first; empty where the reason itself says it all."""
    if reason["code"] not in _GROUPED:
        return []
    told = {check["id"]: check["reason"] for check in all_checks(document)}
    if not any(told.get(name) for name in reason["evidence"]) and len(reason["evidence"]) <= _FEW:
        return []
    found: dict[str, list[tuple[str, str]]] = {}
    for name in reason["evidence"]:
        first = next((line for line in told.get(name, "").splitlines() if line.strip()), "")
        text = _BEFORE.sub("", first.strip()) or name.partition("[")[0]
        found.setdefault(_VARYING.sub("#", text), []).append((text, name))
    grouped = [Cause(same[0][0], len(same), same[0][1]) for same in found.values()]
    return sorted(grouped, key=lambda cause: -cause.count)


def lines(found: Sequence[Cause]) -> list[str]:
    """The most frequent causes, a line each, and how many more there are."""
    shown = [cause.line() for cause in found[:SHOWN]]
    rest = found[SHOWN:]
    if rest:
        shown.append(f"… and {sum(cause.count for cause in rest)} more, for {len(rest)} other causes")
    return shown
