"""The clock door: tells the processes of a served platform what time it is, and waits until they have done what fell due.

The processes knock at a Unix socket of ours; docs/reference/clock-door.md has the protocol. Between two moves no time
passes for them, so that hours of an incident take as long as the work in them.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pytest_smartattend.errors import ClockStall
from pytest_smartattend.loop.clock import LoopClock

_UNIX_NS = 1_000
#: so often a process may say that something is due at one and the same instant
_MOST_AT_ONCE = 10_000
#: the longest path that a Unix socket can have
LONGEST = 100


class _Knocker:
    """One process at the door."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = connection.makefile("rb")
        hello = json.loads(self._lines.readline() or b"{}")
        self.name = f"{hello.get('hello', 'a process')} {hello.get('pid', '')}".strip()
        self.next: int | None = None

    def tell(self, **said: object) -> None:
        self._connection.sendall(json.dumps(said).encode() + b"\n")

    def ask(self, guard: timedelta, **said: object) -> bool:
        """Whether it answered; not when it has gone.

        Raises:
            ClockStall: it is silent.
        """
        self._connection.settimeout(guard.total_seconds())
        try:
            self.tell(**said)
            line = self._lines.readline()
        except TimeoutError:
            raise ClockStall(
                f"{self.name}, at the clock door, was silent for {guard.total_seconds():g} s after {json.dumps(said)}: something "
                "that it has begun does not end. Look at the platform's log for what waits."
            ) from None
        except OSError:
            return False
        if not line:
            return False
        told: Mapping[str, Any] = json.loads(line)
        self.next = told.get("next")
        return True

    def close(self) -> None:
        self._lines.close()
        self._connection.close()


class ClockDoor:
    """Listens at `path` and moves all who knock together with `clock`.

    Args:
        path: of the socket; its folder exists, and it has at most `LONGEST` characters.
        clock: discrete or scaled; nobody else moves it.
    """

    def __init__(self, path: Path, clock: LoopClock) -> None:
        self.path = path
        self.clock = clock
        self._knockers: list[_Knocker] = []
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen(64)
        self._closed = False
        self._thread = threading.Thread(target=self._accept, name="clock door", daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while not self._closed:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with self._lock:
                connection.settimeout(10)
                try:
                    knocker = _Knocker(connection)
                    knocker.tell(us=self._now())
                except (OSError, ValueError):
                    connection.close()
                    continue
                self._knockers.append(knocker)

    def _now(self) -> int:
        return self.clock.now_ns() // _UNIX_NS

    def sleep_until(self, moment: datetime) -> None:
        """Let time pass until `moment`, in front of whatever else is due then. At once when it is past.

        Raises:
            ClockStall: a process does not answer, or something is due again and again at one instant.
        """
        target = (self.clock.start_ns + self.clock.offset_ns(moment)) // _UNIX_NS
        at_once, before = 0, -1
        while True:
            due = self._first_due(self._now())
            if due is None or due >= target:
                break
            at_once = at_once + 1 if due <= before else 0
            before = max(due, before)
            if at_once > _MOST_AT_ONCE:
                raise ClockStall(
                    f"Something is due {_MOST_AT_ONCE} times at one instant. Does a timer set itself anew?"
                )
            self._pass_until(due)
            self._fire()
        self._pass_until(target)
        self._first_due(self._now())

    def _first_due(self, now: int) -> int | None:
        """Tell everybody the time; when the first of what they wait for is due, in microseconds."""
        with self._lock:
            self._ask_all(self._knockers, us=now, fire=False)
            return min((one.next for one in self._knockers if one.next is not None), default=None)

    def _fire(self) -> None:
        now = self._now()
        with self._lock:
            self._ask_all(self._knockers, us=now, fire=False)
            for one in list(
                self._knockers
            ):  # in the order in which they knocked: one after the other, the same each time
                if one.next is not None and one.next <= now:
                    self._ask_all([one], us=now, fire=True)

    def _ask_all(self, asked: list[_Knocker], **said: object) -> None:
        for one in list(asked):
            if not one.ask(self.clock.guard, **said):
                one.close()
                self._knockers.remove(one)

    def _pass_until(self, due: int) -> None:
        moment = timedelta(microseconds=due - self.clock.start_ns // _UNIX_NS) + self.clock.start
        if self.clock.mode == "discrete":
            if moment > self.clock.now():
                self.clock.run_until(moment)
            return
        waiting = threading.Event()
        while (left := moment - self.clock.now()) > timedelta():
            waiting.wait(left.total_seconds() / self.clock.factor)

    def close(self) -> None:
        """Close the door; who stood there keeps the time that it was told last."""
        self._closed = True
        # wakes who waits in accept on Linux, where closing does not; elsewhere it is the other way round
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()
        with self._lock:
            for one in self._knockers:
                one.close()
            self._knockers.clear()
        self.path.unlink(missing_ok=True)
