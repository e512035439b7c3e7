"""What each field of a fault accepts, once for all faults: a field means the same wherever its name appears."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, Literal, get_args

Direction = Literal["up", "down", "both"]

#: fields that are durations
DURATIONS: Final = frozenset({"delay", "jitter", "after"})


def _duration(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, timedelta) and timedelta(0) <= value <= timedelta(days=1)


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
}
