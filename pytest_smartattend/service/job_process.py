"""``python -m pytest_smartattend.service.job_process``: runs one job's command, within its limits, and tells how it goes.

Between the service and the command, so that neither can harm the other: the command's output fills no memory, and no
job outlives the service. The first line of standard input is the order, as JSON; ``cancel`` is a line after it, and its
end is the service's. Every line of standard output is one event of JSON, the last being ``ended``.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass, field
from typing import IO, Any

from pytest_smartattend.service.progress import DESCRIPTOR

#: seconds between asking a command to stop and killing it and all that it started
GRACE = 20.0
#: the longest line that is passed on as an event
_LINE = 16_384


@dataclass(frozen=True)
class Order:
    """What to run.

    Attributes:
        command: program and arguments.
        log: the file that takes the command's output.
        log_bytes: how much of it is kept.
        seconds: how long it may take.
        environment: variables beside those that the service has.
        unset: variables that it does not get.
        input: what it reads from standard input; secrets, which no list of processes shows.
    """

    command: list[str]
    log: str
    log_bytes: int
    seconds: float
    environment: dict[str, str] = field(default_factory=dict)
    unset: list[str] = field(default_factory=list)
    input: str = ""

    def line(self) -> bytes:
        """As it goes over standard input."""
        return json.dumps(asdict(self)).encode() + b"\n"


class _Child:
    """The command while it runs."""

    def __init__(self, order: Order) -> None:
        self.why = ""
        read, write = os.pipe()
        environment = {name: value for name, value in os.environ.items() if name not in order.unset}
        self.process = subprocess.Popen(
            order.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**environment, **order.environment, DESCRIPTOR: str(write)},
            pass_fds=(write,),
            start_new_session=True,  # what it starts ends with it
        )
        os.close(write)
        self.progress = os.fdopen(read, "rb")
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(order.input.encode())
            self.process.stdin.close()

    def stop(self, why: str, grace: float = GRACE) -> None:
        """Ask it to stop, once, and kill it where it does not."""
        if not self.why:
            self.why = why
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGINT)
            timer = threading.Timer(grace, self.kill)
            timer.daemon = True
            timer.start()

    def kill(self) -> None:
        """Kill it and everything of its session."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)


def _tell(**event: Any) -> None:  # noqa: ANN401
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()


def _keep(output: IO[bytes], order: Order) -> None:
    """Write the output to the log, as far as it may go; read the rest, so that nobody has to wait for it."""
    left = order.log_bytes
    with open(order.log, "ab", buffering=0) as log:  # noqa: PTH123 - unbuffered
        while data := output.read1(65_536) if hasattr(output, "read1") else output.read(65_536):
            log.write(data[: max(left, 0)])
            left -= len(data)
        if left < 0:
            log.write(f"\n… and {-left} bytes more that were not kept\n".encode())


def _pass_on(progress: IO[bytes]) -> None:
    for line in iter(lambda: progress.readline(_LINE), b""):
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            _tell(**event)


def _obey(child: _Child) -> None:
    for line in sys.stdin.buffer:
        if line.strip() == b"cancel":
            child.stop("cancelled")
    child.stop("the service went away", grace=5)


def main() -> None:
    """Run the job that standard input orders."""
    order = Order(**json.loads(sys.stdin.buffer.readline()))
    child = _Child(order)
    _tell(event="started", pid=child.process.pid)
    assert child.process.stdout is not None
    readers = [
        threading.Thread(target=_keep, args=(child.process.stdout, order)),
        threading.Thread(target=_pass_on, args=(child.progress,)),
    ]
    for reader in readers:
        reader.start()
    threading.Thread(target=_obey, args=(child,), daemon=True).start()
    try:
        child.process.wait(order.seconds)
    except subprocess.TimeoutExpired:
        child.stop(f"it took longer than {order.seconds:g} s")
        child.process.wait()
    child.kill()  # whatever it has left behind
    for reader in readers:
        reader.join(GRACE)
    _tell(event="ended", exit=child.process.returncode, why=child.why)
    os._exit(0)  # a reader may still hang on something that escaped the session


if __name__ == "__main__":
    main()
