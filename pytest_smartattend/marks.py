"""The one table of marks.

A check is a test that carries one group mark with its stable id: ``@pytest.mark.scenario("scenarios/security-breach")``.
A parametrised cell's id is the check's with the cell in brackets: ``scenarios/security-breach[low-level_1]``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_smartattend.errors import UsageError

if TYPE_CHECKING:
    import pytest

#: mark → group (the folder of the shipped suite and the group of the report), in the order in which they are reported
GROUPS: dict[str, str] = {
    "scenario": "scenarios",
    "simulation": "simulations",
    "storm": "storms",
    "drill": "drills",
    "replay": "replays",
    "handoff": "handoffs",
}

HELP = {
    "scenario": "a walk through the incident or attendance life cycle",
    "simulation": "a sequence on the virtual clock",
    "storm": "load and faults on the wire",
    "drill": "a recovery, measured",
    "replay": "a recorded incident, driven again",
    "handoff": "a change of shift",
}

_ID = re.compile(r"[a-z0-9][a-z0-9_.-]*/[a-z0-9][a-z0-9_.-]*")


def add_to(config: pytest.Config) -> None:
    """Declare every mark to pytest."""
    for mark, text in HELP.items():
        config.addinivalue_line("markers", f"{mark}(id): {text}; the id stands in evidence, requirements and reports")
    config.addinivalue_line("markers", "detects(*sabotages): the planted defects that this check must catch")


def check_of(item: pytest.Item) -> tuple[str, str] | None:
    """Group and full id of the check that this test is; None for a test that is none.

    Raises:
        UsageError: a group mark without an id, with a malformed one, or two group marks on one test.
    """
    marks = [mark for mark in item.iter_markers() if mark.name in GROUPS]
    if not marks:
        return None
    names = {mark.name for mark in marks}
    if len(names) > 1:
        raise UsageError(
            f"{item.nodeid} carries the marks {', '.join(sorted(names))}: a check is of one group. Keep one."
        )
    mark = marks[0]
    if len(mark.args) != 1 or not isinstance(mark.args[0], str) or not _ID.fullmatch(mark.args[0]):
        raise UsageError(
            f"{item.nodeid}: @pytest.mark.{mark.name} takes the check's id, lower case and with one slash, such as "
            f'@pytest.mark.{mark.name}("{GROUPS[mark.name]}/my-check").'
        )
    # a parameter that a plugin hides, such as an event loop's factory, is no cell of a table
    cell = getattr(getattr(item, "callspec", None), "id", "")
    return GROUPS[mark.name], mark.args[0] + (f"[{cell}]" if cell else "")


def detected_by(item: pytest.Item) -> tuple[str, ...]:
    """The sabotages that this check promised to catch."""
    return tuple(dict.fromkeys(name for mark in item.iter_markers("detects") for name in mark.args))
