"""The shipped drills, twenty times each: what they reached, beside the floors that were measured in the same runs.

``SMARTATTEND_BENCH_ROUNDS`` sets how often, ``SMARTATTEND_BENCH_DRILLS`` which (a ``-k`` expression).
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_smartattend.postgres.choosing import Wanted
from pytest_smartattend.postgres.durable import initdb_words
from pytest_smartattend.postgres.site import own_site

ROUNDS = int(os.environ.get("SMARTATTEND_BENCH_ROUNDS", "20"))
DRILLS = os.environ.get("SMARTATTEND_BENCH_DRILLS", "")
#: what is aimed at: figure → the most at the median, and the most at the worst
AIMS = {
    "RTO of primary-failover, killed, in floors": (2.5, 4.0),
    "RTO of primary-failover, hung, in floors": (2.5, 4.0),
    "RTO of data-corruption, page, in floors": (3.0, None),
    "from the order to rebuild to a report in the store, in floors": (3.0, None),
    "failed requests of service-restart": (0.0, 0.0),
    "all drills with their controls": (30.0, None),
}
Figures = dict[tuple[str, str], list[float]]


def floors(figures: Figures) -> str:
    """What this machine needs at the least for the parts of every recovery. Returns which PostgreSQL that was."""
    with own_site(Wanted()) as site:
        node = site.primary("n0")
        words = initdb_words(site.programs.binaries.major, "C")
        bare = site.new_folder("bare")

        def timed(what: str, act: Callable[[], object]) -> None:
            begin = time.perf_counter()
            act()
            figures[f"floor: {what}", "s"].append(time.perf_counter() - begin)

        timed("initdb", lambda: site.programs.run("initdb", "-D", bare / "data", *words))
        standby = site.standby("n1", of=node)
        standby.stop_receiving()
        timed("promote", standby.promote)
        node.stop()
        timed("copy", lambda: site.programs.copy(node.data, bare / "copy"))
        timed("start", node.start)
        return str(site.programs.binaries.version)


def one_round(folder: Path, figures: Figures) -> None:
    """Hold every drill once and note its figures."""
    asked = ["--smartattend-target=reference", f"--smartattend-report={folder}", "-p", "no:cacheprovider", "-q"]
    asked += ["-o", "asyncio_default_fixture_loop_scope=function"]
    asked += ["-k", DRILLS] if DRILLS else []
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *asked, "-c", os.devnull, "--pyargs", "pytest_smartattend.suites.drills"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    if not DRILLS:
        figures["all drills with their controls", "s"].append(time.perf_counter() - begin)
    report: dict[str, Any] = json.loads((folder / "readiness.json").read_bytes())
    (group,) = [group for group in report["groups"] if group["name"] == "drills"]
    for check in group["checks"]:
        if check["attempts"]:  # the others were not asked for
            figures[f"{check['id']}, whole", "s"].append(check["attempts"][0]["seconds"])
            for one in check["measurements"]:
                figures[one["name"], one["unit"]].append(one["value"])


def aim(name: str, values: list[float]) -> str:
    """How a figure stands to what is aimed at; empty where nothing is."""
    median, worst = AIMS.get(name, (None, None))
    if median is None:
        return ""
    met = statistics.median(values) <= median and (worst is None or max(values) <= worst)
    asked = f"≤ {median:g}" + (f", worst ≤ {worst:g}" if worst else "")
    return f"{asked}: {'met' if met else 'missed'}"


def test_the_drills_and_their_floors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures: Figures = defaultdict(list)
    loads = [os.getloadavg()[0]]
    version = ""
    for _ in range(ROUNDS):
        version = floors(figures)
        one_round(tmp_path, figures)
        loads.append(os.getloadavg()[0])
    with capsys.disabled():
        print(
            f"\n{ROUNDS} rounds on {os.cpu_count()} processors, Python {platform.python_version()}, PostgreSQL {version}"
        )
        print(f"load average {loads[0]:.1f} before, {min(loads[1:]):.1f} to {max(loads[1:]):.1f} after each round")
        requests = sum(figures.get(("requests during service-restart", "requests"), []))
        print(f"{requests:.0f} requests during all restarts\n")
        print("| figure | unit | least | median | most | aim |\n| --- | --- | ---: | ---: | ---: | --- |")
        for (name, unit), values in figures.items():
            row = " | ".join(f"{value:.3f}" for value in (min(values), statistics.median(values), max(values)))
            print(f"| {name} | {unit} | {row} | {aim(name, values)} |")
