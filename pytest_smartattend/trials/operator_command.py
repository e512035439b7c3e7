"""A command of the operators, such as their own ``promote`` or ``restore``, as an action of a drill."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from datetime import timedelta

from pytest_smartattend.errors import StepFailed

_SHOWN = 2000  # characters of its output in a message


def run_command(command: str, within: timedelta, environment: Mapping[str, str] | None = None) -> str:
    """Run a shell command of the operators to its end.

    Args:
        command: for ``/bin/sh``.
        within: after which it is killed, with all that it started.
        environment: besides this process's own: what it must know, such as the DSN of the lost primary.

    Returns:
        what it wrote.

    Raises:
        StepFailed: it ended with another status than 0, or did not end.
    """
    # A file, not a pipe: a server that the command starts holds a pipe open, and its end would never come.
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        try:
            process.wait(within.total_seconds())
        except subprocess.TimeoutExpired as problem:
            raise StepFailed(
                f"{command!r} did not end within {within.total_seconds():g} s. Give it longer."
            ) from problem
        finally:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        output.seek(0)
        said = output.read()
    if process.returncode != 0:
        raise StepFailed(f"{command!r} ended with {process.returncode}: {said.strip()[-_SHOWN:]}. Run it by hand.")
    return said
