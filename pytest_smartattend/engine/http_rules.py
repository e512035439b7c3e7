"""Which requests a fault hits: counted and drawn for each key by itself, with a journal of what was decided.

May be asked from several threads and loops at once; what is shared changes in single steps.
"""

from __future__ import annotations

import re
from collections import deque
from itertools import count
from typing import Any, Final, Literal, NamedTuple

from pytest_smartattend.engine.dice import decide
from pytest_smartattend.engine.http_faults import Delay, HttpFault, RateLimit
from pytest_smartattend.engine.units import SECOND


class HttpEntry(NamedTuple):
    """One line of the journal.

    Attributes:
        fault: the fault's id, such as ``http/1:abort``.
        key: what the request was counted by.
        n: its ordinal under that key, from 1.
        event: ``hit`` or ``spared``, as it was decided; ``fired`` when the fault acted on it.
        draw: the draw in [0, 1); 0 where the probability left nothing to draw.
    """

    fault: str
    key: str
    n: int
    event: Literal["hit", "spared", "fired"]
    draw: float

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, field by field."""
        return self._asdict()


class HttpRule:
    """A fault while it holds.

    Args:
        fault: the value.
        fault_id: its name in the journal.
        seed: the root of every draw.

    Attributes:
        fired: how often it acted.
    """

    def __init__(self, fault: HttpFault, fault_id: str, seed: int) -> None:
        self.fault: Final = fault
        self.fault_id: Final = fault_id
        self.seed: Final = seed
        self._match = re.compile(_pattern(fault.match)).fullmatch
        self._counts: dict[str, count[int]] = {}
        self._journal: list[HttpEntry] = []
        self._passed: deque[float] = deque()

    def hit(self, method: str, path: str, idempotency_key: str | None) -> Hit | None:
        """Count a request that matches, and say whether it is hit; None where it does not match or is spared."""
        endpoint = f"{method} {path}"
        if self._match(endpoint) is None:
            return None
        fault = self.fault
        key = fault.match if fault.by == "match" else endpoint
        if fault.by == "key" and idempotency_key is not None:
            key = idempotency_key
        n = next(self._counts.setdefault(key, count(1)))
        draw = decide(self.seed, self.fault_id, key, n) if 0 < fault.probability < 1 else 0.0
        hit = fault.counts(n) and draw < fault.probability
        self._journal.append(HttpEntry(self.fault_id, key, n, "hit" if hit else "spared", draw))
        return Hit(self, key, n) if hit else None

    @property
    def fired(self) -> int:
        """On how many requests it has acted so far."""
        return sum(entry.event == "fired" for entry in self._journal[:])

    def journal(self) -> list[HttpEntry]:
        """What was decided and what fired, in an order of its own, so that the order of arrival does not show."""
        return sorted(self._journal)

    def note(self, entry: HttpEntry) -> None:
        """Write one line."""
        self._journal.append(entry)

    def wait_at(self, now: float) -> float | None:
        """For `RateLimit`: None where a request at `now` seconds passes, else the seconds until one does."""
        fault = self.fault
        assert isinstance(fault, RateLimit)
        passed, per = self._passed, fault.per / SECOND
        while passed and passed[0] <= now - per:
            passed.popleft()
        if len(passed) < fault.requests:
            passed.append(now)
            return None
        return passed[0] + per - now


class Hit(NamedTuple):
    """One request that a fault hits."""

    rule: HttpRule
    key: str
    n: int

    def fired(self) -> None:
        """Note that the fault acted on it."""
        self.rule.note(HttpEntry(self.rule.fault_id, self.key, self.n, "fired", 0.0))

    def late(self) -> float:
        """For `Delay`: seconds by which the answer is late, with the jitter drawn for this request."""
        fault = self.rule.fault
        assert isinstance(fault, Delay)
        delay = fault.delay / SECOND
        if not fault.jitter:
            return delay
        # a draw of its own, beside the one that decided
        draw = decide(self.rule.seed, f"{self.rule.fault_id} jitter", self.key, self.n)
        return delay + (2 * draw - 1) * (fault.jitter / SECOND)


def _pattern(match: str) -> str:
    """The regular expression of an endpoint's pattern."""
    method, _, path = match.partition(" ")
    rest = path.endswith("/**")
    segments = path.removesuffix("/**").split("/")[1:] if path != "/**" else []
    parts = ["[^/]+" if segment == "*" or segment.startswith("{") else re.escape(segment) for segment in segments]
    return f"{'[A-Z]+' if method == '*' else method} {''.join(f'/{part}' for part in parts)}{'(/.*)?' if rest else ''}"
