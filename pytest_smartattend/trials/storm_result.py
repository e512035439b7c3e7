"""What a storm was: how much was sent, what came back, and how long it took."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pytest_smartattend.engine.histogram import Histogram
from pytest_smartattend.engine.history import History
from pytest_smartattend.engine.units import in_words
from pytest_smartattend.trials.wire import Reply


@dataclass
class StormResult:
    """The outcome of one storm.

    Attributes:
        mode: ``last_byte``, ``closed`` or ``open``.
        history: every operation that was begun.
        latency: of each operation with its retries, from when it was due (``open``), let go (``last_byte``) or begun.
        late: ``open`` only: how long after it was due each request was begun; the loop's timer adds up to 1 ms.
        replies: status → how many attempts it answered; ``lost`` and ``unsent`` for those without an answer.
        answered: attempts to which an answer came, whatever it was.
        dropped: ``open`` only: requests that found no free worker in time, and were never sent.
        inside: ``last_byte`` only: how many requests the platform confirmed to be inside it when they were let go.
        seconds: from the first connection to the last answer.
    """

    mode: str
    history: History = field(default_factory=History)
    latency: Histogram = field(default_factory=Histogram)
    late: Histogram = field(default_factory=Histogram)
    replies: Counter[str] = field(default_factory=Counter)
    answered: int = 0
    dropped: int = 0
    inside: int | None = None
    seconds: float = 0.0

    def count(self, reply: Reply) -> None:
        """Count one attempt."""
        self.answered += reply.raw is not None
        self.replies[reply.fate if reply.raw is None else str(reply.raw.status)] += 1

    @property
    def attempts(self) -> int:
        """Requests that were sent or tried to be, retries included."""
        return self.replies.total()

    def describe(self) -> str:
        """The storm in one line, for reports."""
        replies = ", ".join(f"{count} of {reply}" for reply, count in sorted(self.replies.items()))
        parts = [f"{self.mode}: {len(self.history)} operations in {self.seconds:.3g} s", replies]
        if self.inside is not None:
            parts.append(f"{self.inside} inside at once")
        if self.dropped:
            parts.append(f"{self.dropped} dropped")
        worst = timedelta(milliseconds=round(self.latency.most / 1e6, 3))
        return f"{'; '.join(parts)}; slowest {in_words(worst)}"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, without the history, which `History.to_lines` writes."""
        return {
            "mode": self.mode,
            "operations": len(self.history),
            "replies": dict(sorted(self.replies.items())),
            "dropped": self.dropped,
            "inside": self.inside,
            "seconds": self.seconds,
            "latency": self.latency.to_json(),
            "late": self.late.to_json(),
        }
