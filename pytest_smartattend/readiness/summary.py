"""The verdict in words, for a terminal: one screen, whose first line says what it is about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_smartattend.readiness.reasons import CODES

#: how each status is called
VERDICTS = {"ready": "READY", "at_risk": "AT RISK", "not_ready": "NOT READY", "incomplete": "INCOMPLETE"}
#: lines of one kind before "… and more"
LINES = 8


def one_line(text: str) -> str:
    """Text without control characters: names are strangers' words, and a line's end in one could begin a command."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def headline(document: Mapping[str, Any], status: str | None = None) -> str:
    """Verdict, scope, target and subject in one line.

    Args:
        document: a document.
        status: the status to tell in place of the document's own.
    """
    verdict = VERDICTS[status or document["status"]]
    return f"{verdict} for {document['scope']['text']} · target {document['target']['name']} · subject {document['subject']['name']}"


def lines(document: Mapping[str, Any], where: str = "") -> Iterator[str]:
    """At most a screenful: headline, reasons with what to do, integrity, groups, objectives, where to read on."""
    yield headline(document)
    yield from reasons(document["status_reasons"])
    yield from _failures(document)
    integrity = document["integrity"]
    lost = {name: len(integrity[name]) for name in ("missing", "vanished", "crashed", "interrupted", "reruns")}
    counted = ", ".join(f"{number} {name}" for name, number in lost.items() if number) or "nothing lost"
    yield f"  {integrity['required']} checks required, {integrity['reported']} reported, {counted}"
    for group in document["groups"]:
        votes = group["consensus"]
        yield f"  {group['name']}: {votes['for']} for, {votes['against']} against, {votes['abstained']} not shown"
    yield from _objectives(document["objectives"])
    yield f"  not exercised: {'; '.join(document['not_exercised'])[:200]}"
    if where:
        yield f"  {where}"


def reasons(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """One line per reason, with the advice of the table."""
    for reason in entries[:LINES]:
        advice = CODES[reason["code"]].advice if reason["code"] in CODES else ""
        yield f"  {reason['status']:<10} {reason['code']}: {reason['text'][:240]} → {advice}"
    if len(entries) > LINES:
        yield f"  … and {len(entries) - LINES} more reasons"


def _failures(document: Mapping[str, Any]) -> Iterator[str]:
    found = [
        f"  {check['id']}: {one.get('name', '')}: seen {str(one.get('seen'))[:60]}, expected {str(one.get('expected'))[:60]}"
        for group in document["groups"]
        for check in group["checks"]
        for one in check["failures"][:1]
        if one["kind"] == "expect"
    ]
    yield from found[:LINES]
    if len(found) > LINES:
        yield f"  … and {len(found) - LINES} more checks that saw something else than expected"


def _objectives(objectives: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for one in [one for one in objectives if one["status"] != "met"][:LINES]:
        yield f"  {one['name']}: {one['observed']:g} {one['unit']} of {one['limit']:g} {one['unit']}, {one['status']}"
