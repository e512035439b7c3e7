"""The verdict in words, for a terminal: one screen, whose first line says what it is about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_smartattend.readiness import causes
from pytest_smartattend.readiness.reasons import CODES
from pytest_smartattend.readiness.wording import figure, short

#: how each status is called
VERDICTS = {"ready": "READY", "at_risk": "AT RISK", "not_ready": "NOT READY", "incomplete": "INCOMPLETE"}
#: kinds of ``integrity``: checks of which the run lost sight, and those that were seen and showed nothing
_LOST = ("missing", "vanished", "crashed", "interrupted", "not_run", "evidence_lost")
_NOT_SHOWN = ("skipped", "deselected", "no_evidence", "impostors")
#: lines of one kind before "… and more"
LINES = 6


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
    target, subject = document["target"]["name"], document["subject"]["name"]
    return short(f"{verdict} for {document['scope']['text']} · target {target} · subject {subject}", 400)


def lines(document: Mapping[str, Any], where: str = "") -> Iterator[str]:
    """At most a screenful: headline, reasons with what to do, integrity, groups, objectives, where to read on."""
    yield headline(document)
    yield from reasons(document["status_reasons"], document)
    yield from _failures(document)
    yield f"  {_accounts(document['integrity'])}"
    for group in document["groups"]:
        votes = group["consensus"]
        yield f"  {short(group['name'], 60)}: {votes['for']} for, {votes['against']} against, {votes['abstained']} not shown"
    yield from _objectives(document["objectives"])
    yield f"  not exercised: {short('; '.join(document['not_exercised']), 200)}"
    if document.get("history_fault"):
        yield f"  history: {short(document['history_fault'], 200)}"
    if where:
        yield f"  {where}"


def reasons(entries: Sequence[Mapping[str, Any]], document: Mapping[str, Any]) -> Iterator[str]:
    """One line per reason, with the advice of the table; below it the causes that many checks share."""
    for reason in entries[:LINES]:
        advice = CODES[reason["code"]].advice if reason["code"] in CODES else ""
        yield f"  {reason['status']:<10} {reason['code']}: {short(reason['text'], 240)} → {advice}"
        yield from (f"      {line}" for line in causes.lines(causes.causes(document, reason)))
    if len(entries) > LINES:
        yield f"  … and {len(entries) - LINES} more reasons"


def _accounts(integrity: Mapping[str, Any]) -> str:
    """How many checks were required, and what became of every one of them."""
    counted = {name: len(integrity[name]) for name in (*_LOST, *_NOT_SHOWN, "reruns")}
    words = [f"{integrity['required']} checks required", f"{integrity['reported']} passed or failed"]
    words += [f"{number} {name.replace('_', ' ')}" for name, number in counted.items() if number]
    return ", ".join(words if any(counted[name] for name in _LOST) else [*words, "nothing lost"])


def _failures(document: Mapping[str, Any]) -> Iterator[str]:
    found = [
        f"  {short(check['id'], 120)}: {short(one.get('name', ''), 80)}: seen {short(one.get('seen'), 60)}, "
        f"expected {short(one.get('expected'), 60)}"
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
        seen, limit = figure(one["observed"], one["unit"]), figure(one["limit"], one["unit"])
        yield f"  {short(one['name'], 80)}: {seen} of {limit}, {one['status'].replace('_', ' ')} ({short(one['check'], 120)})"
