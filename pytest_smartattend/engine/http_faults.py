"""Faults of single requests, as values: what shall go wrong, at which endpoint, and with which requests.

A value does nothing. `injectors` carries it out, on the client's side as an httpx transport or on the platform's as ASGI
middleware. Words that every fault shares:

match        method and path below the API's prefix; a segment may be ``*`` or ``{name}``, a last ``**`` is any rest.
probability  the share of the matching requests that are hit, 0 to 1, drawn by `engine.dice`.
first        only the first so many requests are hit; ``every``: every n-th; ``nth``: the n-th alone. At most one.
by           what requests are counted and drawn by. ``path``: the request's own method and path. ``match``: all requests
             of the pattern as one row. ``key``: the Idempotency-Key where there is one, so that the fate of a
             submission and of each of its retries is the same in whatever order submissions arrive.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import ClassVar

from pytest_smartattend.engine.fault_fields import CountedBy, Lost
from pytest_smartattend.engine.faults import Fault
from pytest_smartattend.engine.units import in_words
from pytest_smartattend.errors import UsageError

_NOTHING = timedelta(0)


@dataclass(frozen=True)
class HttpFault(Fault):
    """The root of the faults of requests. See the module's words for the fields.

    Raises:
        UsageError: a value is out of its range, or more than one of first, every and nth is given.
    """

    match: str = dataclasses.field(default="* /**", kw_only=True)
    probability: float = dataclasses.field(default=1.0, kw_only=True)
    first: int | None = dataclasses.field(default=None, kw_only=True)
    every: int | None = dataclasses.field(default=None, kw_only=True)
    nth: int | None = dataclasses.field(default=None, kw_only=True)
    by: CountedBy = dataclasses.field(default="path", kw_only=True)

    def __post_init__(self) -> None:
        """Check also that the requests are not chosen in two ways at once."""
        super().__post_init__()
        given = [name for name in ("first", "every", "nth") if getattr(self, name) is not None]
        if len(given) > 1:
            raise UsageError(
                f"{self.kind}: {' and '.join(given)} exclude each other. Give one of first, every and nth."
            )

    def counts(self, n: int) -> bool:
        """Whether the `n`-th matching request, from 1, is one that may be hit."""
        if self.first is not None:
            return n <= self.first
        if self.every is not None:
            return n % self.every == 0
        return self.nth is None or n == self.nth

    def _where(self) -> str:
        which = ""
        if self.first is not None:
            which = f"the first {self.first} of "
        elif self.every is not None:
            which = f"every {self.every}. of "
        elif self.nth is not None:
            which = f"number {self.nth} of "
        share = "" if self.probability == 1 else f"{self.probability * 100:g} % of "
        each = "" if self.by == "match" else f" for each {self.by}"
        return f"on {share}{which}{self.match}{each}"


@dataclass(frozen=True)
class Abort(HttpFault):
    """The request is answered with an error and goes no further. `retry_after` is sent in whole seconds, rounded up."""

    kind: ClassVar[str] = "abort"
    status: int = HTTPStatus.SERVICE_UNAVAILABLE.value
    retry_after: timedelta | None = None

    def describe(self) -> str:
        """The fault in plain words."""
        return f"{self.status} {self._where()}"


@dataclass(frozen=True)
class Delay(HttpFault):
    """The request is done at once, and its answer comes late by `delay` ± `jitter` (uniform)."""

    kind: ClassVar[str] = "delay"
    delay: timedelta
    jitter: timedelta = _NOTHING

    def describe(self) -> str:
        """The fault in plain words."""
        jitter = f" ± {in_words(self.jitter)}" if self.jitter else ""
        return f"answers late by {in_words(self.delay)}{jitter} {self._where()}"


@dataclass(frozen=True)
class Timeout(HttpFault):
    """Nothing comes back for `after`, and then the connection ends.

    With `lost` ``request`` the platform never saw the request; with ``answer`` it did what was asked.
    """

    kind: ClassVar[str] = "timeout"
    after: timedelta
    lost: Lost = "answer"

    def describe(self) -> str:
        """The fault in plain words."""
        return f"{self.lost} lost, silence for {in_words(self.after)} {self._where()}"


@dataclass(frozen=True)
class Reset(HttpFault):
    """The connection ends before the answer is there. `lost` as in `Timeout`."""

    kind: ClassVar[str] = "reset"
    lost: Lost = "answer"

    def describe(self) -> str:
        """The fault in plain words."""
        return f"{self.lost} lost, connection ended {self._where()}"


@dataclass(frozen=True)
class Truncate(HttpFault):
    """The connection ends when `bytes` of the answer's body have come; a shorter body passes whole."""

    kind: ClassVar[str] = "truncate"
    bytes: int

    def describe(self) -> str:
        """The fault in plain words."""
        return f"answers cut after {self.bytes} bytes {self._where()}"


@dataclass(frozen=True)
class Duplicate(HttpFault):
    """The platform gets the request `times` more than it was sent, one after the other; the last answer comes back.

    That is what a proxy does that sends again because it lost the first answer.
    """

    kind: ClassVar[str] = "duplicate"
    times: int = 1

    def describe(self) -> str:
        """The fault in plain words."""
        return f"sent {self.times + 1} times {self._where()}"


@dataclass(frozen=True)
class RateLimit(HttpFault):
    """Of the requests hit, `requests` pass in any stretch of `per`; more are answered 429 with a ``Retry-After``.

    Which of them are refused depends on when they come, so a seed does not promise it.
    """

    kind: ClassVar[str] = "rate_limit"
    requests: int
    per: timedelta

    def describe(self) -> str:
        """The fault in plain words."""
        return f"at most {self.requests} requests in {in_words(self.per)} {self._where()}"


HTTP_KINDS: dict[str, type[Fault]] = {
    fault.kind: fault for fault in (Abort, Delay, Timeout, Reset, Truncate, Duplicate, RateLimit)
}
