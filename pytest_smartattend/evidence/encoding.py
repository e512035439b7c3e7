"""What evidence may hold: JSON, strictly, and no more of it than a report can show.

Everything passes this door before it is written or sent. An object that execnet cannot carry kills an xdist worker's
report, and pytest may then exit 0 with a test lost; so nothing but JSON text ever leaves a test.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
import math
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal
from pathlib import PurePath
from typing import Any, TypeAlias
from uuid import UUID

from pytest_smartattend.errors import EvidenceError
from pytest_smartattend.evidence.redaction import has_a_hint, redacted_values

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

#: characters of one text
TEXT_LIMIT = 4_000
#: members of one list or mapping
MEMBER_LIMIT = 400
#: levels of nesting
DEPTH_LIMIT = 20
#: characters of one whole record
RECORD_LIMIT = 64_000
#: whole numbers beyond this are not exact in every JSON reader (RFC 8785, 3.2.2.3), and are written as text
EXACT_LIMIT = 2**53 - 1

#: one line, ASCII; made once, because a storm encodes ten thousand records
ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)

_LONE_SURROGATES = re.compile("[\ud800-\udfff]")


def text(value: str) -> str:
    """`value` without lone surrogates (they are no Unicode text) and of bounded length."""
    if not value.isascii():
        value = _LONE_SURROGATES.sub("\N{REPLACEMENT CHARACTER}", value)
    if len(value) > TEXT_LIMIT:
        return f"{value[:TEXT_LIMIT]}… ({len(value) - TEXT_LIMIT} more characters)"
    return value


def well_formed(value: Any) -> Any:  # noqa: ANN401
    """JSON values without lone surrogates in any of their texts, for what did not come through `plain`."""
    if isinstance(value, str):
        return value if value.isascii() else _LONE_SURROGATES.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, list | tuple):
        return [well_formed(member) for member in value]
    if isinstance(value, Mapping):
        return {well_formed(key): well_formed(member) for key, member in value.items()}
    return value


def plain(value: object, depth: int = 0) -> Json:
    """`value` as JSON can hold it.

    Enum members become their value, moments RFC 3339, durations seconds, sets sorted lists, bytes hexadecimal text,
    dataclasses mappings. What is too long is cut, and says by how much.

    Raises:
        EvidenceError: NaN or infinity, more than `DEPTH_LIMIT` levels, or a type that has no plain form.
    """
    kind = type(value)
    if kind is str:
        return text(value)  # type: ignore[arg-type]
    if value is None or kind is bool:
        return value  # type: ignore[return-value]
    if depth > DEPTH_LIMIT:
        raise EvidenceError(f"evidence nests deeper than {DEPTH_LIMIT} levels. Record the part that matters.")
    if isinstance(value, enum.Enum):  # before int and str: a StrEnum is a str
        return plain(value.value, depth + 1)
    if isinstance(value, str):
        return text(value)
    if isinstance(value, int):
        return int(value) if abs(value) <= EXACT_LIMIT else text(str(value))
    if isinstance(value, float):
        return _finite(value)
    if isinstance(value, Mapping):
        return _mapping(value, depth)
    if isinstance(value, list | tuple):
        return _members([plain(member, depth + 1) for member in value[:MEMBER_LIMIT]], len(value))
    if isinstance(value, AbstractSet):
        members = sorted((plain(member, depth + 1) for member in value), key=json.dumps)
        return _members(members[:MEMBER_LIMIT], len(value))
    return _leaf(value, depth)


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise EvidenceError(
            f"{value!r} is no measurement. Record None where nothing was measured, or fail the check where the figure "
            "could not be had."
        )
    return float(value)


def _members(members: list[Json], length: int) -> list[Json]:
    if length > len(members):
        members.append(f"… ({length - len(members)} more)")
    return members


def _mapping(value: Mapping[Any, object], depth: int) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for number, (key, member) in enumerate(value.items()):
        if number == MEMBER_LIMIT:
            found["…"] = f"{len(value) - MEMBER_LIMIT} more"
            break
        name = key if type(key) is str and key.isascii() and len(key) <= TEXT_LIMIT else plain(key, depth + 1)
        found[name if isinstance(name, str) else json.dumps(name)] = plain(member, depth + 1)
    return found


def _leaf(value: object, depth: int) -> Json:
    if isinstance(value, dt.datetime):
        moment = value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
        return moment.isoformat(timespec="microseconds") + ("Z" if value.tzinfo else "")
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal | UUID | PurePath):
        return text(str(value))
    if isinstance(value, bytes | bytearray | memoryview):
        return text(bytes(value).hex())
    if isinstance(value, BaseException):
        return text(f"{type(value).__name__}: {value}")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return _mapping(fields, depth)
    raise EvidenceError(
        f"evidence cannot hold a {type(value).__module__}.{type(value).__qualname__}. Record plain values of it: "
        "text, numbers, lists, mappings, moments, or str(…) of the object."
    )


def encode(value: object) -> str:
    """`value` as one line of JSON, in ASCII and without secrets; cut to `RECORD_LIMIT` characters where it is longer.

    Raises:
        EvidenceError: as `plain`.
    """
    shown = plain(value)
    line = ENCODER.encode(shown)
    if has_a_hint(line):
        shown = redacted_values(shown)
        line = ENCODER.encode(shown)
    if len(line) <= RECORD_LIMIT:
        return line
    cut: dict[str, Json] = {"cut": line[:TEXT_LIMIT], "characters": len(line)}
    if isinstance(value, Mapping):  # what tells a reader which record this is, and what it decides, is kept whole
        cut |= {str(key): plain(member) for key, member in value.items() if key in {"name", "held", "seed"}}
    return ENCODER.encode(redacted_values(cut))
