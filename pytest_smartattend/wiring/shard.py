"""``--smartattend-shard``: of all that was collected, run the part that falls to this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_smartattend import marks
from pytest_smartattend.errors import EvidenceError, UsageError
from pytest_smartattend.wiring import run as run_wiring
from pytest_smartattend.wiring.evidence import about

_TOLD = pytest.StashKey[str]()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep this shard's checks. What the others run is not deselected: `smartattend merge` asks for it."""
    settings = run_wiring.of(config).settings
    if settings.shard is None or not items:
        return
    from pytest_smartattend.readiness import shards

    number, of = settings.shard
    keys = {item.nodeid: _key(item) for item in items}
    plan = shards.divide(frozenset(keys.values()), of, _durations(settings.durations))
    chosen = [item for item in items if plan.part[keys[item.nodeid]] == number]
    config.stash[_TOLD] = (
        f"smartattend: shard {number}/{of} runs {len(chosen)} of {len(items)} tests, "
        f"{plan.loads[number - 1]:.1f} s of {sum(plan.loads):.1f} s"
    )
    items[:] = chosen
    about(config, "shard", {"plan": plan.digest})


def pytest_report_collectionfinish(config: pytest.Config) -> str | list[str]:
    """Say how much falls to this machine."""
    return config.stash.get(_TOLD, [])


def _key(item: pytest.Item) -> str:
    try:
        check = marks.check_of(item)
    except UsageError:  # told when the test is run
        check = None
    return check[1] if check else item.nodeid


def _durations(path: Path | None) -> dict[str, float]:
    if path is None or not path.exists():  # the first run has nothing to go by
        return {}
    from pytest_smartattend.readiness import reading, shards

    try:
        return shards.recorded(reading.read(path))
    except EvidenceError as problem:
        raise pytest.UsageError(f"--smartattend-durations: {problem}") from None
