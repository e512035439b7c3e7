"""What was asked of a platform and what is known of each answer: the history that checkers judge.

An operation here is one thing that somebody wanted done, with all its retries. A request is not one: the client's own
record of a request (`target.client.Operation`) has a path and a status, shares the three outcomes, and ends with the
answer; of one operation it may take several.

An operation that was invoked and never ended is ``unknown``, for that is what is known of it: a generator that dies in
the middle leaves a history that is still true.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal, NamedTuple

from pytest_smartattend.errors import EvidenceError

#: ``ok``: it was done. ``failed``: it was certainly not done. ``unknown``: it may have been done, or be done later.
Outcome = Literal["ok", "failed", "unknown"]

OUTCOMES: Final[tuple[Outcome, ...]] = ("unknown", "ok", "failed")
UNKNOWN: Final = 0
OK: Final = 1
FAILED: Final = 2
_CODES: Final = {name: code for code, name in enumerate(OUTCOMES)}
_NEVER: Final = -1


class Operation(NamedTuple):
    """One operation, as it stands in a history.

    Attributes:
        process: who asked: a worker or connection of the generator, from 0.
        call: what was asked, such as ``POST /school/attendance`` or ``read``.
        key: what it was asked of: all operations of one key are judged together.
        value: what was handed in; plain JSON.
        outcome: what is known of it.
        result: what came back, such as the record's id; plain JSON, None where nothing came back.
        begin: when it was invoked, in nanoseconds of the generator's steady clock.
        end: when its outcome was known; None where it never was.
    """

    process: int
    call: str
    key: str
    value: Any
    outcome: Outcome
    result: Any
    begin: int
    end: int | None

    def describe(self) -> str:
        """The operation in one line, for findings: who, what, which key, what came of it."""
        came = self.outcome if self.result is None else f"{self.outcome} {self.result!r}"
        until = "never ended" if self.end is None else f"{(self.end - self.begin) / 1e6:.3f} ms"
        return f"{self.call} of {self.key!r} by process {self.process}: {came} ({until})"


class History:
    """Operations in the order in which they were invoked. Append-only: what is written stays, and ends once.

    Kept in columns, some 60 bytes an operation beside its own key, value and result, so that a million fit anywhere.
    The columns are open to checkers, which read them in one pass; nobody else writes to them.

    Attributes:
        processes, calls, keys, values, results, begins: one entry for each operation; see `Operation`.
        outcomes: `UNKNOWN`, `OK` or `FAILED` for each operation.
        ends: nanoseconds for each operation; -1 where it never ended.
    """

    __slots__ = ("begins", "calls", "ends", "keys", "outcomes", "processes", "results", "values")

    def __init__(self, operations: Iterable[Operation] = ()) -> None:
        self.processes = array("q")
        self.calls: list[str] = []
        self.keys: list[str] = []
        self.values: list[Any] = []
        self.outcomes = bytearray()
        self.results: list[Any] = []
        self.begins = array("q")
        self.ends = array("q")
        for operation in operations:
            self.append(operation)

    def invoke(self, process: int, call: str, key: str, value: Any, begin: int) -> int:  # noqa: ANN401
        """Append an operation that begins at `begin` nanoseconds; it is ``unknown`` until `end` says more.

        Returns:
            its place in the history, for `end`.
        """
        self.processes.append(process)
        self.calls.append(call)
        self.keys.append(key)
        self.values.append(value)
        self.outcomes.append(UNKNOWN)
        self.results.append(None)
        self.begins.append(begin)
        self.ends.append(_NEVER)
        return len(self.keys) - 1

    def end(self, place: int, outcome: Outcome, result: Any, end: int) -> None:  # noqa: ANN401
        """Say what became of the operation at `place`, at `end` nanoseconds.

        Raises:
            EvidenceError: it ended before, or would end before it began.
        """
        if self.ends[place] != _NEVER:
            raise EvidenceError(f"the operation ended before: {self[place].describe()}. End each operation once.")
        if end < self.begins[place]:
            raise EvidenceError(
                f"an operation cannot end at {end} ns and begin at {self.begins[place]} ns. Take both from one clock."
            )
        self.outcomes[place] = _CODES[outcome]
        self.results[place] = result
        self.ends[place] = end

    def append(self, operation: Operation) -> None:
        """Append an operation that is known already.

        Raises:
            EvidenceError: it ends before it begins.
        """
        place = self.invoke(operation.process, operation.call, operation.key, operation.value, operation.begin)
        if operation.end is None:
            self.results[place] = operation.result
        else:
            self.end(place, operation.outcome, operation.result, operation.end)

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, place: int) -> Operation:
        end = self.ends[place]
        return Operation(
            self.processes[place],
            self.calls[place],
            self.keys[place],
            self.values[place],
            OUTCOMES[self.outcomes[place]],
            self.results[place],
            self.begins[place],
            None if end == _NEVER else end,
        )

    def __iter__(self) -> Iterator[Operation]:
        return (self[place] for place in range(len(self)))

    def to_lines(self) -> Iterator[str]:
        """Each operation as one line of JSON, without the line's end: an array in the order of `Operation`'s fields."""
        return (json.dumps(operation, ensure_ascii=False, separators=(",", ":")) for operation in self)

    @classmethod
    def from_lines(cls, lines: Iterable[str]) -> History:
        """The history that `to_lines` wrote.

        Raises:
            EvidenceError: a line is not an operation; names the line, from 1.
        """
        history = cls()
        for number, line in enumerate(lines, 1):
            try:
                history.append(_operation_in(json.loads(line)))
            except (ValueError, TypeError, EvidenceError) as fault:
                raise EvidenceError(
                    f"line {number} is not an operation ({fault}): {line[:200]!r}. "
                    f"Give an array of {', '.join(Operation._fields)}, as History.to_lines writes it."
                ) from None
        return history


def _operation_in(fields: Any) -> Operation:  # noqa: ANN401
    if not isinstance(fields, list) or len(fields) != len(Operation._fields):
        raise ValueError(f"not an array of {len(Operation._fields)}")
    process, call, key, _, outcome, _, begin, end = fields
    if not all(type(number) is int and number >= 0 for number in (process, begin, 0 if end is None else end)):
        raise ValueError("process, begin and end are whole numbers from 0")
    if not isinstance(call, str) or not isinstance(key, str):
        raise TypeError("call and key are texts")
    if outcome not in OUTCOMES:
        raise ValueError(f"the outcome is one of {', '.join(OUTCOMES)}")
    if end is None and outcome != "unknown":
        raise ValueError("what never ended is unknown")
    return Operation(*fields)
