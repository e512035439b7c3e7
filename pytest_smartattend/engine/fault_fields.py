"""What each field of a fault accepts, once for all faults: a field means the same wherever its name appears."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, Literal, get_args

Direction = Literal["up", "down", "both"]
Lost = Literal["request", "answer"]
CountedBy = Literal["path", "match", "key"]

#: fields that are durations
DURATIONS: Final = frozenset({"delay", "jitter", "after", "per", "retry_after", "offset"})
#: a request's method and path; a segment may be ``*`` or ``{name}``, and the last one ``**`` for any rest
_ENDPOINT: Final = re.compile(r"(\*|[A-Z]+) (/\*\*|(/([^/*{}\s]*|\*|\{\w+\}))+(/\*\*)?)")


def _duration(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, timedelta) and timedelta(0) <= value <= timedelta(days=1)


def _offset(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, timedelta) and abs(value) <= timedelta(days=1)


def _rate(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1_000_000


def _count(least: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= least


def _share(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _commands(value: Any) -> bool:  # noqa: ANN401
    return (
        isinstance(value, tuple)
        and bool(value)
        and all(isinstance(tag, str) and tag and tag == tag.upper() for tag in value)
    )


def _endpoint(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, str) and _ENDPOINT.fullmatch(value) is not None


_A_DURATION = "a timedelta from 0 to one day, such as 200 * MILLISECOND or timedelta(seconds=5)"

#: field → (what is accepted, in words; whether a value is)
ACCEPTED: Final[dict[str, tuple[str, Callable[[Any], bool]]]] = {
    "probability": ("a share from 0 to 1, 0.3 for 30 %", _share),
    "direction": (f"one of {', '.join(get_args(Direction))}", lambda value: value in get_args(Direction)),
    "delay": (_A_DURATION, _duration),
    "jitter": (_A_DURATION, _duration),
    "after": (_A_DURATION, _duration),
    "bytes_per_second": ("a whole number from 1", _count(1)),
    "bytes": ("a whole number from 1", _count(1)),
    "commands": ("a tuple of command tags in upper case, such as ('COMMIT', 'INSERT')", _commands),
    "times": ("a whole number from 1", _count(1)),
    "match": ("a method and a path, such as 'POST /school/attendance', '* /incidents/{id}' or '* /**'", _endpoint),
    "first": ("a whole number from 1", _count(1)),
    "every": ("a whole number from 1", _count(1)),
    "nth": ("a whole number from 1", _count(1)),
    "by": (f"one of {', '.join(get_args(CountedBy))}", lambda value: value in get_args(CountedBy)),
    "lost": (f"one of {', '.join(get_args(Lost))}", lambda value: value in get_args(Lost)),
    "status": ("an HTTP status from 200 to 599", lambda value: _count(200)(value) and value <= 599),
    "requests": ("a whole number from 1", _count(1)),
    "per": ("a timedelta above 0, up to one day", lambda value: _duration(value) and value > timedelta(0)),
    "retry_after": (_A_DURATION, _duration),
    "offset": ("a timedelta up to one day, ahead or, below 0, behind", _offset),
    "ppm": ("a number between -1,000,000 and 1,000,000, microseconds gained in a second", _rate),
    "node": ("a name that is not empty", lambda value: isinstance(value, str) and value != ""),
    "worker": ("a whole number from 0", _count(0)),
}
