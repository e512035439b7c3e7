"""What evidence costs: 1,000 tests under xdist, without the plugin, with evidence, and with a report of it."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROUNDS = 5
TESTS = 1000

CHECKS = f"""
import time
import pytest

@pytest.mark.parametrize("number", range({TESTS}))
def test_one(number, record):
    began = time.perf_counter()
    while time.perf_counter() - began < 0.002:  # what the least of checks does: one request on loopback
        pass
    record.expect("number", number, number)
    record.invariant("small", number < {TESTS})
    record.event("done", number=number)
"""

WITHOUT = """
import pytest

class Nothing:
    def __getattr__(self, name):
        return lambda *args, **kwargs: None

@pytest.fixture
def record():
    return Nothing()
"""

WITH = """
import pytest

@pytest.fixture
def record(evidence):
    return evidence
"""

UNRELATED = ("schemathesis", "hypothesispytest", "pytest_postgresql", "html", "metadata", "time_machine")
MARK = "@pytest.mark.scenario('scenarios/one')\n"


def _project(folder: Path, name: str, fixtures: str, checks: str) -> Path:
    path = folder / name
    path.mkdir()
    (path / "conftest.py").write_text(fixtures, "utf-8")
    (path / "test_many.py").write_text(checks, "utf-8")
    (path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n", "utf-8")
    return path


def _run(path: Path, *arguments: str) -> tuple[float, float]:
    """Seconds on the wall, and of all processors, of one run."""
    words = [word for name in UNRELATED for word in ("-p", f"no:{name}")]
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-mpytest", "-q", "-n2", "-p", "no:cacheprovider", *words, *arguments],
        cwd=path,
        check=False,  # strict: the verdict of an incomplete run is its exit status
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_evidence_of_a_thousand_tests_under_xdist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    marked = CHECKS.replace("@pytest.mark.parametrize", MARK + "@pytest.mark.parametrize")
    without = _project(tmp_path, "without", WITHOUT, CHECKS)
    recorded = _project(tmp_path, "with", WITH, CHECKS)
    reported = _project(tmp_path, "report", WITH, marked)
    variants: dict[str, tuple[Path, tuple[str, ...]]] = {
        "without the plugin": (without, ("-p", "no:pytest_smartattend.plugin")),
        "installed, unused": (without, ()),
        "evidence recorded": (recorded, ()),
        "evidence journaled and judged": (reported, ("--smartattend-strict",)),
        "document and page written too": (reported, ("--smartattend-report=reports",)),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in variants}
    for _ in range(ROUNDS):
        for name, (path, arguments) in variants.items():
            times[name].append(_run(path, *arguments))
    least = {name: [min(figures) for figures in zip(*found, strict=True)] for name, found in times.items()}
    base_wall, base_cpu = least["without the plugin"]
    with capsys.disabled():
        print(f"\n\n| {TESTS} tests, -n2, {ROUNDS} rounds | wall median s | wall least s | CPU least s | wall | CPU |")
        print("| --- | ---: | ---: | ---: | ---: | ---: |")
        for name, (wall, cpu) in least.items():
            median = statistics.median(wall for wall, _ in times[name])
            over = f"{100 * (wall / base_wall - 1):+.1f} % | {100 * (cpu / base_cpu - 1):+.1f} %"
            print(f"| {name} | {median:.2f} | {wall:.2f} | {cpu:.2f} | {over} |")
