"""The clock door: processes follow, one at a time; one that is silent is named, one that has gone is forgotten."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pytest_smartattend.errors import ClockStall, NotOffered
from pytest_smartattend.loop.clock import LoopClock
from pytest_smartattend.postgres.server import Server
from pytest_smartattend.target import clocked
from pytest_smartattend.target.adapter import Clock, read
from pytest_smartattend.target.clock_door import ClockDoor
from pytest_smartattend.target.clocked import ClockedPlatform
from pytest_smartattend.target.reference_schema import ReferenceSchema

MINUTE = timedelta(minutes=1)
COMMAND = f"{sys.executable} -m pytest_smartattend.target.reference_with_door"


class Process:
    """A platform's process with timers, as far as a door sees one."""

    def __init__(self, path: Path, timers: list[int], rang: list[tuple[str, int]], name: str = "p") -> None:
        self.timers, self.silent, self.name, self.rang = timers, False, name, rang
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._socket.sendall(json.dumps({"hello": name, "pid": 1}).encode() + b"\n")
        self._lines = self._socket.makefile("rb")
        self.started = json.loads(self._lines.readline())["us"]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with self._socket, self._lines, suppress(OSError, ValueError):  # the door was closed
            self._obey()

    def _obey(self) -> None:
        for line in self._lines:
            order = json.loads(line)
            if self.silent:
                continue
            if order["fire"]:
                due = [one for one in self.timers if one <= order["us"]]
                self.timers = [one for one in self.timers if one > order["us"]]
                self.rang += [(self.name, order["us"] - self.started) for _ in due]
            self._socket.sendall(json.dumps({"next": min(self.timers, default=None)}).encode() + b"\n")

    def leave(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[ClockDoor]:
    made = ClockDoor(tmp_path / "d", LoopClock())
    yield made
    made.close()


def us(door: ClockDoor, after: timedelta) -> int:
    return (door.clock.start_ns // 1000) + after // timedelta(microseconds=1)


def test_timers_ring_at_their_instants_in_order_and_those_of_the_last_instant_later(door: ClockDoor) -> None:
    rang: list[tuple[str, int]] = []
    first = Process(door.path, [us(door, 3 * MINUTE), us(door, 5 * MINUTE)], rang, "a")
    Process(door.path, [us(door, 3 * MINUTE), us(door, 2 * MINUTE)], rang, "b")
    door.sleep_until(door.clock.start + 5 * MINUTE)
    minute = 60_000_000
    assert rang == [("b", 2 * minute), ("a", 3 * minute), ("b", 3 * minute)]
    assert door.clock.now() == door.clock.start + 5 * MINUTE
    door.sleep_until(door.clock.start + 6 * MINUTE)
    assert rang[3:] == [("a", 5 * minute)]
    assert first.timers == []


def test_a_process_that_knocks_late_is_told_the_time(door: ClockDoor) -> None:
    door.sleep_until(door.clock.start + 7 * MINUTE)
    assert Process(door.path, [], []).started == us(door, 7 * MINUTE)


def test_a_silent_process_is_named(door: ClockDoor) -> None:
    process = Process(door.path, [us(door, MINUTE)], [], "worker")
    process.silent = True
    door.clock.guard = timedelta(seconds=0.3)
    with pytest.raises(ClockStall, match=r"worker 1, at the clock door, was silent for 0.3 s.*does not end"):
        door.sleep_until(door.clock.start + 2 * MINUTE)


def test_a_process_that_has_gone_is_forgotten(door: ClockDoor) -> None:
    Process(door.path, [us(door, MINUTE)], []).leave()
    rang: list[tuple[str, int]] = []
    Process(door.path, [us(door, 2 * MINUTE)], rang, "b")
    door.sleep_until(door.clock.start + 3 * MINUTE)
    assert [name for name, _ in rang] == ["b"]


def test_a_closed_door_leaves_no_thread_and_no_socket(door: ClockDoor) -> None:
    Process(door.path, [], [])
    door.close()
    assert not door._thread.is_alive()
    if sys.platform == "linux":  # a socket is listed here for as long as somebody has it, its file or no file
        assert str(door.path) not in Path("/proc/net/unix").read_text()


def test_something_that_is_due_again_and_again_is_told(door: ClockDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_smartattend.target.clock_door._MOST_AT_ONCE", 5)

    class Restless(Process):
        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, [us(door, MINUTE)] if name == "timers" else value)

    Restless(door.path, [], [])
    with pytest.raises(ClockStall, match=r"due 5 times at one instant"):
        door.sleep_until(door.clock.start + 2 * MINUTE)


@pytest.fixture
def start(postgres: Server, tmp_path: Path) -> Iterator[Callable[..., ClockedPlatform]]:
    with ExitStack() as closing:

        def make(on: LoopClock, *, door: bool = True, **environment: str) -> ClockedPlatform:
            adapter = read("reference", tmp_path).model_copy(update={"clock": Clock(door=door)})
            adapter.start.environment.update(environment)
            database = postgres.pool(ReferenceSchema()).take()
            platform = ClockedPlatform(on, COMMAND, adapter, postgres, database, tmp_path, tmp_path / "scratch")
            closing.callback(platform.close)
            return platform

        yield make


def test_the_served_reference_notices_a_breach_at_its_very_instant(start: Callable[..., ClockedPlatform]) -> None:
    clock = LoopClock()
    platform = start(clock)
    tenant = platform.seed("school", lambda _: None)
    assert platform.database_clock.now() == clock.now() == clock.start
    incident = tenant.staff.report(severity="critical").must()
    assert incident["created_at"].startswith(clock.start.isoformat()[:19])
    platform.sleep_until(clock.start + 5 * timedelta(hours=1))
    assert platform.database_clock.now() == clock.now() == clock.start + timedelta(hours=5)
    assert platform.database_clock.unfollowed() == []
    events = tenant.admin.part(incident["id"], "timeline").must()["events"]
    told = [(event["kind"], event["at"][11:]) for event in events]
    assert told == [
        ("created", "08:00:00.000000Z"),
        ("sla_at_risk", "08:12:00.000000Z"),
        ("sla_breached", "08:15:00.000000Z"),
        ("escalated", "08:15:00.000000Z"),
        ("sla_at_risk", "11:12:00.000000Z"),
        ("sla_breached", "12:00:00.000000Z"),
    ]


def test_without_a_door_time_does_not_jump_and_the_reason_is_told(start: Callable[..., ClockedPlatform]) -> None:
    with pytest.raises(NotOffered, match=r"a clock door, without which time cannot jump.*--smartattend-clock=60x"):
        start(LoopClock(), door=False)


def test_without_a_door_and_without_libfaketime_no_clock_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clocked, "_libfaketime", lambda: None)
    with pytest.raises(NotOffered, match=r"no libfaketime.*apt-get install faketime"):
        clocked.faketime(LoopClock(mode="scaled", factor=60))
    monkeypatch.setattr(clocked, "_libfaketime", lambda: "/lib/f.so")
    assert clocked.faketime(LoopClock(mode="scaled", factor=60))["FAKETIME"].endswith(" x60")


@pytest.mark.skipif(clocked._libfaketime() is None, reason="libfaketime is not here: apt-get install faketime")
def test_under_libfaketime_the_served_reference_notices_a_breach_sixty_times_as_soon(
    start: Callable[..., ClockedPlatform],
) -> None:
    clock = LoopClock(mode="scaled", factor=60)
    # its patience runs sixty times as fast too: two seconds of it would be a thirtieth of ours
    patience = {"DB_DEADLINE_MS": "300000", "DB_CONNECT_TIMEOUT": "120", "HEALTH_DEADLINE_MS": "120000"}
    platform = start(clock, door=False, **patience)
    tenant = platform.seed("school", lambda _: None)
    before, told = clock.now(), platform.database_clock.now()
    assert before - MINUTE < told < clock.now() + MINUTE
    incident = tenant.staff.report(severity="critical").must()
    created = datetime.fromisoformat(incident["created_at"])
    platform.sleep_until(created + 18 * MINUTE)
    events = tenant.admin.part(incident["id"], "timeline").must()["events"]
    late = [datetime.fromisoformat(event["at"]) - created for event in events]
    assert [event["kind"] for event in events] == ["created", "sla_at_risk", "sla_breached", "escalated"]
    due = [timedelta(), 12 * MINUTE, 15 * MINUTE, 15 * MINUTE]
    # late by three seconds is a loaded machine's right, early is a defect
    assert all(timedelta() <= at - when < 3 * MINUTE for at, when in zip(late, due, strict=True)), late
