"""Recorded incidents as checks, and the fixture `replay`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_smartattend.errors import NotOffered, SmartattendError
from pytest_smartattend.wiring import run as run_wiring

if TYPE_CHECKING:
    from pytest_smartattend.engine.replay_verdict import ReplayReport
    from pytest_smartattend.evidence.record import Evidence
    from pytest_smartattend.target.client import Operation
    from pytest_smartattend.target.in_process import InProcessPlatform
    from pytest_smartattend.trials.recorded import Recording

_RECORDING = "_smartattend_recording"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each file is a check: what ships, and what ``--smartattend-incidents`` names."""
    if _RECORDING not in metafunc.fixturenames:
        return
    try:
        found = _recordings(run_wiring.of(metafunc.config).settings.incidents)
    except SmartattendError as problem:
        raise pytest.UsageError(str(problem)) from None
    metafunc.parametrize(_RECORDING, found, ids=[one.name for one in found])


def _recordings(folder: Path | None) -> list[Recording]:
    from pytest_smartattend.trials import recorded

    shipped = recorded.shipped()
    own = recorded.recordings(folder) if folder is not None else []
    twice = {one.name for one in shipped} & {one.name for one in own}
    if twice:
        raise pytest.UsageError(
            f"--smartattend-incidents: {min(twice)} is the name of a recorded incident that ships. Rename the file."
        )
    return [*shipped, *own]


@pytest.fixture
def _smartattend_export_key(_smartattend_discrete: InProcessPlatform) -> bytes:
    """What the platform signs its exports with."""
    key: bytes | None = getattr(_smartattend_discrete, "export_key", None)
    if key is None:
        raise NotOffered("a key of ours to sign its exports with")
    return key


@pytest.fixture
def _smartattend_replay(
    _smartattend_discrete: InProcessPlatform,
    _smartattend_record: Callable[[Operation], None],
    _smartattend_evidence: Evidence,
) -> Callable[[Recording | Path | str], ReplayReport]:
    from pytest_smartattend.engine.record_seal import KEY_VARIABLE
    from pytest_smartattend.trials import recorded
    from pytest_smartattend.trials.replay import Replay

    if not hasattr(_smartattend_discrete, "cast"):
        raise NotOffered("further people in each role, as whom a recorded incident could be driven")

    def replay(what: Recording | Path | str) -> ReplayReport:
        recording = recorded.recording(Path(what)) if isinstance(what, (str, Path)) else what
        document = recording.read(os.environ.get(KEY_VARIABLE, "").encode())
        told = Replay(_smartattend_discrete, _smartattend_record).of(document, recording.name, exact=recording.exact)
        for line in told.lines():
            _smartattend_evidence.note(line)
        return told

    return replay


@pytest.fixture
def replay(
    _smartattend_replay: Callable[[Recording | Path | str], ReplayReport],
) -> Callable[[Recording | Path | str], ReplayReport]:
    """Drives an exported incident again: ``replay("incidents/x.json").verdict``."""
    return _smartattend_replay
