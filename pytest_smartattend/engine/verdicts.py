"""Three verdicts, and how several become one: false is worse than unknown, unknown is worse than true."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from pytest_smartattend.engine.history import Operation


class Verdict(enum.IntEnum):
    """What a checker can say. ``UNKNOWN`` is no pass: what was not shown does not hold."""

    FALSE = 0
    UNKNOWN = 1
    TRUE = 2


@dataclass(frozen=True)
class Finding:
    """One thing that speaks against a property, or that keeps it from being shown.

    Attributes:
        text: what is wrong, in one sentence.
        operation: the operation that shows it; None where there is none, as for a row that nobody asked for.
    """

    text: str
    operation: Operation | None = None

    def __str__(self) -> str:
        return self.text if self.operation is None else f"{self.text} — {self.operation.describe()}"


@dataclass(frozen=True)
class Judgement:
    """What one checker says of one history.

    Attributes:
        name: the property.
        verdict: whether it holds.
        findings: why not, the first of them; empty where it holds.
        found: how many findings there were, also those beyond the ones kept.
        judged: how many operations, rows or leftovers were looked at.
    """

    name: str
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    found: int = 0
    judged: int = 0

    @property
    def holds(self) -> bool:
        """Whether it was shown to hold."""
        return self.verdict is Verdict.TRUE

    def __str__(self) -> str:
        more = self.found - len(self.findings)
        lines = [f"{self.name}: {self.verdict.name.lower()}, {self.judged} judged", *map(str, self.findings)]
        return "\n  ".join([*lines, *([f"and {more} more"] if more else [])])


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The least of `verdicts`. Of none at all: unknown, for nothing was judged."""
    return min(verdicts, default=Verdict.UNKNOWN)


#: findings that a judgement keeps: a storm of ten thousand may break a rule ten thousand times
KEPT = 20


class Findings:
    """Collects what a checker finds and makes the judgement of it.

    Args:
        name: the property that is judged.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._kept: dict[Verdict, list[Finding]] = {Verdict.FALSE: [], Verdict.UNKNOWN: []}
        self._found = 0
        self._verdict = Verdict.TRUE

    def add(self, text: str, operation: Operation | None = None, *, verdict: Verdict = Verdict.FALSE) -> None:
        """Note a finding; ``UNKNOWN`` for one that keeps the property from being shown."""
        self._found += 1
        self._verdict = min(self._verdict, verdict)
        if len(self._kept[verdict]) < KEPT:
            self._kept[verdict].append(Finding(text, operation))

    def judgement(self, judged: int) -> Judgement:
        """What is to be said after `judged` things were looked at; with nothing judged and nothing found, unknown."""
        if not judged and not self._found:
            self.add("there was nothing to judge", verdict=Verdict.UNKNOWN)
        # the false ones first: a crowd of unknowns must not push out what decided
        kept = tuple(self._kept[Verdict.FALSE] + self._kept[Verdict.UNKNOWN])[:KEPT]
        return Judgement(self._name, self._verdict, kept, self._found, judged)
