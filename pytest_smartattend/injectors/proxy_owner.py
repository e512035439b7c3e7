"""The owner's end of a proxy's process: start it, ask it, end it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from pytest_smartattend.engine.units import SECOND, in_words
from pytest_smartattend.errors import InjectionError

_PROGRAM = Path(__file__).with_name("proxy_process.py")


class ProxyOwner:
    """Starts a proxy's process and carries questions to it, one at a time; any thread may ask.

    Raises:
        InjectionError: from every method, when the process cannot do what it should; ends in what to do.
    """

    def __init__(self, upstream: tuple[str, int] | str, name: str, seed: int, patience: timedelta) -> None:
        self._upstream = upstream
        self._name = name
        self._seed = seed
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._port = 0
        self._asked = 0
        self._received = b""
        self._lock = threading.Lock()

    @property
    def is_running(self) -> bool:
        """Whether it was started and not yet stopped."""
        return self._process is not None

    @property
    def address(self) -> tuple[str, int]:
        """Where the process listens."""
        self._running()
        return "127.0.0.1", self._port

    @property
    def pid(self) -> int:
        """The process."""
        return self._running()[0].pid

    def start(self) -> None:
        """Start the process and wait until it listens."""
        if self._process is not None:
            raise InjectionError(f"The proxy {self._name!r} runs already. Start it once, and make another for more.")
        family, address = _resolved(self._upstream, self._name)
        self._control, theirs = socket.socketpair()
        self._received = b""
        order = {
            "control_fd": theirs.fileno(),
            "owner_pid": os.getpid(),
            "family": family,
            "upstream": address,
            "seed": self._seed,
        }
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(_PROGRAM), json.dumps(order)],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    process_group=0,  # Ctrl-C is for us: the proxy has to stand until its faults are healed
                )
            self._port = int(self._answer(0)["port"])
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the process. May be called twice."""
        process, self._process = self._process, None
        if self._control is not None:
            self._control.close()
            self._control = None
        if process is None:
            return
        try:
            process.wait(timeout=self._patience / SECOND)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        finally:
            _stderr(process).close()

    def ask(self, do: str, **values: Any) -> dict[str, Any]:  # noqa: ANN401
        """Send one command and wait until the process says that it holds."""
        with self._lock:
            _, control = self._running()
            self._asked += 1
            question = json.dumps({"id": self._asked, "do": do, **values})
            try:
                control.settimeout(self._patience / SECOND)
                control.sendall(question.encode() + b"\n")
            except OSError as problem:
                raise self._failed(problem) from problem
            return self._answer(self._asked)

    def _running(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        if self._process is None or self._control is None:
            raise InjectionError(f"The proxy {self._name!r} does not run. Use it inside its `with`, or call start().")
        return self._process, self._control

    def _answer(self, asked: int) -> dict[str, Any]:
        deadline = time.monotonic() + self._patience / SECOND
        while True:
            line = self._line(deadline)
            answer: dict[str, Any] = json.loads(line)
            if answer["id"] != asked:
                continue  # the answer to a question that Ctrl-C broke off
            if "error" in answer:
                raise InjectionError(
                    f"The proxy {self._name!r} refused: {answer['error']}. Correct what was asked for."
                )
            return answer

    def _line(self, deadline: float) -> bytes:
        _, control = self._running()
        while b"\n" not in self._received:
            try:
                control.settimeout(max(0.001, deadline - time.monotonic()))
                data = control.recv(65536)
            except OSError as problem:
                raise self._failed(problem) from problem
            if not data:
                raise self._failed(None)
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        return line

    def _failed(self, problem: OSError | None) -> InjectionError:
        if isinstance(problem, TimeoutError) or self._process is None:
            return InjectionError(
                f"The proxy {self._name!r} did not answer within {in_words(self._patience)}. If the machine is that busy, "
                "give TcpProxy more patience."
            )
        try:
            status = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return InjectionError(
                f"The proxy {self._name!r} closed its control socket ({problem}). Report this as a defect."
            )
        errors = _stderr(self._process).read().decode(errors="replace")[-2000:].strip()
        return InjectionError(
            f"The proxy {self._name!r} ended with status {status}. {errors or 'It said nothing: look who killed it.'}"
        )


def _stderr(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stderr is not None
    return process.stderr


def _resolved(upstream: tuple[str, int] | str, name: str) -> tuple[int, Any]:
    if isinstance(upstream, str):
        return socket.AF_UNIX, upstream
    try:
        family, _, _, _, address = socket.getaddrinfo(upstream[0], upstream[1], type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as problem:
        raise InjectionError(
            f"The upstream of the proxy {name!r} cannot be resolved: {upstream[0]}:{upstream[1]} ({problem}). "
            "Give a host and port that this machine knows."
        ) from problem
    return family, address
