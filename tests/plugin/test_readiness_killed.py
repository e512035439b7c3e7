"""Whoever kills `smartattend readiness` ends what it runs, also where a shell had put it into the background."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SUITE = """
import os, pathlib, time

def test_goes_on():
    pathlib.Path({note!r}).write_text(str(os.getpid()))
    time.sleep(300)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's word for it is Linux's")
@pytest.mark.parametrize("ctrl_c", [signal.SIG_DFL, signal.SIG_IGN], ids=["in front", "in the background"])
def test_its_pytest_is_interrupted(pytester: pytest.Pytester, ctrl_c: signal.Handlers) -> None:
    note = Path(pytester.path / "note")
    pytester.makepyfile(test_long=SUITE.format(note=str(note)))
    words = [str(Path(sys.executable).with_name("smartattend")), "readiness", "--target=reference", "--workers=0"]
    child = subprocess.Popen(
        [*words, "--suites=test_long"],
        cwd=pytester.path,
        env={**os.environ, "PYTHONPATH": str(pytester.path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, ctrl_c),  # noqa: PLW1509 - there are no threads here
    )
    try:
        running = int(_read(note))
    finally:
        child.kill()
        child.wait()
    deadline = time.monotonic() + 60
    while Path(f"/proc/{running}").exists():
        assert time.monotonic() < deadline, f"pytest, process {running}, goes on"
        time.sleep(0.05)


def _read(note: Path) -> str:
    deadline = time.monotonic() + 60
    while not (note.exists() and note.read_text()):
        assert time.monotonic() < deadline, "the test did not begin"
        time.sleep(0.05)
    return note.read_text()
