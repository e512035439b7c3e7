"""Whether operations that overlapped can be put in one order that explains every answer.

Each key is judged by itself, which is sound because operations of different keys do not touch each other (the
P-compositionality of Horn and Kroening, 2015), and which is what makes it affordable: the question is NP-complete in the
operations of one key. The search is that of Wing and Gong with Lowe's memory of configurations that were tried before.

An operation that failed took no part. An unknown one may have taken effect at any time after it began, or never.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from typing import Any, Final, Protocol

from pytest_smartattend.engine.history import FAILED, OK, History, Operation
from pytest_smartattend.engine.verdicts import Findings, Judgement, Verdict

#: configurations that are tried for one key before the answer is unknown; a second or two at worst
BUDGET: Final = 100_000


class Model(Protocol):
    """The sequential object that the platform is compared with. Its states are hashable values.

    `step` must be a function of its arguments: the search steps forth and back.
    """

    def initial(self) -> Hashable:
        """The state before the first operation."""

    def step(self, state: Any, operation: Operation) -> tuple[bool, Hashable]:  # noqa: ANN401
        """Whether `operation` could have had its result in `state`, and the state after it.

        The result of an unknown operation says nothing, and must not be looked at.
        """


class Register:
    """One value that is read, written, and compared and set.

    Calls are ``read`` (result: the value), ``write`` (value: the new one) and ``cas`` (value: a pair of expected and
    new; ``failed`` where the expected one was not there).

    Args:
        first: the value before the first write.
    """

    def __init__(self, first: Hashable = None) -> None:
        self._first = first

    def initial(self) -> Hashable:
        """The first value."""
        return self._first

    def step(self, state: Any, operation: Operation) -> tuple[bool, Hashable]:  # noqa: ANN401
        """See `Model.step`."""
        if operation.call == "read":
            return operation.outcome == "unknown" or operation.result == state, state
        if operation.call == "write":
            return True, operation.value
        expected, new = operation.value
        return expected == state, new


class _Entry:
    """A begin or an end in the list of a key's events, doubly linked, so that an operation is lifted out in O(1)."""

    __slots__ = ("after", "before", "index", "match", "operation")

    def __init__(self, index: int, operation: Operation) -> None:
        self.index = index
        self.operation = operation
        self.match: _Entry | None = None
        self.before: _Entry | None = None
        self.after: _Entry | None = None


def linearizable(history: History, model: Model, budget: int = BUDGET) -> Judgement:
    """Some order of the operations of each key, each between its begin and its end, explains all results.

    Args:
        history: operations that `model` knows.
        model: the object as it would be with one caller at a time.
        budget: configurations to try for each key; when they are spent, the verdict of that key is unknown.

    Returns:
        a judgement whose finding names the operation that the furthest order could not take in. With several keys the
        worst verdict holds.
    """
    findings = Findings("linearizable")
    for key, places in _by_key(history).items():
        operations = [history[place] for place in places]
        verdict, explained, stuck = _search(operations, model, budget)
        if verdict is Verdict.FALSE:
            findings.add(
                f"no order explains {key!r}; the furthest ends after {explained} operations, before this", stuck
            )
        elif verdict is Verdict.UNKNOWN:
            findings.add(f"{key!r} was given up after {budget} configurations", stuck, verdict=verdict)
    return findings.judgement(len(history))


def _search(operations: Sequence[Operation], model: Model, budget: int) -> tuple[Verdict, int, Operation | None]:
    """The verdict, how many operations the furthest order explains, and the operation that it could not take in."""
    head = _linked(operations)
    remaining = sum(operation.outcome == "ok" for operation in operations)
    state = model.initial()
    taken = 0
    tried: set[tuple[int, int, Hashable]] = set()
    order: list[tuple[_Entry, Hashable]] = []
    furthest, stuck = -1, None
    entry = head.after
    while remaining:
        assert entry is not None  # while an end is left, the walk meets it before the list's end
        if entry.match is None and entry.operation.outcome == "ok":  # an end: what began before it must be taken first
            if len(order) > furthest:
                furthest, stuck = len(order), entry.operation
            if not order:
                return Verdict.FALSE, furthest, stuck
            entry, state = order.pop()
            taken ^= 1 << entry.index
            remaining += entry.operation.outcome == "ok"
            _put_back(entry)
            entry = entry.after
            continue
        fits, then = model.step(state, entry.operation)
        if fits:
            _lift(entry)
            bits = taken | 1 << entry.index
            # all before the first that is left are taken: cut them off, or the memory grows with the square
            first = head.after.index if head.after else len(operations)
            configuration = (first, bits >> first, then)
            if configuration not in tried:
                if len(tried) >= budget:
                    return Verdict.UNKNOWN, len(order), entry.operation
                tried.add(configuration)
                order.append((entry, state))
                state, taken = then, bits
                remaining -= entry.operation.outcome == "ok"
                entry = head.after
                continue
            _put_back(entry)
        entry = entry.after
    return Verdict.TRUE, len(order), None


