"""Reads an exported incident that somebody hands over: bounded, strictly, and naming the place of what is wrong.

The schema is ``fixtures/schema/incident-1.json``; this is its one reader.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any, NoReturn

from pytest_smartattend.errors import RecordRefused

#: bytes; an incident of ten thousand events takes about six million
SIZE_LIMIT = 16 * 2**20
#: arrays and objects within one another; a document of ours has seven
DEPTH_LIMIT = 16
FORMAT = "smartattend-incident"
MAJOR = "1"

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
Document = dict[str, Any]


def canonical(value: object) -> bytes:
    """Canonical JSON as in RFC 8785, of what the schema lets through: no fractions, and names in ASCII."""
    return _ENCODER.encode(value).encode()


def read(content: bytes, name: str = "the export") -> Document:
    """The document in `content`, to the schema; whether it can be trusted is for `record_seal` to say.

    Args:
        content: the file's bytes.
        name: how messages call it.

    Raises:
        RecordRefused: it is too large, not JSON, of another kind or version, or not to the schema; names the place.
    """
    if len(content) > SIZE_LIMIT:
        raise _refused(name, f"is larger than {SIZE_LIMIT} bytes")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise _refused(name, f"is not UTF-8 at byte {problem.start}") from None
    try:
        document = json.loads(text, object_pairs_hook=_no_key_twice, parse_constant=_no_constant, parse_float=_no_float)
    except json.JSONDecodeError as problem:
        raise _refused(name, f"is not JSON at line {problem.lineno}, column {problem.colno}: {problem.msg}") from None
    except ValueError as problem:
        raise _refused(name, str(problem)) from None
    except RecursionError:
        raise _refused(name, f"is nested deeper than {DEPTH_LIMIT}") from None
    return checked(document, name)


def checked(document: object, name: str = "the export") -> Document:
    """The decoded `document`, to the schema.

    Raises:
        RecordRefused: as for `read`.
    """
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise _refused(name, f'is no exported incident: its "format" is not "{FORMAT}"')
    version = str(document.get("schema_version"))[:20]
    if version.partition(".")[0] != MAJOR:
        raise _refused(name, f"is of schema version {version}; this reads version {MAJOR}")
    if _too_deep(document):
        raise _refused(name, f"is nested deeper than {DEPTH_LIMIT}")
    try:
        faults = [
            f"/{'/'.join(map(str, error.instance_path))}: {error.message[:200]}"
            for error in itertools.islice(_validator().iter_errors(document), 3)
        ]
        canonical(document)
    except UnicodeEncodeError:
        raise _refused(name, "holds half a surrogate pair, which no UTF-8 can carry") from None
    faults = faults or _no_instants(document["record"])
    if faults:
        raise _refused(name, f"is not to the schema: {'; '.join(faults)}")
    return document


def _no_instants(record: Mapping[str, Any]) -> list[str]:
    """Times that look like one and are none: no schema counts the days of a month."""
    told = [("incident/created_at", record["incident"]["created_at"])]
    for part in ("events", "refusals"):
        told += [(f"{part}/{number}/at", row["at"]) for number, row in enumerate(record[part])]
    for promise, window in record["sla"].items():
        told += [(f"sla/{promise}/{name}", at) for name, at in window.items() if name.endswith("_at") and at]
    return [f"/record/{place}: {at!r} is no instant" for place, at in told if not _is_instant(at)][:3]


def _is_instant(text: str) -> bool:
    try:
        return bool(datetime.fromisoformat(text))
    except ValueError:
        return False


@cache
def _validator() -> Any:  # noqa: ANN401
    from jsonschema_rs import Draft202012Validator

    schema = resources.files("pytest_smartattend.fixtures").joinpath("schema", "incident-1.json")
    return Draft202012Validator(json.loads(schema.read_text("utf-8")))


def _refused(name: str, why: str) -> RecordRefused:
    return RecordRefused(f"{name} {why}. Export the incident anew: smartattend export URL ID.")


def _too_deep(document: object) -> bool:
    """Level by level, and not by recursion: what is too deep would be too deep for us as well."""
    level = [document]
    for _ in range(DEPTH_LIMIT):
        level = [
            inner
            for value in level
            if isinstance(value, (dict, list))
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return False
    return True


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"names the key {twice[:60]!r} twice in one object")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"holds {name}, which is no number of JSON")


def _no_float(text: str) -> NoReturn:
    raise ValueError(f"holds the fraction {text[:30]}; every figure of an export is a whole number")
