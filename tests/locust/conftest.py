"""These tests need a platform and Locust: ``.ci/locust-lane.sh`` runs them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave them out of runs that have no target or no Locust."""
    has_all = config.getoption("smartattend_target", None) and find_spec("locust") is not None
    return None if has_all else True
