"""How a job's process tells what it does: lines of JSON on a descriptor that it was given.

Also a pytest plugin, ``-p pytest_smartattend.service.progress``: one line for what was collected and one for each test.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import pytest

#: environment variable with the number of the descriptor
DESCRIPTOR = "SMARTATTEND_PROGRESS_FD"


def tell(event: str, **data: object) -> None:
    """Write one line; nothing where nobody listens, and nothing that could end the process that tells."""
    number = os.environ.get(DESCRIPTOR, "")
    if not number.isdecimal():
        return
    try:
        os.write(int(number), json.dumps({"event": event, **data}).encode() + b"\n")
    except OSError:
        os.environ.pop(DESCRIPTOR, None)


def pytest_configure(config: pytest.Config) -> None:
    """A worker tells nothing: what it reports reaches its controller, which does."""
    if hasattr(config, "workerinput"):
        os.environ.pop(DESCRIPTOR, None)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Say how much there is to do; without xdist, for with it the controller collects nothing."""
    if session.items:
        tell("collected", tests=len(session.items))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: Sequence[str]) -> None:  # noqa: ANN401 - xdist is optional
    """Say how much there is to do; every worker collects the same."""
    if node.workerinput.get("workerid") == "gw0":
        tell("collected", tests=len(ids))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Say what became of a test, when it has ended or failed."""
    if report.when == "call" or report.outcome != "passed":
        tell(
            "test",
            test=report.nodeid[:500],
            phase=report.when,
            outcome=report.outcome,
            seconds=round(report.duration, 3),
        )
