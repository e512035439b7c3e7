"""What every part of a run shares: settings, the run's id and folders, who this process is."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pytest_smartattend import options
from pytest_smartattend.evidence import run_directory, stopwatch

if TYPE_CHECKING:
    import pytest


@dataclass
class Run:
    """One invocation of pytest, in the controller or in one of its xdist workers.

    Attributes:
        settings: what holds in this run.
        run_id: the same in the controller and all its workers.
        worker: ``main`` without xdist and in the controller, else ``gw0``, ``gw1``, ….
        is_controller: whether this process owns the run: it reports, and it cleans up.
        began: when the controller began, in nanoseconds of `stopwatch.monotonic_ns`.
        stopped: why this process runs no further check; empty where it goes on.
    """

    settings: options.Settings
    run_id: str
    worker: str
    is_controller: bool
    began: int = field(default_factory=stopwatch.monotonic_ns)
    stopped: str = ""
    _held: dict[Path, IO[bytes]] = field(default_factory=dict)

    def folder(self, base: Path) -> Path:
        """This run's folder below `base`, made and owned by the controller."""
        folder = run_directory.folder_in(base, self.run_id)
        if self.is_controller and folder not in self._held:
            from pytest_smartattend.postgres import watch

            self._held[folder] = run_directory.hold(folder)
            if len(self._held) == 1:
                watch.over(self.run_id, folder)
        return folder

    def scratch(self, name: str) -> Path:
        """A folder to be made for this process; whatever kills it, the run's keeper removes the folder."""
        return self.folder(run_directory.bases()[-1]) / f"{name}-{self.worker}-{os.getpid()}"

    def claim_folders(self) -> None:
        """Own a folder below each base before workers start: they cannot own one for the controller."""
        for base in run_directory.bases():
            with contextlib.suppress(OSError):  # a full base is no base
                self.folder(base)

    def release(self) -> None:
        """Remove this run's folders."""
        for folder, alive in self._held.items():
            run_directory.remove(folder)
            alive.close()
        self._held.clear()

    def for_worker(self) -> str:
        """What a worker must know, as JSON: execnet carries plain text safely and little else."""
        return json.dumps({"run_id": self.run_id, "began": self.began})


_KEY: Any = None


def _key() -> Any:  # noqa: ANN401
    global _KEY
    if _KEY is None:
        import pytest

        _KEY = pytest.StashKey[Run]()
    return _KEY


def begin(config: pytest.Config) -> Run:
    """Read the settings and note who this process is. Makes nothing on disk."""
    workerinput: dict[str, Any] | None = getattr(config, "workerinput", None)
    if workerinput is None:
        run = Run(options.read(config), f"{uuid.uuid4().hex[:12]}-{os.getpid()}", "main", is_controller=True)
    else:
        told = json.loads(workerinput["smartattend"])
        run = Run(
            options.read(config), told["run_id"], workerinput["workerid"], is_controller=False, began=told["began"]
        )
    config.stash[_key()] = run
    return run


def of(config: pytest.Config) -> Run:
    """The run that `config` belongs to."""
    run: Run = config.stash[_key()]
    return run


def begun(config: pytest.Config) -> Run | None:
    """The run that `config` belongs to; None where another plugin refused to start before us."""
    return config.stash.get(_key(), None)
