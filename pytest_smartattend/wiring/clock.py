"""The fixture `clock`, and the event loop on which a test that asks for it runs."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from pytest_smartattend.evidence import stopwatch
from pytest_smartattend.wiring import run as run_wiring

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from pytest_smartattend.loop.clock import LoopClock

_CLOCK = pytest.StashKey["LoopClock"]()
_FIXTURE = "_smartattend_clock"


def make(setting: str, seed: int) -> LoopClock:
    """The clock that the option ``--smartattend-clock`` names. The real one starts now, the others at the epoch."""
    from pytest_smartattend.loop.clock import LoopClock

    if setting == "real":
        return LoopClock(datetime.fromisoformat(stopwatch.wall()), "real", seed=seed)
    if setting == "discrete":
        return LoopClock(seed=seed)
    return LoopClock(mode="scaled", factor=float(setting.removesuffix("x")), seed=seed)


class _Loops:
    """For pytest-asyncio, while it collects a test that asks for the clock: the loop that the clock moves."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_asyncio_loop_factories(self) -> Mapping[str, Callable[[], AbstractEventLoop]]:
        """One, so that the test's name stays as it is."""
        return {"smartattend-clock": self._new_loop}

    def _new_loop(self) -> AbstractEventLoop:
        return self._config.stash[_CLOCK].new_loop()  # this test's: it is not made yet when tests are collected


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> Generator[None]:
    """Offer the clock's loop to the tests that ask for the clock, and to no other."""
    if _FIXTURE not in metafunc.fixturenames:
        return (yield)
    loops = _Loops(metafunc.config)
    manager = metafunc.config.pluginmanager
    manager.register(loops, "smartattend-clock-loops")
    try:
        return (yield)
    finally:
        manager.unregister(loops)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A new clock for each test, made before fixtures are, because the first of them may already need the loop."""
    if _FIXTURE not in getattr(item, "fixturenames", ()):
        return
    mark = item.get_closest_marker("asyncio")
    if mark is not None and mark.kwargs.get("loop_scope", "function") != "function":
        pytest.fail(
            f"{item.nodeid} asks for `clock`, which lives as long as one test, and for an event loop of a longer life. "
            "Leave loop_scope out of its mark.",
            pytrace=False,
        )
    _renew(item.config)


def _renew(config: pytest.Config) -> None:
    settings = run_wiring.of(config).settings
    config.stash[_CLOCK] = make(settings.clock, settings.seed)


@pytest.fixture
def _smartattend_clock(request: pytest.FixtureRequest) -> LoopClock:
    if (
        _FIXTURE not in request.node.fixturenames
    ):  # asked for by getfixturevalue: too late for a loop, but not for a clock
        _renew(request.config)
    return request.config.stash[_CLOCK]


@pytest.fixture
def clock(_smartattend_clock: LoopClock) -> LoopClock:
    """The test's clock: a coroutine test runs on its loop, and a plain one moves it by `advance` or `run`."""
    return _smartattend_clock
