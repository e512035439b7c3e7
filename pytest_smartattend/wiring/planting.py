"""Defects of the adopter's own, planted and healed by their commands around a run: the ``[[sabotages]]`` of the scope."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping

import pytest

from pytest_smartattend.errors import UsageError
from pytest_smartattend.options import Settings
from pytest_smartattend.wiring import run as run_wiring

#: seconds that a command may take: it may build the platform anew
PATIENCE = 600.0
_PLANTED = pytest.StashKey[Mapping[str, str]]()


def own(settings: Settings) -> Mapping[str, str] | None:
    """The adopter's sabotage that this run asks for; None where it asks for none, or for one that ships."""
    if not settings.sabotage or settings.scope is None:
        return None
    from pytest_smartattend.readiness import requirements, scope

    declared = scope.load(settings.scope, requirements.load(settings.requirements or requirements.SHIPPED))
    return next((entry for entry in declared.sabotages if entry["name"] == settings.sabotage), None)


def shipped(settings: Settings) -> str:
    """The defect for the reference platform to carry: empty for none, and for one of the adopter's."""
    return "" if own(settings) is not None else settings.sabotage


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Plant it, before any process of the platform starts."""
    run = run_wiring.of(session.config)
    if not run.is_controller or session.config.option.collectonly:
        return
    try:
        entry = own(run.settings)
    except UsageError as problem:
        raise pytest.UsageError(str(problem)) from None
    if entry is not None:
        session.config.stash[_PLANTED] = entry  # a command that fails half way is healed as well
        failed = _carry_out(entry["plant"], session.config)
        if failed:
            raise pytest.UsageError(f"the sabotage {entry['name']} was not planted: {failed}")


@pytest.hookimpl(tryfirst=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Heal it, whatever became of the run."""
    entry = config.stash.get(_PLANTED, None)
    if entry is not None:
        del config.stash[_PLANTED]
        problem = _carry_out(entry["heal"], config)
        if problem:
            raise UsageError(f"the sabotage {entry['name']} is still planted: {problem}")


def _carry_out(command: str, config: pytest.Config) -> str:
    """Run `command` in the project's folder; what went wrong, empty where nothing did."""
    try:
        done = subprocess.run(
            shlex.split(command),
            cwd=config.rootpath,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as problem:
        return f"{command!r}: {problem}. Correct it in readiness.toml."
    output = done.stdout.decode("utf-8", "replace")[-1_000:].strip()
    return (
        f"{command!r} ended with {done.returncode}. Correct it in readiness.toml.\n{output}" if done.returncode else ""
    )
