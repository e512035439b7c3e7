"""What runs at this moment: the checks that take long, the last step that each has told, at which moment of the clock.

Read from the journals, which every worker writes as things happen. On a terminal it is one line below pytest's own,
redrawn in place and gone whenever pytest writes; elsewhere (a pipe, ``-s``) a plain line now and then.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pytest_smartattend.evidence import stopwatch
from pytest_smartattend.evidence.harmless import harmless

#: seconds: how often journals are read, after which a check is long, and between two plain lines about one check
LOOK, LONG, PLAIN = 0.5, 2.0, 30.0
#: bytes of a journal that one look reads: of a storm only the end
_READ = 2**18
_TOLD = (b'"kind":"start"', b'"kind":"event"', b'"kind":"fault"', b'"kind":"end"', b'"kind":"collected"')


@dataclass
class Follower:
    """The end of one journal.

    Attributes:
        test: what runs there; empty where nothing does.
        began: when it began, in nanoseconds of `stopwatch.monotonic_ns`.
        step: what it told last.
    """

    path: Path
    test: str = ""
    began: int = 0
    step: str = ""
    ids: dict[str, str] = field(default_factory=dict)
    _offset: int = 0
    _rest: bytes = b""

    def look(self) -> None:
        """Read what was added."""
        with contextlib.suppress(OSError), self.path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if self._offset and size - self._offset > _READ:
                self._offset, self._rest = size - _READ, b""
            file.seek(self._offset)
            lines = (self._rest + file.read(size - self._offset)).split(b"\n")
            self._offset, self._rest = size, lines.pop()
            for line in lines:
                if any(kind in line[:400] for kind in _TOLD):
                    with contextlib.suppress(ValueError, KeyError, TypeError):
                        self._take(json.loads(line))

    def _take(self, record: dict[str, Any]) -> None:
        kind, data = record["kind"], record["data"]
        if kind == "collected":
            self.ids.update({one["test"]: one["id"] for one in data["tests"]})
        elif kind == "end":
            self.test = self.step = ""
        elif record["test"]:
            if kind == "start" or record["test"] != self.test:
                self.test, self.began, self.step = record["test"], record["mono_ns"], ""
            if kind != "start":
                self.step = told(kind, data)


def told(kind: str, data: dict[str, Any]) -> str:
    """An event or a fault in a few words: its name, or a drill's step's, and the moment of the clock."""
    more = data.get("data") if isinstance(data.get("data"), dict) else {}
    assert isinstance(more, dict)
    name = str(more["name"]) if data["name"] == "step" and "name" in more else str(data["name"])
    at = more.get("at")
    moment = f" at +{at}" if isinstance(at, str) and len(at) < 20 else ""
    return f"{'fault ' if kind == 'fault' else ''}{name}{moment}"


class Progress:
    """Follows the journals of one run in a thread, from its beginning to its end.

    Args:
        folder: where the journals are written.
        out: where the lines go: a file descriptor that pytest's capturing does not know.
        is_terminal: whether a line can be redrawn there.
        width: of the terminal, in characters.
    """

    def __init__(self, folder: Path, out: int, width: int, *, is_terminal: bool) -> None:
        self._folder = folder
        self._out = out
        self._width = width
        self._is_terminal = is_terminal
        self._followers: dict[Path, Follower] = {}
        self._ids: dict[str, str] = {}
        self._said: dict[str, int] = {}
        self._drawn = False
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="smartattend-progress", daemon=True)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        """Begin."""
        self._thread.start()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self) -> None:
        """Make room for what pytest is about to write."""
        self._clear()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self) -> None:
        """Make room for what pytest is about to write."""
        self._clear()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """End, and leave nothing on the screen."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(5)
        self._clear()
        os.close(self._out)
        self._out = -1

    def _follow(self) -> None:
        while not self._over.wait(LOOK):
            running = self._look()
            with self._lock:
                if self._over.is_set():
                    return
                with contextlib.suppress(OSError):  # nobody reads any more
                    self._draw(running) if self._is_terminal else self._say(running)

    def _look(self) -> list[tuple[int, str, str]]:
        """Nanoseconds, check and step of each long check that runs, the longest first."""
        for path in self._folder.glob("*.evidence.jsonl"):
            self._followers.setdefault(path, Follower(path))
        now = stopwatch.monotonic_ns()
        found = []
        for one in self._followers.values():
            one.look()
            self._ids.update(one.ids)
            if one.test and now - one.began > LONG * 1e9:
                found.append((now - one.began, self._ids.get(one.test, one.test), one.step))
        return sorted(found, reverse=True)

    def _draw(self, running: list[tuple[int, str, str]]) -> None:
        if not running:
            self._clear_line()
            return
        text = harmless(" · ".join(_line(*one) for one in running)).replace("\n", " ")[: self._width - 3]
        # Down and up again makes a row where there is none; then save, draw one row below, restore.
        os.write(self._out, f"\x1bD\x1b[A\x1b7\x1b[B\r\x1b[2K\x1b[2m… {text}\x1b[0m\x1b8".encode("utf-8", "replace"))
        self._drawn = True

    def _say(self, running: list[tuple[int, str, str]]) -> None:
        for nanoseconds, check, step in running:
            period = int(nanoseconds / 1e9 // PLAIN)
            if period > self._said.get(check, 0):
                self._said[check] = period
                text = harmless(f"smartattend: {_line(nanoseconds, check, step)}").replace("\n", " ")[:300]
                os.write(self._out, f"\n{text}\n".encode("utf-8", "replace"))

    def _clear(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            self._clear_line()

    def _clear_line(self) -> None:
        if self._drawn and self._out >= 0:
            os.write(self._out, b"\x1b7\x1b[B\r\x1b[2K\x1b8")
            self._drawn = False


def _line(nanoseconds: int, check: str, step: str) -> str:
    return f"{check} {nanoseconds / 1e9:.0f} s" + (f": {step}" if step else "")


def start(config: pytest.Config, folder: Path) -> None:
    """Follow this run, unless its terminal is none, or asked to be quiet (``-qq``)."""
    if config.option.verbose < -1 or not config.pluginmanager.hasplugin("terminal"):
        return
    try:
        out = os.dup(sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):  # no descriptor: a test of pytest, a notebook
        return
    shares = config.getoption("capture", "fd") == "no" and not getattr(config.option, "numprocesses", None)
    is_terminal = os.isatty(out) and os.environ.get("TERM", "dumb") != "dumb" and not shares
    width = shutil.get_terminal_size().columns
    config.pluginmanager.register(Progress(folder, out, width, is_terminal=is_terminal), "smartattend-progress")
