"""Nothing gets lost: what was required, collected, started, reported and journaled, held against each other.

pytest-xdist can lose a test and exit 0. Every test therefore leaves two traces on two ways: reports that reach the
controller, and lines in its worker's journal. Where the two disagree, the test did not pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pytest_smartattend.readiness.outcomes import REPORTED, Attempt

if TYPE_CHECKING:
    from pytest_smartattend.readiness.witness import JournaledAttempt, Witness


@dataclass(frozen=True)
class Seen:
    """What the controller of a run saw.

    Attributes:
        collected: pytest's names of the tests that were to run.
        started: those of which a start was told.
        attempts: test → its attempts by their reports.
        interrupted: why the run was stopped; empty where it was not.
        internal_errors: one line each.
        workers_lost: one line for each worker that ended by itself.
        collection_errors: names of files that could not be collected.
    """

    collected: AbstractSet[str] = frozenset()
    started: AbstractSet[str] = frozenset()
    attempts: Mapping[str, Sequence[Attempt]] = field(default_factory=dict)
    interrupted: str = ""
    internal_errors: Sequence[str] = ()
    workers_lost: Mapping[str, str] = field(default_factory=dict)
    collection_errors: Sequence[str] = ()

    def lost(self) -> list[str]:
        """Collected tests of which no complete report came, by name."""
        return sorted(
            test
            for test in self.collected | self.started
            if not any(attempt.outcome in REPORTED for attempt in self.attempts.get(test, ()))
        )


@dataclass(frozen=True)
class Fate:
    """What became of one test: its attempts, or why there is none.

    Attributes:
        test: pytest's name of the test.
        attempts: every attempt, with what the journal makes of it.
        absent: ``deselected`` or ``not_run`` where there is no attempt; else empty.
        evidence: what the journals hold of it.
    """

    test: str
    attempts: tuple[Attempt, ...]
    absent: str
    evidence: tuple[JournaledAttempt, ...]


def reconcile(seen: Seen, witness: Witness) -> dict[str, Fate]:
    """Hold reports and journals against each other, test by test."""
    tests = seen.collected | seen.started | set(seen.attempts) | set(witness.attempts) | witness.deselected
    return {test: _fate(test, seen, witness) for test in sorted(tests)}


def _fate(test: str, seen: Seen, witness: Witness) -> Fate:
    journaled = witness.attempts.get(test, [])
    unmatched = {id(one): one for one in journaled}
    attempts = [_unfinished(_vouched(attempt, journaled, unmatched), seen) for attempt in seen.attempts.get(test, ())]
    if any(attempt.outcome == "crashed" for attempt in attempts):  # their journal has no last line to match
        unmatched = {key: one for key, one in unmatched.items() if one.ended}
    attempts += _unreported(unmatched.values(), seen, reported=bool(attempts))
    if not attempts and test in seen.started:
        attempts = [_unfinished(Attempt(test, "", "vanished"), seen)]
    absent = "" if attempts else "deselected" if test in witness.deselected else "not_run"
    return Fate(test, tuple(_timed(one, journaled, witness.origin) for one in attempts), absent, tuple(journaled))


def _timed(attempt: Attempt, journaled: Sequence[JournaledAttempt], origin: int) -> Attempt:
    """The attempt with the moment at which it began: by its hash, or, for one that never ended, by its worker."""
    for one in journaled:
        mine = one.head == attempt.head if attempt.head else not one.ended and one.worker in {attempt.worker, ""}
        if mine and one.began is not None:
            return replace(attempt, began=(one.began - origin) / 1e9)
    return attempt


def _vouched(
    attempt: Attempt, journaled: Sequence[JournaledAttempt], unmatched: dict[int, JournaledAttempt]
) -> Attempt:
    """The attempt, if the journal vouches for what its report says; a pass without a voucher is none."""
    match = next((one for one in journaled if attempt.head and one.head == attempt.head), None)
    if match is not None:
        unmatched.pop(id(match), None)
        denied = match.denied()
        if attempt.outcome in {"passed", "xpassed"} and denied:
            return attempt.but("failed", f"it went on after what it saw was not as expected: {denied}")
        if attempt.outcome == "passed" and not match.events:
            return attempt.but("no_evidence", "it passed and recorded nothing: use the evidence fixture")
        if match.outcome != attempt.outcome and attempt.outcome in {"passed", "xpassed"}:
            return attempt.but(
                "evidence_lost", f"it was reported as {attempt.outcome}, and its worker noted {match.outcome}"
            )
        return replace(attempt, events=match.events)
    if attempt.outcome in {"passed", "xpassed"}:
        return attempt.but("evidence_lost", "it was reported as passed, and no sound journal says so")
    return attempt


def _unfinished(attempt: Attempt, seen: Seen) -> Attempt:
    """The attempt, and for one whose reports break off the reason, as far as it is known."""
    if attempt.outcome != "vanished":
        return attempt
    if attempt.worker in seen.workers_lost:
        return attempt.but("crashed", f"its worker was lost: {seen.workers_lost[attempt.worker]}")
    if seen.interrupted:
        return attempt.but("interrupted", f"the run was stopped: {seen.interrupted}")
    return attempt.but("vanished", "it was started, and no complete report of it came")


def _unreported(unmatched: Iterable[JournaledAttempt], seen: Seen, *, reported: bool) -> list[Attempt]:
    found = []
    for one in unmatched:
        attempt = Attempt(one.test, one.worker, "vanished", events=one.events)
        if not reported:
            found.append(_unfinished(attempt, seen))
        elif one.ended and one.outcome in {"failed", "error"}:
            found.append(attempt.but("rerun", "an attempt that failed was hidden by a plugin"))
    return found