def _linked(operations: Sequence[Operation]) -> _Entry:
    """The events in order of time, behind a head. At one instant begins come first: such operations overlap."""
    ordered = sorted(operations, key=lambda operation: operation.begin)
    events: list[tuple[int, int, _Entry]] = []
    for index, operation in enumerate(ordered):
        begin = _Entry(index, operation)
        events.append((operation.begin, 0, begin))
        if operation.outcome == "ok":
            assert operation.end is not None  # only what ended is ok
            begin.match = _Entry(index, operation)
            events.append((operation.end, 1, begin.match))
    events.sort(key=lambda event: event[:2])
    head = last = _Entry(-1, operations[0])
    for _, _, entry in events:
        last.after, entry.before, last = entry, last, entry
    return head


def _lift(entry: _Entry) -> None:
    for each in (entry, entry.match):
        if each is not None:
            assert each.before is not None  # there is always the head
            each.before.after = each.after
            if each.after is not None:
                each.after.before = each.before


def _put_back(entry: _Entry) -> None:
    for each in (entry.match, entry):
        if each is not None:
            assert each.before is not None  # there is always the head
            each.before.after = each
            if each.after is not None:
                each.after.before = each


def written_once(history: History, reads: Collection[str] = ("read",)) -> Judgement:
    """Linearizability of keys that are written once and stay: whoever writes later is told what stands.

    That is what an idempotent submission promises. The question has an exact answer in one pass, so it needs no budget:
    all who saw an id saw the same one; somebody had begun to write before the first of them was done; and no read that
    found nothing began after that.

    Args:
        history: submissions (result: the id) and reads (result: the id, or None where nothing was found).
        reads: the calls that are reads; all others write.
    """
    findings = Findings("written once")
    first_write: dict[str, int] = {}
    saw: dict[str, int] = {}
    found_nothing: dict[str, int] = {}
    begins, ends, results = history.begins, history.ends, history.results
    for place, (key, call, outcome) in enumerate(zip(history.keys, history.calls, history.outcomes, strict=True)):
        if outcome == FAILED:
            continue
        if call not in reads and first_write.setdefault(key, begins[place]) > begins[place]:
            first_write[key] = begins[place]
        if outcome != OK:
            continue
        result, earliest = results[place], saw.setdefault(key, place)
        if result is None:
            _forget(saw, key, place)
            if call not in reads:
                findings.add(f"an answer to {key!r} carries no id", history[place], verdict=Verdict.UNKNOWN)
            elif begins[found_nothing.setdefault(key, place)] < begins[place]:
                found_nothing[key] = place
        elif results[earliest] != result:
            findings.add(f"{key!r} was {results[earliest]!r} to one and {result!r} to another", history[place])
        elif ends[place] < ends[earliest]:
            saw[key] = place
    for key, earliest in saw.items():
        if first_write.get(key, ends[earliest] + 1) > ends[earliest]:
            findings.add(f"{key!r} was seen before anybody began to write it", history[earliest])
        nothing = found_nothing.get(key, earliest)
        if begins[nothing] > ends[earliest]:
            text = f"{key!r} was seen as {results[earliest]!r}, and later not found"
            findings.add(text, history[nothing])
    return findings.judgement(len(history))


def _forget(saw: dict[str, int], key: str, place: int) -> None:
    """Take back that `key` was seen at `place`: the answer there said nothing of an id."""
    if saw[key] == place:
        del saw[key]


def _by_key(history: History) -> dict[str, list[int]]:
    """Key → the places of its operations that may have happened."""
    places: dict[str, list[int]] = {}
    for place, key in enumerate(history.keys):
        if history.outcomes[place] != FAILED:
            places.setdefault(key, []).append(place)
    return places
