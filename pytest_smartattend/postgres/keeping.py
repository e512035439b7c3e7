"""Keeping databases beside the tests that follow: one thread, the newest few, nothing on a test's path."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from pytest_smartattend.errors import ServerError
from pytest_smartattend.postgres import kept
from pytest_smartattend.postgres.binaries import Binaries


class KeepingThread:
    """Takes databases of failed tests one after the other.

    When tests fail faster than dumps are taken, the oldest that wait are let go: they would be the first to be dropped
    again anyway.
    """

    def __init__(self, programs: Binaries | None) -> None:
        self.problems: list[str] = []
        self._programs = programs
        self._waiting: deque[tuple[kept.Subject, Callable[[], None]]] = deque()
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="smartattend-keeping", daemon=True)
        self._thread.start()

    def add(self, subject: kept.Subject, done: Callable[[], None]) -> None:
        """Keep `subject`; `done` is called when its database is no longer needed."""
        let_go = []
        with self._changed:
            self._waiting.append((subject, done))
            while len(self._waiting) > max(1, subject.most):
                let_go.append(self._waiting.popleft()[1])
            self._changed.notify()
        for gone in let_go:
            gone()

    def close(self) -> None:
        """Finish what waits."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                subject, done = self._waiting.popleft()
            try:
                kept.keep(subject, self._programs)
            except ServerError as problem:
                self.problems.append(str(problem))
            except Exception as problem:  # noqa: BLE001 - a test's outcome does not hang on it
                self.problems.append(f"The database of {subject.check} is not kept: {problem}")
            done()
