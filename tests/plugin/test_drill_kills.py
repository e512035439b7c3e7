"""A drill that is killed in any of its steps leaves nothing: no server, frozen or not, no receiver, no instance, no file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc")

#: drill → its file, and how many steps it has before its control begins; a restart's are those of its first instance
STEPS = {
    "primary-failover-hung": ("test_primary_failover.py", "hung", 8),
    "incident-store-loss": ("test_incident_store_loss.py", "reports", 9),
    "data-corruption": ("test_data_corruption.py", "page", 9),
    "service-restart": ("test_service_restart.py", "instance", 7),
}
#: Of each drill the step that leaves most behind: a frozen server and one that is rewound, an instance killed with a torn
#: spool, a restore, old and new instances at once. The others when asked for: each needs a drill of its own up to its step.
ALWAYS = {
    ("primary-failover-hung", 2),
    ("primary-failover-hung", 8),
    ("incident-store-loss", 6),
    ("data-corruption", 7),
    ("service-restart", 3),
}
EVERY_STEP = os.environ.get("SMARTATTEND_TEST_EVERY_STEP") == "1"

KILLER = """
import json, os, signal
from pathlib import Path
from pytest_smartattend.evidence import run_directory
from pytest_smartattend.trials.drill import Drill

folders, steps = [], [0]
hold, step = run_directory.hold, Drill.step

def holding(folder):
    folders.append(str(folder))
    return hold(folder)

def family():
    parents, began = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)], began[int(entry.name)] = int(words[1]), words[19]
    mine = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in mine} - mine:
        mine |= more
    return [(pid, began[pid]) for pid in sorted(mine - {os.getpid()})]

def die():
    told = Path(os.environ["KILLER_TOLD"])
    told.with_suffix(".tmp").write_text(json.dumps({"folders": folders, "processes": family()}))
    told.with_suffix(".tmp").rename(told)
    os.kill(os.getpid(), signal.SIGKILL)

def stepping(self, name, *, action=None, **rest):
    steps[0] += 1
    if steps[0] == int(os.environ["KILLER_STEP"]):
        honest = action or (lambda: None)
        action = lambda: (honest(), die())
    return step(self, name, action=action, **rest)

run_directory.hold = holding
Drill.step = stepping
"""


def until(seen: Callable[[], Any], what: Callable[[], str]) -> None:
    deadline = time.monotonic() + 120
    while not seen():
        assert time.monotonic() < deadline, f"waited in vain: {what()}"
        time.sleep(0.02)


def alive(processes: list[tuple[int, str]]) -> list[str]:
    """Those that still run, with their command lines; a zombie has ended, and one that began later is another's."""
    found = []
    for pid, began in processes:
        try:
            state, *words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if state != "Z" and words[18] == began:
            found.append(f"{pid} {state} {line}")
    return found


def cases() -> list[Any]:
    return [
        pytest.param(
            name,
            step,
            id=f"{name}-{step}",
            marks=[]
            if (name, step) in ALWAYS or EVERY_STEP
            else [pytest.mark.skip(reason="every step: SMARTATTEND_TEST_EVERY_STEP=1")],
        )
        for name, (_, _, count) in STEPS.items()
        for step in range(1, count + 1)
    ]


@pytest.mark.parametrize(("name", "step"), cases())
def test_a_drill_killed_in_this_step_leaves_nothing(pytester: pytest.Pytester, name: str, step: int) -> None:
    file, word, _ = STEPS[name]
    pytester.makepyfile(killer=KILLER)
    told = pytester.path / "told.json"
    temporary = pytester.path / "t"
    temporary.mkdir()
    given = {
        "KILLER_STEP": str(step),
        "KILLER_TOLD": str(told),
        "TMPDIR": str(temporary),
        "PYTHONPATH": os.pathsep.join([".", *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    suite = f"pytest_smartattend.suites.drills.{file.removesuffix('.py')}"
    words = ["-m", "pytest", "-p", "killer", "-p", "no:cacheprovider", "--smartattend-target=reference", "-k", word]
    with (pytester.path / "output").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *words, "--pyargs", suite],
            cwd=pytester.path,
            env={**os.environ, **given},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        status = process.wait(600)
    assert status == -signal.SIGKILL, (pytester.path / "output").read_text()
    left = json.loads(told.read_text())
    assert len(left["folders"]) >= 2
    assert len(left["processes"]) > 4
    until(lambda: not alive(left["processes"]), lambda: "\n".join(alive(left["processes"])))
    until(lambda: not any(map(os.path.exists, left["folders"])), lambda: str(left["folders"]))
