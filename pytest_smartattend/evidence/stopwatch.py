"""Real time, also while a test freezes or moves the clock.

freezegun and time-machine replace what `time` and `datetime` tell. Evidence says when something truly happened, so it
reads the kernel's monotonic clock and adds the distance to the calendar as it was when this module was loaded.
"""

from __future__ import annotations

import time

_NANOSECONDS = 1_000_000_000
_CALENDAR = time.clock_gettime_ns(time.CLOCK_REALTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def monotonic_ns() -> int:
    """Nanoseconds since an unspecified start, never going back; comparable between processes of one machine."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def wall(mono_ns: int | None = None) -> str:
    """The calendar's time at `mono_ns` (default: now), RFC 3339 in UTC with six decimals."""
    seconds, rest = divmod(_CALENDAR + (monotonic_ns() if mono_ns is None else mono_ns), _NANOSECONDS)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest // 1000:06d}Z"
