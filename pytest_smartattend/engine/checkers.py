"""What must hold of a storm, whatever happened in it: a history compared with what is really stored.

Each checker takes the history of the operations that it judges (submissions, or reads, not both mixed) and looks at
each of them once. Rows are pairs of key and id, as they were read from the database past every proxy. A verdict is
`TRUE` only where something was judged: a storm that asked nothing has shown nothing.

===========  ==================  =====================================
outcome      rows of its key     why
===========  ==================  =====================================
ok           exactly one         it was said to be done
unknown      none or one         the answer was lost, not the request
failed only  none                it was said not to be done
===========  ==================  =====================================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pytest_smartattend.engine.history import FAILED, OK, History, Operation, Outcome
from pytest_smartattend.engine.verdicts import Findings, Judgement, Verdict

Rows = Iterable[tuple[str, Any]]


def exactly_once(history: History, rows: Rows) -> Judgement:
    """No key has two rows, and every key that was acknowledged has one.

    The finding names the operation that was acknowledged, or the last one of the key that was doubled.
    """
    findings = Findings("exactly once")
    counted = Counter(key for key, _ in rows)
    doubled = {key for key, count in counted.items() if count > 1}
    missing = {key for key, outcome in zip(history.keys, history.outcomes, strict=True) if outcome == OK} - set(counted)
    for key, operation in _last_of(history, doubled):
        findings.add(f"{key!r} is stored {counted[key]} times", operation)
    for key, operation in _last_of(history, missing, "ok"):
        findings.add(f"{key!r} was acknowledged and is not stored", operation)
    return findings.judgement(len(history))


def nothing_lost(history: History, rows: Rows) -> Judgement:
    """What was acknowledged is stored under the id that the answer carried; an answer without id needs its key."""
    findings = Findings("nothing acknowledged is lost")
    stored: dict[str, Any] = {}
    others: dict[str, list[Any]] = {}
    for key, row_id in rows:
        if stored.setdefault(key, row_id) != row_id:
            others.setdefault(key, []).append(row_id)
    absent = object()
    acknowledged = 0
    for place, (outcome, key, result) in enumerate(zip(history.outcomes, history.keys, history.results, strict=True)):
        if outcome != OK:
            continue
        acknowledged += 1
        row_id = stored.get(key, absent)
        if row_id is absent:
            findings.add(f"{key!r} was acknowledged and is not stored", history[place])
        elif result is not None and row_id != result and result not in others.get(key, ()):
            findings.add(f"{key!r} was acknowledged as {result!r} and is stored as {row_id!r}", history[place])
    if len(history) and not acknowledged:
        findings.add("nothing was acknowledged, so nothing could be lost", verdict=Verdict.UNKNOWN)
    return findings.judgement(acknowledged)


def nothing_invented(history: History, rows: Rows) -> Judgement:
    """Every row was asked for, by an operation that was not told that it failed."""
    findings = Findings("nothing appears that was not asked")
    possible = {key for key, outcome in zip(history.keys, history.outcomes, strict=True) if outcome != FAILED}
    stored = {key for key, _ in rows}
    invented = stored - possible
    refused = dict(_last_of(history, invented & set(history.keys)))
    for key in sorted(invented):
        if key in refused:
            findings.add(f"{key!r} is stored, and every answer said that it was not done", refused[key])
        else:
            findings.add(f"{key!r} is stored, and nobody asked for it")
    return findings.judgement(len(history) + len(stored))


def same_id(history: History) -> Judgement:
    """All answers that acknowledge a key carry one id. An acknowledgement without id leaves it unknown."""
    findings = Findings("the same id in every answer")
    first: dict[str, Any] = {}
    told = first.setdefault
    acknowledged = 0
    for place, (outcome, key, result) in enumerate(zip(history.outcomes, history.keys, history.results, strict=True)):
        if outcome != OK:
            continue
        acknowledged += 1
        if result is None:
            findings.add(f"an acknowledgement of {key!r} carries no id", history[place], verdict=Verdict.UNKNOWN)
        elif told(key, result) != result:
            findings.add(f"{key!r} was {first[key]!r} in an earlier answer and {result!r} in this", history[place])
    if len(history) and not acknowledged:
        findings.add("nothing was acknowledged, so no id was told", verdict=Verdict.UNKNOWN)
    return findings.judgement(acknowledged)


#: how the health of a tenant moves under a load that rises and falls slowly: one step at a time (SPEC 3)
HEALTH_STEPS: dict[str, frozenset[str]] = {
    "healthy": frozenset({"degraded"}),
    "degraded": frozenset({"healthy", "critical"}),
    "critical": frozenset({"degraded"}),
}


def legal_order(
    reads: History, through: Sequence[str] = (), steps: Mapping[str, Collection[str]] = HEALTH_STEPS
) -> Judgement:
    """The states that were read follow each other as `steps` allows, for every key by itself.

    Args:
        reads: reads whose result is the state; those that are not ``ok`` saw nothing. Two reads of one key that
            overlap in time and saw different states leave the order unknown.
        through: states to be passed in this order, among others, and of which the last must be the last one seen.
        steps: state → the states that may follow it. A state that is no key of it is not legal at all.
    """
    findings = Findings("legal order of states")
    by_key: dict[str, list[int]] = {}
    for place, (key, outcome) in enumerate(zip(reads.keys, reads.outcomes, strict=True)):
        if outcome == OK:
            by_key.setdefault(key, []).append(place)
    for key, places in by_key.items():
        places.sort(key=reads.begins.__getitem__)
        states = _judge_steps(findings, reads, places, steps)
        passed = iter(states)
        if through and (not all(state in passed for state in through) or states[-1] != through[-1]):
            text = f"{key!r} went {' → '.join(map(str, states))}, not {' → '.join(through)}"
            findings.add(text, reads[places[-1]])
    return findings.judgement(sum(map(len, by_key.values())))


def _judge_steps(
    findings: Findings, reads: History, places: Sequence[int], steps: Mapping[str, Collection[str]]
) -> list[Any]:
    """Judge each change of state, and tell the states that were passed."""
    passed: list[Any] = []
    before = -1
    state: Any = object()
    for place in places:
        if reads.results[place] != state:
            after = reads.results[place]
            if not isinstance(after, str) or after not in steps:
                findings.add(f"{after!r} is none of {', '.join(steps)}", reads[place])
            elif passed and after not in steps.get(state, ()):
                if reads.ends[before] < reads.begins[place]:
                    findings.add(f"{state!r} cannot be followed by {after!r}", reads[place])
                else:
                    text = f"{state!r} and {after!r} were read at once"
                    findings.add(text, reads[place], verdict=Verdict.UNKNOWN)
            passed.append(after)
            state = after if isinstance(after, str) else repr(after)
        before = place
    return passed


def nothing_left(leftovers: Sequence[object], connections: int, allowed: int) -> Judgement:
    """No lock, transaction or connection is left when the storm is over.

    Args:
        leftovers: each lock that is waited for and each transaction that is open, such as `Observer.leftovers` reads.
        connections: how many connections to the database there are now.
        allowed: how many there may be: what the platform's pools hold at rest.
    """
    findings = Findings("no lock, transaction or connection left")
    for leftover in leftovers:
        findings.add(f"left behind: {leftover}")
    if connections > allowed:
        findings.add(f"{connections} connections are open, {connections - allowed} more than the {allowed} allowed")
    return findings.judgement(len(leftovers) + max(connections, 1))


def _last_of(
    history: History, keys: Collection[str], outcome: Outcome | None = None
) -> Iterator[tuple[str, Operation]]:
    """The last operation of each of `keys`, if one is asked for with this `outcome`; read only where there is need."""
    if not keys:
        return
    left = set(keys)
    for place in range(len(history) - 1, -1, -1):
        if history.keys[place] in left and (outcome is None or history[place].outcome == outcome):
            left.discard(history.keys[place])
            yield history.keys[place], history[place]
            if not left:
                return
