"""What one test saw: the `evidence` fixture."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Mapping

from pytest_smartattend.errors import EvidenceError
from pytest_smartattend.evidence import stopwatch
from pytest_smartattend.evidence.harmless import harmless
from pytest_smartattend.evidence.journal import Journal
from pytest_smartattend.evidence.redaction import redacted

#: operations are journaled in batches of this size: a storm makes ten thousand of them
BATCH = 50
_MESSAGE_LIMIT = 2_000
#: of a log: the last lines, and characters of each
_LOG_LINES = 60
_LINE_LIMIT = 400


class Evidence:
    """Records what a test saw, at once and in its words, and fails it where that is not what must be.

    Every method writes one line to the journal before it raises anything. Values pass `evidence.encoding`: plain
    values, moments, durations, dataclasses; NaN and unknown objects raise `EvidenceError`. May be used from any thread
    of the test's process while the test runs.

    Args:
        journal: where the lines go.
        test: pytest's name of the test.
        attempt: which attempt at the test this is, from 1.

    Attributes:
        events: how many pieces of evidence were recorded.
        lines: the last of them in words, for reports of other plugins; None where none of them shows any.
    """

    def __init__(self, journal: Journal, test: str, attempt: int) -> None:
        self.events = 0
        self.lines: deque[str] | None = None
        self._journal = journal
        self._test = test
        self._attempt = attempt
        self._began = stopwatch.monotonic_ns()
        self._lock = threading.Lock()
        self._operations: list[list[object]] = []
        self._closed = False

    def expect(self, name: str, seen: object, expected: object) -> None:
        """Record what was seen beside what was expected.

        Raises:
            AssertionError: they are not equal; shows both.
        """
        __tracebackhide__ = True
        held = bool(seen == expected)
        self._record("expect", {"name": name, "held": held, "seen": seen, "expected": expected})
        if not held:
            raise AssertionError(f"{harmless(name)}\n  seen:     {_shown(seen)}\n  expected: {_shown(expected)}")

    def invariant(self, name: str, held: bool, detail: str = "") -> None:  # noqa: FBT001
        """Record whether something that must always hold does hold. A broken one is never outvoted or waived.

        Raises:
            AssertionError: it does not hold; shows `detail`.
        """
        __tracebackhide__ = True
        self._record("invariant", {"name": name, "held": bool(held), "detail": detail})
        if not held:
            raise AssertionError(harmless(f"the invariant is broken: {name}" + (f"\n  {detail}" if detail else "")))

    def measure(
        self, name: str, value: float, unit: str, limit: float | None = None, *, objective: bool = False
    ) -> None:
        """Record a figure, less being better.

        Args:
            name: what was measured.
            value: the figure, in `unit`.
            unit: ``s``, ``ms``, ``rows``, ``%``, ….
            limit: the most that is accepted, from 0, in `unit`. Alone, it fails the test when exceeded.
            objective: weigh the figure in the verdict in place of failing the test: over `limit` it is missed, over
                80 % of it at risk; a limit of zero is met or missed. Needs a limit.

        Raises:
            AssertionError: over the limit, and no objective.
            EvidenceError: the figure is NaN or infinite, or the limit is missing or negative.
        """
        __tracebackhide__ = True
        if objective and limit is None:
            raise EvidenceError(f"the objective {name!r} has no limit, so it could never be missed. Give limit=….")
        if limit is not None and limit < 0:
            raise EvidenceError(f"the limit of {name!r} is {limit}. Give a limit from 0.")
        figures = {"value": float(value), "unit": unit, "limit": None if limit is None else float(limit)}
        self._record("measure", {"name": name, **figures, "objective": bool(objective)})
        if limit is not None and not objective and value > limit:
            raise AssertionError(f"{harmless(name)}: {value} {unit}, at most {limit} {unit} accepted")

    def event(self, kind: str, /, **data: object) -> None:
        """Add a line to the check's timeline, at the seconds since the test began."""
        self._record("event", {"name": kind, "offset": self._offset(), "data": data})

    def fault(self, name: str, seed: int, **data: object) -> None:
        """Record a fault that was carried out, with the seed that replays it."""
        self._record("fault", {"name": name, "seed": seed, "offset": self._offset(), "data": data})

    def operation(self, method: str, path: str, status: int | None, outcome: str, seconds: float) -> None:
        """Record a request. `outcome` is ok, failed or unknown; `status` None where no answer came; seconds are real.

        Kept compactly: counted by outcome, the last 50 in full.
        """
        self._must_be_open()
        with self._lock:
            self.events += 1
            self._operations.append([method, path, status, outcome, round(seconds, 6), self._offset()])
            full = len(self._operations) >= BATCH
        if full:
            self._write_operations()

    def note(self, text: str) -> None:
        """Add a remark for the reader. A remark is no evidence."""
        self._must_be_open()
        self._journal.append("note", {"text": text}, test=self._test, attempt=self._attempt)

    def log(self, name: str, text: str) -> None:
        """Keep the end of a log beside what went wrong. A log is no evidence."""
        self._must_be_open()
        lines = [line[:_LINE_LIMIT] for line in text.splitlines()[-_LOG_LINES:]]
        self._journal.append("log", {"name": name, "lines": lines}, test=self._test, attempt=self._attempt)

    def close(self, outcome: Mapping[str, object]) -> str:
        """End the record with the test's outcome. Returns the carriage line: JSON, small enough for any report."""
        self._write_operations()
        self._closed = True
        head = self._journal.append("end", {"events": self.events, **outcome}, test=self._test, attempt=self._attempt)
        return json.dumps({"v": 1, "events": self.events, "head": head, "attempt": self._attempt})

    def _record(self, kind: str, data: Mapping[str, object]) -> None:
        self._must_be_open()
        self._write_operations()
        self._journal.append(kind, data, test=self._test, attempt=self._attempt)
        with self._lock:
            self.events += 1
            if self.lines is not None:
                self.lines.append(in_words(kind, data))

    def _write_operations(self) -> None:
        with self._lock:
            batch, self._operations = self._operations, []
        if batch:
            self._journal.append("operations", {"operations": batch}, test=self._test, attempt=self._attempt)

    def _must_be_open(self) -> None:
        if self._closed:
            raise EvidenceError(
                f"{self._test} has ended, and its evidence is closed. Wait for what the test started before it ends."
            )

    def _offset(self) -> float:
        """Seconds since the test began."""
        return round((stopwatch.monotonic_ns() - self._began) / 1e9, 6)


def in_words(kind: str, data: Mapping[str, object]) -> str:
    """A piece of evidence as one line, harmless, short, and without secrets."""
    held = {True: "✓ ", False: "✗ "}.get(data.get("held"), "")  # type: ignore[call-overload]
    line = f"{held}{data['name']}"
    if kind == "expect" and not data["held"]:
        line += f": seen {data['seen']!r:.200}, expected {data['expected']!r:.200}"
    elif kind == "measure":
        line += f": {data['value']:g} {data['unit']}" + ("" if data["limit"] is None else f" of {data['limit']:g}")
    elif kind in {"event", "fault"}:
        line = f"{data['offset']:9.3f} s  {'fault ' if kind == 'fault' else ''}{line}"
        line += f" (seed {data['seed']})" if kind == "fault" else f" {data['data']!r:.200}" if data["data"] else ""
    return redacted(harmless(line[:600]).replace("\n", " "))


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= _MESSAGE_LIMIT else f"{shown[:_MESSAGE_LIMIT]}… ({len(shown)} characters)"
