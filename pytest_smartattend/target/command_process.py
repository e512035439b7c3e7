"""A command that is the platform under test: started, watched, asked to end, and never left behind."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from pytest_smartattend.errors import TargetFailed

_PROGRAM = Path(__file__).with_name("holder.py")
#: bytes of output that are kept; what came before is dropped, so that a flood fills neither disk nor memory
KEPT = 256 * 1024
#: seconds that it gets to end after SIGTERM
GRACE = 10.0
#: seconds that the process between us and it may take for its own work
PATIENCE = 30.0


#: what a command is given of our own environment; an ambient DATABASE_URL is never handed on
HANDED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "PYTHONPATH", "VIRTUAL_ENV", "NODE_PATH")


def handed_on(more: Iterable[str] = ()) -> dict[str, str]:
    """What of our own environment a command gets; `more` are names that its adapter keeps."""
    return {name: os.environ[name] for name in (*HANDED_ON, *more) if name in os.environ}


class Output:
    """The end of what a command prints, however much that is."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._kept = bytearray()
        self._total = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._read, name="output of the platform", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._source:
            while data := os.read(self._source.fileno(), 65536):
                with self._lock:
                    self._total += len(data)
                    self._kept += data
                    del self._kept[:-KEPT]

    @property
    def mark(self) -> int:
        """How many bytes it has printed by now; give it to `since`."""
        return self._total

    def since(self, mark: int) -> str:
        """What was printed after `mark`, as far as it is kept."""
        with self._lock:
            new = min(self._total - mark, len(self._kept))
            dropped = self._total - mark - new
            text = bytes(self._kept[len(self._kept) - new :]).decode(errors="replace")
        return (f"({dropped} bytes before this are not kept)\n" if dropped else "") + text

    def tail(self, lines: int = 60) -> str:
        """The last lines."""
        return "\n".join(self.since(0).splitlines()[-lines:]) or "(it printed nothing)"

    def close(self) -> None:
        """Wait for the end of what was printed, but not for one who holds the pipe open."""
        self._thread.join(1.0)


class CommandProcess:
    """One start of a command.

    Args:
        words: the program and its arguments.
        environment: all that it is given.
        folder: where it runs.
        descriptors: of ours that it inherits, under the same numbers.

    Attributes:
        pid: of the command's own process, which leads a process group.
        output: what it prints.

    Raises:
        TargetFailed: it cannot be started.
    """

    def __init__(
        self, words: Sequence[str], environment: Mapping[str, str], folder: Path, descriptors: Sequence[int] = ()
    ) -> None:
        self._words = words
        self._said = b""
        self._status: int | None = None
        self._killed: list[str] = []
        self._lock = threading.RLock()  # a step of a drill that hangs asks while its healing ends us
        reading, writing = os.pipe()
        try:
            self._holder = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_PROGRAM), str(writing)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=[writing, *descriptors],
                start_new_session=True,  # Ctrl-C is for us: it stands until it is asked to end
            )
        finally:
            os.close(writing)
        self.output = Output(os.fdopen(reading, "rb", buffering=0))
        order = {"words": list(words), "environment": dict(environment), "folder": str(folder)}
        self._ask(json.dumps({**order, "descriptors": list(descriptors)}))
        told = self._heard(PATIENCE)
        if told is None or "pid" not in told:
            self.stop()
            why = "nothing was heard of it" if told is None else told.get("refused")
            raise TargetFailed(
                f"Starting the platform: {self.command!r} cannot be run in {folder}: {why}. "
                "Is the program installed and on PATH, and the folder the right one?"
            )
        self.pid = int(told["pid"])

    @property
    def command(self) -> str:
        """As a person would type it."""
        import shlex

        return shlex.join(self._words)

    def ended(self, patience: float = 0.0) -> int | None:
        """The status with which its own process has ended within `patience` seconds; None while it runs."""
        with self._lock:
            if self._status is None and (told := self._heard(patience)) is not None:
                self._status = told.get("ended")
            return self._status

    def signal(self, number: int) -> None:
        """Send a signal to its process group."""
        self._ask(f"signal {number:d}")

    def kill(self) -> None:
        """End it and all that it has started at once, as a crash of its machine would."""
        self._end("kill")

    def stop(self, grace: float = GRACE) -> list[str]:
        """Ask it to end, and end whatever is left after `grace` seconds.

        Returns:
            the names of what had to be killed; empty where it ended as it was asked to.
        """
        self._end(f"stop {grace:g}", grace)
        return self._killed

    def _end(self, word: str, grace: float = 0.0) -> None:
        with self._lock:
            self._ended_by(word, grace)

    def _ended_by(self, word: str, grace: float) -> None:
        if self._holder.poll() is None or not self._killed:
            self._ask(word)
            deadline = time.monotonic() + grace + PATIENCE
            while (told := self._heard(deadline - time.monotonic())) is not None:
                self._status = told.get("ended", self._status)
                if "over" in told:
                    self._killed = told["over"]
                    break
        for pipe in (self._holder.stdin, self._holder.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):  # what it was asked last it did not live to read
                pipe.close()
        try:
            self._holder.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._holder.send_signal(signal.SIGKILL)
            self._holder.wait()
        self.output.close()

    def _ask(self, line: str) -> None:
        assert self._holder.stdin is not None
        try:
            self._holder.stdin.write(line.encode() + b"\n")
            self._holder.stdin.flush()
        except (OSError, ValueError):  # it has ended; what it said before tells how
            return

    def _heard(self, patience: float) -> dict[str, Any] | None:
        """The next thing that the holder says; None where nothing comes within `patience` seconds."""
        pipe = self._holder.stdout
        assert pipe is not None
        deadline = time.monotonic() + patience
        while b"\n" not in self._said:
            if pipe.closed or not select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
                return None
            data = os.read(pipe.fileno(), 4096)
            if not data:
                return None
            self._said += data
        line, _, self._said = self._said.partition(b"\n")
        told: dict[str, Any] = json.loads(line)
        return told
