"""When a request of a storm is sent again, and how long it waits before that."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from pytest_smartattend.engine.dice import decide
from pytest_smartattend.engine.units import MILLISECOND, SECOND
from pytest_smartattend.errors import UsageError
from pytest_smartattend.trials.wire import Reply


@dataclass(frozen=True)
class Retries:
    """Exponential backoff with jitter, and the same Idempotency-Key every time.

    An attempt is repeated when no answer came, or one of `statuses`. Before the n-th retry it waits `first` doubled
    n - 1 times, at most `longest`, of which a drawn part of up to a half is taken off, so that those who failed together
    do not come back together. A longer ``Retry-After`` in seconds is heeded, up to `longest`.

    Attributes:
        attempts: how often a request is sent at most, the first time included.
        first: the wait before the first retry.
        longest: the longest wait.
        statuses: answers after which it is sent again.

    Raises:
        UsageError: fewer than one attempt, or a negative wait.
    """

    attempts: int = 4
    first: timedelta = 50 * MILLISECOND
    longest: timedelta = 1 * SECOND
    statuses: frozenset[int] = frozenset({429, 500, 502, 503, 504})

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.first < timedelta(0) or self.longest < timedelta(0):
            raise UsageError(
                f"retries cannot be {self.attempts} attempts, from {self.first} up to {self.longest} apart. "
                "Give 1 attempt or more, and waits from 0."
            )

    def again(self, attempt: int, reply: Reply) -> bool:
        """Whether the request is sent again after `reply` to its `attempt`-th sending, from 1."""
        return attempt < self.attempts and (reply.raw is None or reply.raw.status in self.statuses)

    def pause(self, seed: int, key: str, attempt: int, reply: Reply) -> float:
        """Seconds to wait before the retry that follows the `attempt`-th sending."""
        longest = self.longest / SECOND
        backoff = min(self.first / SECOND * 2.0 ** min(attempt - 1, 60), longest)
        backoff *= 1 - decide(seed, "retry", key, attempt) / 2
        asked = "" if reply.raw is None else reply.raw.headers.get("retry-after", "")
        return max(backoff, min(float(asked), longest)) if asked.isdecimal() else backoff


#: every request is sent once
NEVER: Final = Retries(attempts=1)
