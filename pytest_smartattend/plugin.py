"""The door to pytest: options, marks, and the wiring modules. Imports nothing heavy; what a test asks for is loaded then."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import pytest

from pytest_smartattend import hooks, marks, options
from pytest_smartattend.errors import UsageError
from pytest_smartattend.wiring import run as run_wiring

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

#: fixtures and hooks, one module per room
WIRING = (
    "budget",
    "clock",
    "postgres",
    "evidence",
    "drills",
    "planting",
    "reconciler",
    "replays",
    "selection",
    "shard",
    "suites",
    "target",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    options.add_to(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare what adopters may implement."""
    pluginmanager.add_hookspecs(hooks)


def pytest_configure(config: pytest.Config) -> None:
    """Read the settings, declare the marks, register the fixtures."""
    marks.add_to(config)
    try:
        run_wiring.begin(config)
    except UsageError as problem:
        raise pytest.UsageError(str(problem)) from None
    for room in WIRING:
        config.pluginmanager.register(
            importlib.import_module(f"pytest_smartattend.wiring.{room}"), f"smartattend-{room}"
        )


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    """Tell an xdist worker which run it belongs to."""
    run = run_wiring.of(node.config)
    run.claim_folders()
    node.workerinput["smartattend"] = run.for_worker()


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the run's folders, after every wiring module has stopped what it had started."""
    run = run_wiring.begun(config)
    if run is not None and run.is_controller:
        run.release()
