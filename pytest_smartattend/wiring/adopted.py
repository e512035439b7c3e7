"""Starts or reaches the platform of an adopter, as the options and their adapter say."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_smartattend.errors import NotOffered, SmartattendError, UsageError
from pytest_smartattend.options import Settings
from pytest_smartattend.wiring import planting
from pytest_smartattend.wiring import run as run_wiring

if TYPE_CHECKING:
    from typing_extensions import TypeIs

    from pytest_smartattend.loop.clock import LoopClock
    from pytest_smartattend.postgres.schema import Schema
    from pytest_smartattend.postgres.server import Server
    from pytest_smartattend.target.adapted import AdaptedPlatform
    from pytest_smartattend.target.adapter import Adapter
    from pytest_smartattend.target.clocked import ClockedPlatform
    from pytest_smartattend.target.installation import Startup
    from pytest_smartattend.target.platform import Platform
    from pytest_smartattend.target.translator import Translator


def check(settings: Settings, root: Path) -> None:
    """Say before anything starts what the target lacks.

    Raises:
        pytest.UsageError: an option is missing, or the adapter is not what is accepted.
    """
    try:
        refuse(settings, root)
    except SmartattendError as problem:
        raise pytest.UsageError(str(problem)) from None


def refuse(settings: Settings, root: Path) -> None:
    """The same for who is not pytest.

    Raises:
        SmartattendError: see `check`.
    """
    from pytest_smartattend.target import adapter, url_platform

    target = settings.target
    lacking = [name for name in (target, "adapter") if not getattr(settings, name)]
    if lacking:
        raise UsageError(
            f"--smartattend-target={target} needs {' and '.join(f'--smartattend-{name}=…' for name in lacking)}. "
            "`smartattend init` writes an adapter to begin with."
        )
    if planting.shipped(settings):
        raise UsageError(
            "--smartattend-sabotage plants the defects of the catalogue in the reference only. Declare one of your own in "
            "the [[sabotages]] of readiness.toml, or take it away."
        )
    read = adapter.read(settings.adapter, root)
    if target == "url":
        url_platform.check(settings.url, read, settings.allow_host)


def started(request: pytest.FixtureRequest) -> AdaptedPlatform | Platform:
    """The platform that the options name.

    Raises:
        SmartattendError: it cannot be had; the message says which step, and what to do.
    """
    config = request.config
    settings = run_wiring.of(config).settings
    adapter, given = _adapter_and_hook(config)
    if not (given is None or _is_translator(given)):
        return given
    if settings.target == "url":
        from pytest_smartattend.target.url_platform import UrlPlatform

        return UrlPlatform(settings.url, adapter, settings.allow_host, given)
    from pytest_smartattend.target.command_platform import CommandPlatform

    server = request.getfixturevalue("_smartattend_postgres")
    return CommandPlatform(*_given(config, server, adapter, "platform"), **_options(settings, given))


_NUMBERS = itertools.count()


def clocked(config: pytest.Config, server: Server, clock: LoopClock) -> ClockedPlatform:
    """A platform of a check's own, started by the command, on `clock`.

    Raises:
        NotOffered: the target is a URL, or its time cannot be held.
        SmartattendError: it does not start.
    """
    from pytest_smartattend.target.clocked import ClockedPlatform

    adapter, translator = followed(config, clock)
    words = _given(config, server, adapter, f"clocked-{next(_NUMBERS)}")
    return ClockedPlatform(clock, *words, **_options(run_wiring.of(config).settings, translator))


def followed(config: pytest.Config, clock: LoopClock) -> tuple[Adapter, Translator | None]:
    """How a command that can follow `clock` is spoken to. Starts nothing.

    Raises:
        NotOffered: as `clocked`.
    """
    if run_wiring.of(config).settings.target != "command":
        raise NotOffered("a clock that can be held: it runs elsewhere")
    from pytest_smartattend.target import clocked

    adapter, given = _adapter_and_hook(config)
    if given is not None and not _is_translator(given):
        raise NotOffered("a clock that can be held: the platform is given by a hook")
    clocked.followed(adapter, clock)
    return adapter, given


def drilled(config: pytest.Config) -> tuple[Startup, Schema]:
    """How several instances of the platform are started for a drill, and what their databases are made with. Starts nothing.

    Raises:
        NotOffered: it runs elsewhere, or its adapter does not say how.
    """
    settings = run_wiring.of(config).settings
    adapter, given = _adapter_and_hook(config)
    if settings.target != "command" or given is not None or not adapter.is_drilled:
        raise NotOffered(
            "instances and servers that a drill may kill ([instances] of the adapter of a command, on the contract's own "
            "tables); hold a drill of your own in their place, as docs/how-to/your-own-recovery-drill.md shows"
        )
    from pytest_smartattend.target.command_platform import schema_of, words_of
    from pytest_smartattend.target.installation import Startup

    root = config.rootpath
    return Startup(words_of(settings.command), adapter, root), schema_of(settings.migrate, adapter, root)


def _is_translator(given: object) -> TypeIs[Translator]:
    from pytest_smartattend.target.translator import Translator

    return isinstance(given, Translator)


def _adapter_and_hook(config: pytest.Config) -> tuple[Adapter, Translator | Platform | None]:
    from pytest_smartattend.target import adapter as adapters

    adapter = adapters.read(run_wiring.of(config).settings.adapter, config.rootpath)
    return adapter, config.hook.pytest_smartattend_target(config=config, adapter=adapter)


def _given(config: pytest.Config, server: Server, adapter: Adapter, name: str) -> tuple[Any, ...]:
    from pytest_smartattend.target.command_platform import schema_of

    run = run_wiring.of(config)
    database = server.pool(schema_of(run.settings.migrate, adapter, config.rootpath)).take()
    return run.settings.command, adapter, server, database, config.rootpath, run.scratch(name)


def _options(settings: Settings, translator: Translator | None) -> dict[str, Any]:
    return {"workers": settings.platform_workers, "seed": settings.seed, "translator": translator}
