"""``--smartattend-budget``: no test begins once the time is used up, and what has begun is finished.

The rest is not run, and the verdict incomplete.
"""

from __future__ import annotations

import pytest

from pytest_smartattend.evidence import stopwatch
from pytest_smartattend.wiring import run as run_wiring


def is_used_up(config: pytest.Config) -> bool:
    """Whether there is a budget, and it is over."""
    run = run_wiring.of(config)
    seconds = run.settings.budget
    return seconds > 0 and stopwatch.monotonic_ns() - run.began > seconds * 1e9


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """Leave a test alone, without any report, where nothing may begin any more."""
    return True if is_used_up(item.config) else None
