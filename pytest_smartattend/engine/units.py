"""Durations, as `timedelta` at every door: ``5 * SECOND`` reads as it is meant, and nobody has to ask for the unit."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

MILLISECOND: Final = timedelta(milliseconds=1)
SECOND: Final = timedelta(seconds=1)


def in_words(duration: timedelta) -> str:
    """`duration` for people: ``250 ms`` below a second, else seconds without needless digits, ``1.5 s``."""
    if duration < SECOND:
        return f"{duration / MILLISECOND:g} ms"
    return f"{duration / SECOND:.12g} s"
