"""Holds a command that we start: nothing of it outlives whoever started it, however either of them ends.

A program of its own (``python -I -S holder.py OUTPUT``) between us and the command. It adopts whatever the command forks away
(Linux), so that a daemon is found and ended too. The end of its standard input is the end of all of it.

Standard input: one line of JSON, ``{"words", "environment", "folder", "descriptors"}``, the last being what it inherits; then lines ``stop SECONDS``, ``kill`` and
``signal NUMBER``. Standard output: lines of JSON, ``{"pid"}`` or ``{"refused"}``, ``{"ended": status}`` when the command's
own process has ended, ``{"over": [names of what had to be killed]}`` as the last. The command writes to the
descriptor OUTPUT.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _tell(**said: object) -> None:
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(said).encode() + b"\n")


class Holder:
    """One command and everything that it started."""

    def __init__(self, order: dict[str, object], output: int) -> None:
        self.main = subprocess.Popen(
            order["words"],  # type: ignore[call-overload]
            env=order["environment"],
            cwd=order["folder"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=order["descriptors"],
            process_group=0,
            preexec_fn=lambda: _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),  # noqa: PLW1509 - one thread only
        )
        self.ended = False
        os.close(output)

    def reap(self) -> None:
        """Collect what has ended; say so once of the command's own process."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                pid, status = (0, 0) if self.ended else (self.main.pid, 0)
            if pid == 0:
                return
            if pid == self.main.pid and not self.ended:
                self.ended = True
                _tell(ended=os.waitstatus_to_exitcode(status))

    def signal(self, number: int) -> None:
        """To the command's process group."""
        with contextlib.suppress(OSError):
            os.killpg(self.main.pid, number)

    def stop(self, grace: float) -> list[str]:
        """Ask everything to end, and after `grace` seconds end it. The names of what had to be ended."""
        deadline = time.monotonic() + grace
        if grace:
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGCONT)
            while not self.ended and time.monotonic() < deadline:
                self.reap()
                time.sleep(0.005)  # noqa: TID251 - nobody tells of what somebody else's child does
        killed = []
        patience = time.monotonic() + 10
        while (left := self.left()) and time.monotonic() < patience:
            for pid, name in left.items():
                killed.append(name)
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            self.signal(signal.SIGKILL)
            time.sleep(0.005)  # noqa: TID251 - nobody tells of what somebody else's child does
            self.reap()
        self.reap()
        return sorted(set(killed))

    def left(self) -> dict[int, str]:
        """What still runs of it: process id → name."""
        if sys.platform != "linux":
            return {} if self.ended else {self.main.pid: "the command"}
        found: dict[int, str] = {}
        parents = [os.getpid()]
        for parent in parents:
            for thread in _listed(f"/proc/{parent}/task"):
                for child in _read(f"/proc/{parent}/task/{thread}/children").split():
                    stat = _read(f"/proc/{child}/stat")
                    name, _, rest = stat.partition("(")[2].rpartition(")")
                    if int(child) not in found and rest.split()[:1] not in ([], ["Z"]):
                        found[int(child)] = name
                        parents.append(int(child))
        return found


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208
    except OSError:
        return []


def _read(path: str) -> str:
    try:
        with open(path, errors="replace") as file:  # noqa: PTH123
            return file.read()
    except OSError:
        return ""


def _lines(wake: int, holder: Holder) -> list[str]:
    """What is asked next; ``kill`` at the end of standard input."""
    received = b""
    while not received.endswith(b"\n"):
        for ready in select.select([0, wake], [], [], 1.0)[0]:
            data = os.read(ready, 65536)
            if ready == 0:
                if not data:
                    return ["kill"]
                received += data
        holder.reap()
    return received.decode().splitlines()


def _first_line() -> bytes:
    line = b""
    while not line.endswith(b"\n") and (data := os.read(0, 1)):
        line += data
    return line


def main() -> None:
    """Hold one command until it is asked to end it, or nobody is left to ask."""
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    output = int(sys.argv[1])
    os.set_inheritable(output, False)  # noqa: FBT003 - it takes no name
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        holder = Holder(json.loads(_first_line()), output)
    except (OSError, ValueError) as why:
        _tell(refused=str(why))
        return
    _tell(pid=holder.main.pid)
    while True:
        for line in _lines(wake, holder):
            word, _, value = line.partition(" ")
            if word == "signal":
                holder.signal(int(value))
            else:
                _tell(over=holder.stop(float(value) if word == "stop" else 0.0))
                return


if __name__ == "__main__":
    main()
