"""What the keeper takes for a process that runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_smartattend.postgres import keeper


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks into /proc")
def test_a_process_that_ends_while_it_is_looked_at_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert keeper.is_running(os.getpid())
    monkeypatch.setattr(keeper, "_read", lambda _: b"")  # as where it is gone between one question and the next
    assert not keeper.is_running(os.getpid())
