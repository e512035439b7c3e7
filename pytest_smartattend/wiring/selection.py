"""``--smartattend-checks``: run checks by their ids. What is left out is deselected, and the verdict incomplete."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import pytest

from pytest_smartattend import marks
from pytest_smartattend.errors import UsageError
from pytest_smartattend.wiring import run as run_wiring

#: the name that stands for one cell of each scenario: enough for the inner loop, in seconds
QUICK = "quick"
_QUICK_GROUPS = frozenset({"scenarios"})
#: these wait for real seconds to pass
_NOT_QUICK = frozenset({"scenarios/tenant-health", "scenarios/concurrent-actors"})


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what was not asked for."""
    names = run_wiring.of(config).settings.checks
    if not names:
        return
    from pytest_smartattend.readiness.requirements import covers

    ids = [_id_of(item) for item in items]
    _all_known(names, ids)
    quick = _quick(ids) if QUICK in names else frozenset()
    kept: list[pytest.Item] = []
    left: list[pytest.Item] = []
    for item, name in zip(items, ids, strict=True):
        is_wanted = bool(name) and (name in quick or any(covers(one, name) for one in names))
        (kept if is_wanted else left).append(item)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept


def _id_of(item: pytest.Item) -> str:
    try:
        check = marks.check_of(item)
    except UsageError:  # told when it runs
        return ""
    return check[1] if check else ""


def _all_known(names: Sequence[str], ids: Sequence[str]) -> None:
    from pytest_smartattend.readiness.requirements import covers

    for name in names:
        if name != QUICK and not any(covers(name, one) for one in ids if one):
            bases = sorted({one.partition("[")[0] for one in ids if one} | {*ids} - {""})
            near = difflib.get_close_matches(name, bases, n=3)
            raise pytest.UsageError(
                f"--smartattend-checks: no collected test is the check {name!r}. "
                + (f"Did you mean {' or '.join(near)}?" if near else "`smartattend plan` lists what there is.")
            )


def _quick(ids: Sequence[str]) -> frozenset[str]:
    first: dict[str, str] = {}
    for one in ids:
        first.setdefault(one.partition("[")[0], one)
    return frozenset(
        one for base, one in first.items() if base.partition("/")[0] in _QUICK_GROUPS and base not in _NOT_QUICK
    )
