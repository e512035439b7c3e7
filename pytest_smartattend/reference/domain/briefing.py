"""A handoff for people: plain text and Markdown. What others wrote is shown, never obeyed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

#: characters that mean something in Markdown, or in the HTML that it lets through
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~&:@/])")


def plain(text: str) -> str:
    """`text` on one line, without characters that move the cursor or turn the direction of writing."""
    kept = "".join(" " if unicodedata.category(char) in {"Cc", "Zl", "Zp"} else char for char in text)
    return " ".join("".join(char for char in kept if unicodedata.category(char) != "Cf").split())


def escaped(text: str) -> str:
    """`text` so that Markdown shows it as it is, and makes no link, heading or HTML of it."""
    return _MARKDOWN.sub(r"\\\1", plain(text))


def as_text(view: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """The briefing as plain text. `view` is the handoff as it goes over the wire, `names` are people's by id."""
    return _written(_outline(view, names, plain), lambda line, first: [line, ("=" if first else "-") * len(line)])


def as_markdown(view: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """The briefing as Markdown."""
    return _written(_outline(view, names, escaped), lambda line, first: [f"{'#' if first else '##'} {line}", ""])


#: depth and words of a line; a heading has the depth -1
Line = tuple[int, str]
Safe = Callable[[str], str]


def _written(outline: Iterable[Line], heading: Callable[[str, bool], list[str]]) -> str:
    lines: list[str] = []
    for depth, line in outline:
        if depth < 0:
            lines += [*([""] if lines else []), *heading(line, not lines)]
        else:
            lines.append(f"{'  ' * depth}- {line}")
    return "\n".join(lines) + "\n"


def _outline(view: Mapping[str, Any], names: Mapping[str, str], safe: Safe) -> Iterator[Line]:
    def who(user_id: str) -> str:
        return safe(names.get(user_id, user_id))

    yield -1, f"Handoff {view['id']}: {view['status']}"
    yield 0, f"from {who(view['from_user_id'])} to {who(view['to_user_id'])}"
    yield 0, f"initiated {view['initiated_at']}, to be accepted by {view['expires_at']}"
    yield 0, f"as of {view['as_of']}"
    health = view["health"]
    yield 0, f"health {health['status']}: {health['failure_rate']:.1%} of {health['requests']} requests failed"
    if view["briefing_notes"].strip():
        yield 0, f"notes: {safe(view['briefing_notes'])}"
    yield from _ending(view, who, safe)
    yield -1, "Critical alerts"
    titles = {item["id"]: safe(item["title"]) for item in view["incidents"]}
    yield from _or_none(
        (0, f"{titles[alert['incident_id']] + ': ' if alert['incident_id'] else ''}{alert['text']}")
        for alert in view["critical_alerts"]
    )
    yield -1, f"Open incidents: {len(view['incidents'])}"
    yield from _or_none(line for item in view["incidents"] for line in _incident(item, who, safe))
    yield -1, "Since the initiation"
    yield from _or_none(_changes(view["difference"], safe))


def _ending(view: Mapping[str, Any], who: Safe, safe: Safe) -> Iterator[Line]:
    ending = view["ended"]
    if ending is None:
        return
    reason = f": {safe(ending['reason'])}" if ending["reason"] else ""
    yield 0, f"{ending['status']} by {who(ending['actor'])} at {ending['at']}{reason}"
    for incident_id, said in (ending["read_back"] or {}).items():
        yield 1, f"read back of {incident_id}: {safe(said)}"


def _incident(item: Mapping[str, Any], who: Safe, safe: Safe) -> Iterator[Line]:
    level = f" at {item['escalation_level']}" if item["escalation_level"] else ""
    yield 0, f"{safe(item['title'])} ({item['severity']}, {item['status']}{level}), {item['id']}"
    yield 1, f"owner {who(item['owner_id'])}, reported {item['created_at']}"
    windows = (f"{promise} {window['status']}, due {window['due_at']}" for promise, window in item["sla"].items())
    yield 1, f"promises: {'; '.join(windows)}"
    if item["escalations"]:
        steps = " → ".join(f"{step['level']} by {who(step['actor'])} at {step['at']}" for step in item["escalations"])
        yield 1, f"escalated: {steps}"
    for step in item["next_actions"]:
        yield (
            1,
            f"next: {step['action']}{' to ' + step['level'] if step['level'] else ''} by {step['by']}: {step['why']}",
        )


def _changes(changed: Mapping[str, Any], safe: Safe) -> Iterator[Line]:
    for word in ("opened", "closed"):
        for item in changed[word]:
            yield 0, f"{word}: {safe(item['title'])} ({item['severity']}), {item['id']}"
    for entry in changed["changed"]:
        item = entry["incident"]
        what = ", ".join(f"{one['what']} {one['from'] or 'none'} → {one['to'] or 'none'}" for one in entry["changes"])
        yield 0, f"changed: {safe(item['title'])}, {item['id']}: {what}"


def _or_none(lines: Iterable[Line]) -> Iterator[Line]:
    empty = True
    for line in lines:
        empty = False
        yield line
    if empty:
        yield 0, "none"
