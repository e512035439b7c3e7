"""The gate's answer where people look for it: GitHub's annotations and step summary, and a webhook."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pytest_smartattend.errors import UsageError
from pytest_smartattend.readiness.changes import Changes
from pytest_smartattend.readiness.gate import Answer
from pytest_smartattend.readiness.reasons import CODES
from pytest_smartattend.readiness.summary import headline

#: seconds that a webhook gets; a slow one never holds up a release
PATIENCE = 10.0
#: lines of one kind in a summary
LINES = 20
_LEVELS = {0: "notice", 10: "warning"}


def title(answer: Answer) -> str:
    """The answer in one line."""
    if answer.document is None or answer.faults:
        return f"UNTRUSTWORTHY: {'; '.join(answer.faults)[:300]}"
    return headline(answer.document, answer.status)


def workflow_commands(answer: Answer, changes: Changes | None) -> Iterator[str]:
    """Workflow commands for GitHub Actions; one line each."""
    level = _LEVELS.get(answer.exit_code, "error")
    yield f"::{level} title=SmartAttend::{_data(title(answer))}"
    if changes is not None and changes.worsened:
        yield f"::error title=SmartAttend became worse::{_data(f'{changes.before} → {changes.after}')}"
    for reason in answer.reasons[:LINES]:
        level = _LEVELS.get(10 if reason.status == "at_risk" else 20, "error")
        text = f"{reason.text()} → {CODES[reason.code].advice}"
        yield f"::{level} title={reason.code}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def summary(answer: Answer, changes: Changes | None) -> str:
    """The answer as Markdown, for a step summary."""
    lines = [f"## {_plain(title(answer))}", ""]
    if changes is not None:
        word = "became worse" if changes.worsened else "since the last run"
        lines += [f"**{word}: {changes.before} → {changes.after}**", ""]
    if answer.reasons:
        lines += ["| status | reason | what to do |", "| --- | --- | --- |"]
        lines += [
            f"| {one.status} | `{one.code}`: {_plain(one.text())} | {_plain(CODES[one.code].advice)} |"
            for one in answer.reasons[:LINES]
        ]
        lines.append("")
    lines += [f"- allowed: `{one.code}`: {_plain(one.text())}" for one in answer.allowed]
    if changes is not None and changes.changes:
        lines += ["### What changed", ""]
        lines += [f"- {one.kind}: {_plain(one.text)}" for one in changes.changes[:LINES]]
        lines += [f"- … and {len(changes.changes) - LINES} more"] if len(changes.changes) > LINES else []
        lines.append("")
    if answer.document is not None:
        lines += ["| group | status | for | against | not shown |", "| --- | --- | ---: | ---: | ---: |"]
        for group in answer.document["groups"]:
            votes = group["consensus"]
            figures = f"{votes['for']} | {votes['against']} | {votes['abstained']}"
            lines.append(f"| {_plain(group['name'])} | {group['status']} | {figures} |")
    return "\n".join([*lines, "", ""])


def _plain(text: str) -> str:
    """Text that no Markdown, HTML or table is made of."""
    flat = " ".join(text.split())[:500]
    return "".join(f"&#{ord(sign)};" if sign in "|<>&`*_[]" else sign for sign in flat)


def tell_github(answer: Answer, changes: Changes | None, environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Append the step summary, and give the lines that GitHub makes annotations of; nothing elsewhere."""
    if environment.get("GITHUB_ACTIONS") != "true":
        return
    yield from workflow_commands(answer, changes)
    if environment.get("GITHUB_STEP_SUMMARY"):
        with Path(environment["GITHUB_STEP_SUMMARY"]).open("a", encoding="utf-8") as file:
            file.write(summary(answer, changes))


def check_webhook(url: str) -> str:
    """The URL, if an alert can be sent there.

    Raises:
        UsageError: it is no http or https URL with a host. The URL itself is a secret, and not shown.
    """
    if url and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname):
        raise UsageError("the webhook is no http or https URL with a host. Give one, or leave it out.")
    return url


def is_alert(answer: Answer, changes: Changes | None) -> bool:
    """Whether somebody must be told: it became worse, or it is not ready and nothing is known of before."""
    return answer.exit_code != 0 if changes is None else changes.worsened


def send(url: str, answer: Answer, changes: Changes | None, environment: Mapping[str, str] = os.environ) -> str:
    """Post the alert. Returns what came of it, in words; never raises, for the verdict stands whoever hears it."""
    import httpx

    host = urlsplit(url).hostname
    try:
        done = httpx.post(url, json=payload(answer, changes, environment), timeout=PATIENCE)
    except httpx.HTTPError as problem:
        return f"the alert did not reach {host} ({type(problem).__name__}); tell people yourself"
    told = "was told" if done.is_success else f"refused the alert with {done.status_code}; tell people yourself"
    return f"{host} {told}"


def payload(answer: Answer, changes: Changes | None, environment: Mapping[str, str]) -> dict[str, Any]:
    """The alert. ``text`` is what chat services show."""
    before = "" if changes is None else f"{changes.before} → {changes.after}: "
    server, repository, run = (environment.get(f"GITHUB_{name}") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    run_url = f"{server}/{repository}/actions/runs/{run}" if server and repository and run else None
    return {
        "text": before + title(answer),
        "status": answer.status,
        "exit_code": answer.exit_code,
        "previous": None if changes is None else changes.before,
        "worsened": changes is not None and changes.worsened,
        "reasons": [{"code": one.code, "text": one.text()} for one in answer.reasons],
        "changes": [{"kind": one.kind, "text": one.text} for one in changes.changes[:LINES]] if changes else [],
        "run_url": run_url or environment.get("CI_JOB_URL"),
    }
