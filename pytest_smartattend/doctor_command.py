"""``smartattend doctor``: what this machine has, what a run would use, and what to do about the rest."""

from __future__ import annotations

import argparse
import difflib
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import TYPE_CHECKING, Any, cast

from pytest_smartattend import options
from pytest_smartattend.errors import NoServerFound, UsageError
from pytest_smartattend.evidence import run_directory
from pytest_smartattend.evidence.redaction import redacted
from pytest_smartattend.readiness.sealing import KEY_VARIABLE
from pytest_smartattend.readiness.wording import many
from pytest_smartattend.wiring.postgres import wanted

if TYPE_CHECKING:
    import pytest

#: MiB that a run with drills needs in its folders
_ROOM = 600
#: variables with our prefix that are no options
_OTHERS = frozenset({KEY_VARIABLE})

#: what was found: "ok", "note" or "problem", the words, and what to do
Finding = tuple[str, str, str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments: there are none."""


def run(_arguments: argparse.Namespace) -> int:
    """Print what was found; 1 where a run could not start."""
    found = [*_programs(), *_settings(), *_postgres(), *_folders(), *_left()]
    for kind, text, advice in found:
        print(f"{ {'ok': '✓', 'note': '·', 'problem': '✗'}[kind] } {redacted(text)}")
        for line in advice.splitlines():
            print(f"    {redacted(line)}")
    problems = sum(kind == "problem" for kind, _, _ in found)
    if problems:
        print(f"\n{many(problems, 'problem')}: a run would not start. What to do stands below each.")
        return 1
    print("\nA run can start: smartattend readiness --target=reference --report=reports")
    return 0


def settings_of_environment() -> options.Settings:
    """The settings that hold where nothing is said but in the environment.

    Raises:
        UsageError: a variable's value is not accepted.
    """
    return options.read(cast("pytest.Config", _Silent()), dict(os.environ))


class _Silent:
    """A configuration in which nothing is said."""

    inipath = None

    def getoption(self, _name: str, default: Any = None) -> Any:  # noqa: ANN401
        return default

    def getini(self, _name: str) -> str:
        return ""


def _programs() -> Iterator[Finding]:
    python = f"Python {platform.python_version()} on {platform.platform()}"
    yield (
        ("ok", python, "")
        if sys.platform != "win32"
        else ("problem", python, "Run it in WSL2: native Windows is not supported.")
    )
    versions = {
        name: _version(name)
        for name in ("pytest-smartattend", "pytest", "pytest-xdist", "pytest-asyncio", "pytest-html")
    }
    yield "ok", ", ".join(f"{name} {version or 'is missing'}" for name, version in versions.items()), ""
    if _version("pytest-rerunfailures"):
        yield (
            "note",
            "pytest-rerunfailures is installed",
            "A check that passes only on a rerun makes the verdict at_risk.",
        )
    if os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD"):
        yield (
            "note",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD is set",
            "pytest needs -p pytest_smartattend.plugin then; `smartattend readiness` does not.",
        )


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _settings() -> Iterator[Finding]:
    known = {option.environment for option in options.OPTIONS} | _OTHERS
    for name in sorted(name for name in os.environ if name.startswith("SMARTATTEND_")):
        if name in known:
            yield "ok", f"{name} is set", ""
        else:
            near = difflib.get_close_matches(name, known, n=1)
            yield "note", f"{name} is set and means nothing", f"Did you mean {near[0]}?" if near else ""
    if "DATABASE_URL" in os.environ:
        yield "note", "DATABASE_URL is set", "It is never read: no suite writes to a database that nobody named for it."
    try:
        settings_of_environment()
    except UsageError as problem:
        yield "problem", "a setting cannot be read", str(problem)


def _postgres() -> Iterator[Finding]:
    from pytest_smartattend.postgres.choosing import choose

    try:
        choice = choose(wanted(settings_of_environment()))
    except NoServerFound as problem:
        first, *rest = str(problem).splitlines()
        yield "problem", first, "\n".join(rest)
        return
    except UsageError:  # told above
        return
    version = f" {choice.binaries.version} in {choice.binaries.folder}" if choice.binaries else ""
    who = f", as {choice.identity.why}" if choice.identity else ""
    yield "ok", f"PostgreSQL: {choice.provider}{version}{who}", choice.why


def _folders() -> Iterator[Finding]:
    bases = run_directory.bases()
    if not bases:
        yield "problem", "no folder can be written to", "Set TMPDIR to one that can, with a short path."
    for base in bases:
        free = shutil.disk_usage(base).free // 2**20
        text = f"{base} has {free:,} MiB free"
        if free < _ROOM:
            yield (
                "note",
                text,
                f"Drills need about {_ROOM} MiB; point TMPDIR to a larger folder, or give a container more --shm-size.",
            )
        else:
            yield "ok", text, ""


def _left() -> Iterator[Finding]:
    left = list(run_directory.abandoned())
    if left:
        yield (
            "note",
            f"{many(len(left), 'folder')} of killed runs: {', '.join(map(str, left[:5]))}",
            "The next run removes them.",
        )
