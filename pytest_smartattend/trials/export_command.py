"""``smartattend export``: incidents of a running platform, as files that can be trusted and driven again."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from pytest_smartattend.engine import incident_record, record_seal
from pytest_smartattend.engine.incident_record import Document
from pytest_smartattend.errors import ContractBroken, TargetFailed, UsageError
from pytest_smartattend.target.client import Answer, Client
from pytest_smartattend.target.contract import SEVERITIES, STATUSES
from pytest_smartattend.trials import recorded

#: environment variable with the bearer token of an admin
TOKEN_VARIABLE = "SMARTATTEND_TOKEN"  # noqa: S105 - a name
#: exit status where a document cannot be trusted; it is written all the same, for it is evidence
UNTRUSTWORTHY = 40
#: seconds for one request
PATIENCE = 60.0
PAGE = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("url", help="where the platform answers, such as https://smartattend.example.test")
    parser.add_argument("id", nargs="?", help="the incident; without it, all that the options below leave")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write ID.json and heads.json there; else print it")
    parser.add_argument("--verbatim", action="store_true", help="leave names and texts as they are")
    parser.add_argument("--status", choices=STATUSES)
    parser.add_argument("--severity", choices=SEVERITIES)
    parser.add_argument("--since", type=_instant, metavar="TIME", help="reported then or later: 2026-11-22T08:00:00Z")
    parser.add_argument("--until", type=_instant, metavar="TIME", help="reported before then")


def run(arguments: argparse.Namespace) -> int:
    """Export; 0 when every document can be trusted, 40 when one cannot."""
    base = _base(arguments.url)
    token = os.environ.get(TOKEN_VARIABLE, "")
    if not token:
        raise UsageError(f"{TOKEN_VARIABLE} is not set. Log in as an admin at {base}/api/auth/login and set it.")
    wanted = {name: getattr(arguments, name) for name in ("status", "severity", "since", "until")}
    if arguments.id and any(wanted.values()):
        raise UsageError("An incident is named, and so nothing is left to choose. Leave the id out, or the options.")
    if not arguments.id and arguments.out is None:
        raise UsageError("Several documents make no file. Say where to: --out FOLDER.")
    with httpx.Client(base_url=base, timeout=PATIENCE) as http:
        client = Client(http, token, lambda _: None)
        if arguments.id:
            return _keep([_one(client, arguments.id, verbatim=arguments.verbatim)], arguments.out)
        return _keep(_many(client, {**wanted, "verbatim": arguments.verbatim}), arguments.out)


def _base(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc or "@" in parts.netloc:
        raise UsageError(f"{url!r} is no base URL. Give one such as https://smartattend.example.test, without a user.")
    return url.rstrip("/").removesuffix("/api")


def _one(client: Client, incident_id: str, *, verbatim: bool) -> Document:
    return incident_record.checked(_done(client.export(incident_id, verbatim=verbatim)), incident_id)


def _many(client: Client, wanted: dict[str, Any]) -> Iterator[Document]:
    cursor: str | None = None
    while True:
        page = _done(client.exports(**wanted, limit=PAGE, cursor=cursor))
        for item in page["items"]:
            yield incident_record.checked(item)
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _done(answer: Answer) -> Any:  # noqa: ANN401 - JSON is anything
    where = f"{answer.operation.method} {answer.operation.path}"
    if answer.status is None:
        raise TargetFailed(f"{where}: no answer came. See whether the platform answers at /api/health.")
    if not answer.ok:
        said = (answer.body or {}).get("detail", "") if isinstance(answer.body, dict) else ""
        raise UsageError(f"{where} was answered {answer.summary}: {said or 'nothing more was said'}.")
    if not isinstance(answer.body, dict):
        raise ContractBroken(f"{where} answered no JSON object. Is {where} a SmartAttend platform of this version?")
    return answer.body


def _keep(documents: list[Document] | Iterator[Document], folder: Path | None) -> int:
    key, status, name = os.environ.get(record_seal.KEY_VARIABLE, "").encode(), 0, ""
    for document in documents:
        name = document["record"]["incident"]["id"]
        if folder is None:
            sys.stdout.buffer.write(incident_record.canonical(document) + b"\n")
        else:
            recorded.keep(document, folder / f"{name}.json")
            head = document["record"]["source"]["head"]
            print(f"{folder / name}.json  {head and head['seq']} events, digest {document['digest']}")
        for fault in record_seal.faults_of(document, key=key):
            print(f"{name}: {fault}", file=sys.stderr)
            status = UNTRUSTWORTHY
    if not name:
        print("There is no such incident; nothing was written.", file=sys.stderr)
    return status


def _instant(text: str) -> str:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; give one such as 2026-11-22T08:00:00Z") from None
    if instant.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} has no time zone; put a Z behind it for UTC")
    return instant.isoformat()
