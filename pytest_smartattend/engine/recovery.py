"""What a fault cost: how long nothing was acknowledged, and what was acknowledged and is gone.

Computed from a probe's history, whose begins and ends are nanoseconds of one steady clock, and from the keys that are
stored when all is over. Two traps are built out. A write that was on its way when the fault came may be answered after
it; it does not show that the platform is back, so only writes *begun* after the fault end an outage. And the rows that
survived cannot tell what was lost: only the writers know what they were told.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pytest_smartattend.engine.history import FAILED, OK, UNKNOWN, History
from pytest_smartattend.errors import EvidenceError

_SECOND = 1_000_000_000  # nanoseconds


@dataclass(frozen=True)
class Outage:
    """The longest time without an acknowledged write.

    Attributes:
        begin: the acknowledgement before it, or the fault where there was none; nanoseconds of the history's clock.
        end: the acknowledgement after it, of a write begun after the fault; of one without, the last thing seen.
        over: whether it ended while somebody looked. One that did not lasted at least so long.
    """

    begin: int
    end: int
    over: bool

    @property
    def seconds(self) -> float:
        """How long it lasted: the RTO that was reached."""
        return (self.end - self.begin) / _SECOND


@dataclass(frozen=True)
class Recovery:
    """The figures of one fault.

    Attributes:
        fault: when it had come, in nanoseconds of the history's clock.
        outage: the longest around and after it.
        acknowledged, refused, unknown: how many writes of the whole history had this outcome.
        lost: the keys that were acknowledged and are not stored, in the order of their acknowledgement.
        lost_seconds: from the first of them to the fault, or to the last of them where that came later.
        unknown_stored: writes without an answer that are stored. They were not lost, nor were the others.
        refused_stored: keys that were only ever refused and are stored all the same.
        before, after: how many were acknowledged that had ended before the fault, and had begun after it.
    """

    fault: int
    outage: Outage
    acknowledged: int
    refused: int
    unknown: int
    lost: tuple[str, ...]
    lost_seconds: float
    unknown_stored: int
    refused_stored: tuple[str, ...]
    before: int
    after: int

    @property
    def rto_seconds(self) -> float:
        """The longest time without an acknowledged write. At least so long, where `outage.over` is false."""
        return self.outage.seconds

    @property
    def rpo_rows(self) -> int:
        """How many acknowledged writes are gone."""
        return len(self.lost)

    def describe(self) -> str:
        """The figures in one line."""
        least = "" if self.outage.over else "at least "
        return (
            f"RTO {least}{self.rto_seconds:.3f} s; RPO {self.rpo_rows} of {self.acknowledged} acknowledged, "
            f"{self.lost_seconds:.3f} s; {self.unknown} without an answer, of which {self.unknown_stored} are stored"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; of the keys that were lost the first hundred."""
        return {
            "fault": self.fault,
            "rto_seconds": self.rto_seconds,
            "recovered": self.outage.over,
            "outage": [self.outage.begin, self.outage.end],
            "rpo_rows": self.rpo_rows,
            "rpo_seconds": self.lost_seconds,
            "lost": list(self.lost[:100]),
            "acknowledged": self.acknowledged,
            "refused": self.refused,
            "unknown": self.unknown,
            "unknown_stored": self.unknown_stored,
            "refused_stored": list(self.refused_stored[:100]),
        }


def recovery_of(history: History, stored: Collection[str], fault: int, until: int | None = None) -> Recovery:
    """The figures of the fault that had come at `fault`.

    Args:
        history: of the probe, each write under a key of its own.
        stored: the keys that are stored when all is over, as a query past the platform reads them.
        fault: the instant after which nothing that begins can be answered by what was lost; nanoseconds.
        until: when the probe stopped looking; the last begin or end in the history, where it is not given.

    Raises:
        EvidenceError: nothing was acknowledged before the fault, so that nothing could be lost.
    """
    outcomes = history.outcomes
    acknowledged = [
        (begin, end) for begin, end, code in zip(history.begins, history.ends, outcomes, strict=True) if code == OK
    ]
    before = [end for _, end in acknowledged if end <= fault]
    after = sorted(end for begin, end in acknowledged if begin >= fault)
    if not before:
        raise EvidenceError(
            "Nothing was acknowledged before the fault, so this shows neither an outage nor a loss. Let the probe write "
            "first, and wait until it has acknowledgements."
        )
    last = max(*history.begins, *history.ends) if until is None else until
    rows = frozenset(stored)
    lost = _lost(history, rows)
    return Recovery(
        fault=fault,
        outage=_longest([max(before), *after], last),
        acknowledged=outcomes.count(OK),
        refused=outcomes.count(FAILED),
        unknown=outcomes.count(UNKNOWN),
        lost=tuple(key for _, key in lost),
        lost_seconds=(max(fault, lost[-1][0]) - lost[0][0]) / _SECOND if lost else 0.0,
        unknown_stored=sum(code == UNKNOWN and key in rows for key, code in zip(history.keys, outcomes, strict=True)),
        refused_stored=_refused(history, rows),
        before=len(before),
        after=len(after),
    )


def _lost(history: History, rows: Collection[str]) -> list[tuple[int, str]]:
    """What was acknowledged and is in none of `rows`: when, and its key; in the order of acknowledgement."""
    told = zip(history.keys, history.ends, history.outcomes, strict=True)
    return sorted((end, key) for key, end, code in told if code == OK and key not in rows)


def _refused(history: History, rows: Collection[str]) -> tuple[str, ...]:
    """The keys of `rows` that were asked for, and each time refused."""
    told = {key for key, code in zip(history.keys, history.outcomes, strict=True) if code != FAILED}
    return tuple(dict.fromkeys(key for key in history.keys if key in rows and key not in told))


def _longest(acknowledged: list[int], last: int) -> Outage:
    """The longest gap, with the one that was still open at `last`; the first of equals."""
    gaps = [Outage(begin, end, over=True) for begin, end in pairwise(acknowledged)]
    gaps.append(Outage(acknowledged[-1], max(last, acknowledged[-1]), over=False))
    return max(gaps, key=lambda outage: outage.end - outage.begin)
