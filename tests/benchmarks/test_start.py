"""What the plugin costs a run that does not use it: pytest's start with and without it, interleaved."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROUNDS = 21
VARIANTS = {
    "without the plugin": ("-p", "no:pytest_smartattend.plugin"),
    "installed, unused": (),
}


def _start(folder: Path, arguments: tuple[str, ...]) -> tuple[float, float]:
    """Milliseconds on the wall, and of the processor, of a pytest that collects nothing."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis", *arguments]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(
        words, cwd=folder, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (time.perf_counter() - began) * 1e3, cpu * 1e3


def test_an_installed_and_unused_plugin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in VARIANTS}
    for turn in range(ROUNDS):
        for name in list(VARIANTS)[:: 1 if turn % 2 else -1]:
            seen[name].append(_start(tmp_path, VARIANTS[name]))
    with capsys.disabled():
        print("\n| pytest's start | wall ms, median | wall ms, least | CPU ms, median | CPU ms, least |")
        print("| --- | ---: | ---: | ---: | ---: |")
        for name, runs in seen.items():
            wall, cpu = zip(*runs, strict=True)
            figures = (statistics.median(wall), min(wall), statistics.median(cpu), min(cpu))
            print(f"| {name} | " + " | ".join(f"{figure:.0f}" for figure in figures) + " |")
