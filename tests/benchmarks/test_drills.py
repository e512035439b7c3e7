"""The shipped drills, twenty times each: what they reached, beside the floors that were measured in the same runs."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

ROUNDS = int(os.environ.get("SMARTATTEND_BENCH_ROUNDS", "20"))


def test_the_drills_and_their_floors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures: dict[tuple[str, str], list[float]] = defaultdict(list)
    loads = []
    for _ in range(ROUNDS):
        asked = ["--smartattend-target=reference", f"--smartattend-report={tmp_path}", "-p", "no:cacheprovider", "-q"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *asked, "-c", os.devnull, "--pyargs", "pytest_smartattend.suites.drills"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        loads.append(os.getloadavg()[0])
        document = json.loads((tmp_path / "readiness.json").read_bytes())
        (group,) = [group for group in document["groups"] if group["name"] == "drills"]
        for check in group["checks"]:
            figures[f"{check['id']}, whole", "s"].append(check["attempts"][0]["seconds"])
            for one in check["measurements"]:
                figures[one["name"], one["unit"]].append(one["value"])
    with capsys.disabled():
        print(f"\n{ROUNDS} runs; load average {min(loads):.1f} to {max(loads):.1f}\n")
        print("| drill | unit | least | median | most |\n| --- | --- | ---: | ---: | ---: |")
        for (name, unit), values in figures.items():
            row = (min(values), statistics.median(values), max(values))
            print(f"| {name} | {unit} | " + " | ".join(f"{value:.3f}" for value in row) + " |")
