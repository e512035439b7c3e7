"""``smartattend gate``: read a readiness.json and exit with its verdict."""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pytest_smartattend.errors import UsageError
from pytest_smartattend.evidence import stopwatch
from pytest_smartattend.readiness import alerts, folder, requirements, scope, sealing
from pytest_smartattend.readiness.changes import Changes, compare
from pytest_smartattend.readiness.gate import Answer, Question, ask
from pytest_smartattend.readiness.reasons import status_from
from pytest_smartattend.readiness.summary import headline, one_line, reasons
from pytest_smartattend.readiness.verdict import all_checks, required_ids
from pytest_smartattend.readiness.wording import short

_UNITS = {"d": "days", "h": "hours", "m": "minutes"}
DEFAULT_AGE = "8d"
#: changes in the terminal before "… and more"
SHOWN = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a readiness.json")
    parser.add_argument("--target", help="the target that it must be about")
    parser.add_argument(
        "--subject",
        help="the commit or image that it must be about, a commit by 7 digits of its hash or more; a changed checkout is no commit",
    )
    add_judging_arguments(parser)
    parser.add_argument(
        "--require-signature", action="store_true", help="refuse a document without a checked signature"
    )
    parser.add_argument("--previous", type=Path, metavar="FILE", help="an earlier readiness.json: say what changed")
    parser.add_argument(
        "--webhook",
        default=os.environ.get("SMARTATTEND_WEBHOOK", ""),
        metavar="URL",
        help="post JSON there where it became worse, or is not ready without --previous; also SMARTATTEND_WEBHOOK",
    )
    parser.add_argument("--explain", action="store_true", help="show how each required check and objective was weighed")


def add_judging_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `gate` and `readiness` share."""
    parser.add_argument("--scope", type=Path, metavar="TOML", help="the readiness.toml that it must be about")
    parser.add_argument("--requirements", type=Path, metavar="TOML", help="judge by this file in place of what ships")
    parser.add_argument("--allow", action="append", default=[], metavar="CODE", help="forgive one reason of at_risk")
    parser.add_argument(
        "--max-age", default=DEFAULT_AGE, metavar="AGE", help="such as 8d, 12h, 30m; default %(default)s"
    )


def question_from(arguments: argparse.Namespace) -> Question:
    """What the arguments ask.

    Raises:
        UsageError: an age, a file or the signing key is not what is accepted.
    """
    needed = requirements.load(arguments.requirements or requirements.SHIPPED)
    scope.load(arguments.scope, needed)
    return Question(
        requirements=needed,
        at=dt.datetime.fromisoformat(stopwatch.wall()),
        max_age=_age(arguments.max_age),
        scope=hashlib.sha256(arguments.scope.read_bytes()).hexdigest() if arguments.scope else None,
        allow=tuple(arguments.allow),
        key=folder.signing_key(),
    )


def _age(text: str) -> dt.timedelta:
    found = re.fullmatch(r"(\d{1,5})([dhm])", text)
    if not found:
        raise UsageError(f"--max-age {text!r}: give a number and d, h or m, such as 8d or 12h.")
    return dt.timedelta(**{_UNITS[found[2]]: int(found[1])})


def run(arguments: argparse.Namespace) -> int:
    """Exit with 0 ready, 10 at risk, 20 not ready, 30 incomplete or about something else, 40 not trustworthy."""
    for name in ("target", "subject"):
        if getattr(arguments, name) == "":
            raise UsageError(
                f"--{name} is empty. Is the variable set from which it comes? Give one, or leave --{name} out."
            )
    alerts.check_webhook(arguments.webhook)
    question = replace(
        question_from(arguments),
        target=arguments.target,
        subject=arguments.subject,
        must_be_signed=arguments.require_signature,
    )
    answer = ask(arguments.file, question)
    arguments.settled.status = answer.exit_code
    changes, said = _changes(arguments.previous, answer, question)
    lines = [one_line(line) for line in (*told(answer), *said)]
    if arguments.explain and answer.document is not None:
        lines += [one_line(line) for line in _explained(answer, question)]
    # Who is to be told is told before anything is printed: whoever reads the output may stop reading.
    lines += alerts.tell_github(answer, changes)
    if arguments.webhook and alerts.is_alert(answer, changes):
        lines.append(f"  {alerts.send(arguments.webhook, answer, changes)}")
    print("\n".join(lines))
    return answer.exit_code


def _changes(path: Path | None, answer: Answer, question: Question) -> tuple[Changes | None, list[str]]:
    """What changed since the document in `path`, and how to tell it; None where there is nothing to compare with."""
    if path is None:
        return None, []
    if not path.exists():
        return None, [f"  there is no earlier document at {path}, so nothing is compared"]
    before = ask(path, replace(question, max_age=dt.timedelta.max, must_be_signed=False, subject=None, scope=None))
    if before.document is None or before.faults:
        return None, [f"  the earlier document at {path} cannot be trusted: {'; '.join(before.faults)[:300]}"]
    if answer.document is None:
        return Changes(before.document["status"], answer.status, ()), []
    if before.document["target"]["name"] != answer.document["target"]["name"]:
        return None, [f"  the earlier document is about target {before.document['target']['name']}: not compared"]
    found = compare(
        before.document,
        answer.document,
        status_from((*answer.reasons, *answer.allowed)) if not answer.faults else answer.status,
    )
    word = "WORSE than before" if found.worsened else "compared with before"
    shown = [f"    {one.kind}: {one.text[:240]}" for one in found.changes[:SHOWN]]
    more = [f"    … and {len(found.changes) - SHOWN} more"] if len(found.changes) > SHOWN else []
    return found, [f"  {word}: {found.before} → {found.after}", *shown, *more]


def told(answer: Answer) -> Iterator[str]:
    """The answer in words."""
    if answer.document is None or answer.faults:
        yield "UNTRUSTWORTHY: this is no verdict"
        for fault in answer.faults[:10]:
            yield f"  {fault}"
        if answer.faults == (sealing.NO_KEY,):
            yield f"  Set {sealing.KEY_VARIABLE} here to the key with which the run signed, and ask again."
        else:
            yield "  Take the document as the run wrote it, or run again."
        return
    yield headline(answer.document, answer.status)
    yield from reasons([reason.entry() for reason in answer.reasons], answer.document)
    for reason in answer.allowed:
        yield f"  allowed    {reason.code}: {reason.text()[:240]}"
    seal = answer.document["seal"]
    yield f"  seal: {seal['says']}; not exercised: {short('; '.join(answer.document['not_exercised']), 200)}"


def _explained(answer: Answer, question: Question) -> Iterator[str]:
    document = answer.document
    assert document is not None
    checks = {check["id"]: check for check in all_checks(document)}
    for name in sorted(required_ids(question.requirements, document["scope"])):
        check = checks.get(name)
        if check is None:
            yield f"  {'missing':<13} {name}"
            continue
        outcomes = ", ".join(f"{one['outcome']} ({one['events']} pieces of evidence)" for one in check["attempts"])
        yield f"  {check['status']:<13} {name}: {outcomes or 'no attempt'}"
    for one in document["objectives"]:
        limit = f"{one['limit']:g} {one['unit']}"
        yield f"  {one['status']:<13} {one['name']}: {one['observed']:g} of {limit} ({one['check']})"
