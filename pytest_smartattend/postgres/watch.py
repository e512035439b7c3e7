"""Starting the keeper: before there is anything to keep, so that a kill at any moment finds it there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pytest_smartattend.evidence import run_directory
from pytest_smartattend.postgres import keeper


def over(run_id: str, first: Path) -> None:
    """Have the run's folders watched: `first`, which this process just made its own, and those that may follow."""
    folders = [first, *(run_directory.folder_in(base, run_id) for base in run_directory.bases())]
    dead = [str(folder) for folder in run_directory.abandoned()]
    _start([*dict.fromkeys(map(str, folders)), "--", *dead])


def order(words: Sequence[str], folder: Path) -> None:
    """Note in the run's folder what the keeper shall unpack when the run is over."""
    (folder / "next").write_text("\n".join(words))


def hand_over(folders: Sequence[Path]) -> None:
    """At the orderly end of a run, before its folders go: have what was ordered unpacked beside whatever comes next."""
    if words := keeper.following([str(folder) for folder in folders]):
        _start(["prepare", *words])


def _start(words: Sequence[str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", keeper.__file__, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )
    process.returncode = 0  # it outlives us; keeps Popen from warning about it
