"""``python -m pytest_smartattend.target.reference_with_door``: the reference platform, whose clock can be held from outside.

Where ``SMARTATTEND_CLOCK_DOOR`` names a socket, its clock is what is told there, and its workers' alarms ring when they are
told to. Otherwise it is the platform as it is. The platform itself knows of no door.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import FastAPI

from pytest_smartattend.reference.api.app import create_app
from pytest_smartattend.reference.serve import default_app, serve
from pytest_smartattend.reference.settings import Settings
from pytest_smartattend.reference.store.sessions import Store

_UNIX = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
#: turns of the loop without work after which nothing is under way
_QUIET = 8
#: how long a worker's SLA monitor goes at most without asking the database, as in process: a week has 168 such looks
_SCAN = timedelta(hours=1)
#: seconds between two looks while a database is asked
_LOOK_AGAIN = 0.0005


class DoorClock:
    """The platform's clock and alarm, as the door tells them. Each worker knocks for itself."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._us = 0
        self._pid = 0
        self._work = 0
        self._set = itertools.count()
        self._sleepers: list[tuple[int, bool, int, asyncio.Future[None]]] = []
        self._received = b""
        self._tasks: set[asyncio.Task[None]] = set()

    def now(self) -> datetime:
        """What the door told last."""
        self._knock()
        return _UNIX + self._us * _MICROSECOND

    async def sleep(self, duration: timedelta, *, last: bool = False) -> None:
        """Wait until the door says that `duration` has passed."""
        due = (self.now() + duration - _UNIX) // _MICROSECOND
        if due <= self._us and not last:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (due, last, next(self._set), woken)
        heapq.heappush(self._sleepers, entry)
        try:
            await woken
        finally:
            if entry in self._sleepers:
                self._sleepers.remove(entry)
                heapq.heapify(self._sleepers)

    def watch(self, store: Store) -> None:
        """Time must not move while `store` is asked."""
        begun, asked = store.transaction, store.first

        @asynccontextmanager
        async def transaction(*about: Any, **options: Any) -> AsyncIterator[Any]:  # noqa: ANN401
            with self._asking():
                async with begun(*about, **options) as opened:
                    yield opened

        async def first(*about: Any) -> Any:  # noqa: ANN401
            with self._asking():
                return await asked(*about)

        store.transaction, store.first = transaction, first  # type: ignore[method-assign, assignment]

    @contextmanager
    def _asking(self) -> Iterator[None]:
        self._work += 1
        try:
            yield
        finally:
            self._work -= 1

    def _knock(self) -> None:
        if self._pid == os.getpid():
            return
        door = socket.socket(socket.AF_UNIX)
        door.connect(self._path)
        door.sendall(json.dumps({"hello": "a worker of the reference", "pid": os.getpid()}).encode() + b"\n")
        with door.makefile("rb", buffering=0) as lines:
            self._us = int(json.loads(lines.readline())["us"])
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # before the workers are forked: the time is all that is wanted
            door.close()
            return
        self._pid = os.getpid()
        door.settimeout(0)
        loop.add_reader(door.fileno(), self._told, door)

    def _told(self, door: socket.socket) -> None:
        data = door.recv(65536)
        if not data:
            asyncio.get_running_loop().remove_reader(door.fileno())
            return
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            task = asyncio.get_running_loop().create_task(self._obey(door, json.loads(line)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _obey(self, door: socket.socket, order: dict[str, Any]) -> None:
        self._us = max(self._us, int(order["us"]))
        await self._quiet()
        while order["fire"] and self._sleepers and self._sleepers[0][0] <= self._us:
            woken = heapq.heappop(self._sleepers)[3]
            if not woken.done():
                woken.set_result(None)
            await self._quiet()
        following = self._sleepers[0][0] if self._sleepers else None
        await asyncio.get_running_loop().sock_sendall(door, json.dumps({"next": following}).encode() + b"\n")

    async def _quiet(self) -> None:
        """Until no database is asked and nobody is about to ask one."""
        turns = 0
        while turns < _QUIET:
            await asyncio.sleep(_LOOK_AGAIN if self._work else 0)
            turns = 0 if self._work else turns + 1


def app() -> FastAPI:
    """The platform, on the door's clock where there is a door."""
    path = os.environ.get("SMARTATTEND_CLOCK_DOOR", "")
    if not path:
        return default_app()
    clock = DoorClock(path)
    made = create_app(replace(Settings.from_environment(os.environ), sla_scan=_SCAN), clock=clock, alarm=clock)
    platform = made.state.platform
    for store in {platform.database, platform.incidents_database}:
        clock.watch(store)
    return made


if __name__ == "__main__":
    serve(app_factory=app)
