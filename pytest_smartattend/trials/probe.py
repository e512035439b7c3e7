"""Writers that go on through a fault and note what they were told: the eyes of a drill.

Each writer has its own thread and its own pace. A write is due at a moment that was fixed before the fault; a writer
that is held up writes what has become due as soon as it can, and the history tells both moments. Nobody retries: an
operation is one attempt, so that an outage is seen as it is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from types import TracebackType
from typing import Any, Protocol, Self

from pytest_smartattend.engine.history import OK, History
from pytest_smartattend.engine.recovery import Recovery, recovery_of
from pytest_smartattend.engine.units import MILLISECOND, SECOND
from pytest_smartattend.errors import TargetFailed
from pytest_smartattend.evidence import stopwatch

_NANOSECONDS = 1_000_000_000


class Refused(Exception):
    """Raised by a writer: this write was certainly not done, and will not be."""


class Writer(Protocol):
    """What one thread of a probe does. Any exception but `Refused` leaves the outcome of the write unknown."""

    def write(self, key: str) -> Any:  # noqa: ANN401
        """Write something under `key`, once, and return what the answer carried. Must end, by a deadline of its own."""

    def close(self) -> None:
        """Give back what it holds. Called in its own thread."""


class Probe:
    """Several writers at once, from entering to leaving a ``with``.

    Args:
        writer: makes the writer of each thread, from its number; called in that thread, and again after an exception.
        writers: how many.
        every: between two writes of one writer, by plan.
        name: goes before every key, so that several probes may write to one place.
        patience: how long leaving waits for writes under way.

    Attributes:
        history: every write; its value is ``{"due": nanoseconds}``. Whole when the probe has been left.
        notes: why writers could not be made or wrote without an answer: message → how often.
    """

    def __init__(
        self,
        writer: Callable[[int], Writer],
        *,
        writers: int = 4,
        every: timedelta = 2 * MILLISECOND,
        name: str = "",
        patience: timedelta = 30 * SECOND,
    ) -> None:
        self.history = History()
        self.notes: dict[str, int] = {}
        self._make = writer
        self._name = name
        self._every = every // timedelta(microseconds=1) * 1000
        self._patience = patience.total_seconds()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._until: int | None = None
        self._began = 0
        self._threads = [
            threading.Thread(target=self._run, args=(number,), name=f"probe-{number}", daemon=True)
            for number in range(writers)
        ]

    def __enter__(self) -> Self:
        self._began = stopwatch.monotonic_ns()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave(problem)

    def end(self) -> None:
        """Have the writers end before the ``with`` does.

        Raises:
            TargetFailed: a write under way did not end.
        """
        self._leave(None)

    def _leave(self, problem: BaseException | None) -> None:
        if self._over.is_set():
            return
        self._until = stopwatch.monotonic_ns()
        self._over.set()
        deadline = time.monotonic() + self._patience
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        stuck = [thread.name for thread in self._threads if thread.is_alive()]
        if stuck and problem is None:
            raise TargetFailed(
                f"The writers {', '.join(stuck)} did not end within {self._patience:g} s. Give their writes a deadline."
            )

    @property
    def acknowledged(self) -> int:
        """How many writes have been acknowledged until now."""
        with self._lock:
            return self.history.outcomes.count(OK)

    def await_acknowledged(self, more: int, patience: timedelta = 60 * SECOND) -> None:
        """Wait until `more` writes have been acknowledged than have been now.

        Raises:
            TargetFailed: they are not, within `patience`. Says what the writers met.
        """
        wanted = self.acknowledged + more
        deadline = time.monotonic() + patience.total_seconds()
        while self.acknowledged < wanted:
            if self._over.wait(0.001) or time.monotonic() > deadline:
                met = "; ".join(f"{text} ({times} times)" for text, times in self.notes.items())
                raise TargetFailed(
                    f"{self.acknowledged} writes are acknowledged, and {wanted} were waited for. The writers met: "
                    f"{met or 'nothing, and wait'}. See to the platform, or give it longer."
                )

    def recovery(self, stored: Iterable[str], fault: int) -> Recovery:
        """What the fault at `fault` cost; see `engine.recovery`. For a probe that has been left.

        Args:
            stored: the keys that are stored now, read past the platform.
            fault: nanoseconds of `stopwatch.monotonic_ns`.
        """
        return recovery_of(self.history, frozenset(stored), fault, self._until)

    def _run(self, number: int) -> None:
        writer: Writer | None = None
        due = self._began
        turn = 0
        while not self._over.wait(max(0.0, (due - stopwatch.monotonic_ns()) / _NANOSECONDS)):
            key = f"{self._name}{number}-{turn}"
            with self._lock:
                begin = stopwatch.monotonic_ns()
                place = self.history.invoke(number, "write", key, {"due": due}, begin)
            writer = self._attempt(writer, number, place, key)
            turn += 1
            # What became due while this one waited is not made up for in a burst: it was never going to be sent then.
            due = max(due + self._every, stopwatch.monotonic_ns() - self._every)
        if writer is not None:
            writer.close()

    def _attempt(self, writer: Writer | None, number: int, place: int, key: str) -> Writer | None:
        """Do one write and note its outcome. Returns the writer for the next; None where another must be made."""
        try:
            if writer is None:
                writer = self._made(number)
            result = writer.write(key)
        except Refused as problem:
            self._end(place, "failed", None, problem)
            return writer
        except Exception as problem:  # noqa: BLE001 - whatever a stranger's writer raises says nothing of the outcome
            self._end(place, "unknown", None, problem)
            if writer is not None:
                writer.close()
            return None
        self._end(place, "ok", result)
        return writer

    def _made(self, number: int) -> Writer:
        try:
            return self._make(number)
        except Exception as problem:
            raise Refused(f"no connection: {problem}") from problem  # nothing was sent

    def _end(self, place: int, outcome: Any, result: Any, problem: Exception | None = None) -> None:  # noqa: ANN401
        with self._lock:
            self.history.end(place, outcome, result, stopwatch.monotonic_ns())
            if problem is not None:
                text = str(problem).strip().split("\n")[0][:200] or type(problem).__name__
                self.notes[text] = self.notes.get(text, 0) + 1
