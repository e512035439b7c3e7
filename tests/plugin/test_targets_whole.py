"""Every group against the reference by its command and by its URL: equal to the default, or not run, by name.

Some checks of each group always; all of them, which takes as long as three runs, with ``SMARTATTEND_TEST_WHOLE=1``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import httpcore  # noqa: F401 - what is first imported within a test of pytester's is forgotten after it
import pytest

from pytest_smartattend.postgres.server import Server
from pytest_smartattend.target.adapter import REFERENCE, read
from pytest_smartattend.target.command_platform import CommandPlatform
from pytest_smartattend.target.reference_schema import ReferenceSchema
from tests.plugin.test_targets import outcomes

WHOLE = os.environ.get("SMARTATTEND_TEST_WHOLE") == "1"
CHECKS = (
    "scenarios/reopening", "scenarios/health", "simulations/one-clock", "storms/time-drift-gaining", "storms/partial-outage",
    "drills/service-restart", "replays/export-pages", "replays/tampering", "handoffs/wrong-person", "handoffs/briefing",
)  # fmt: skip
COMMAND = f"{sys.executable} -m pytest_smartattend.target.reference_with_door"
#: what a process of its own cannot be asked for: check → what it lacks
IN_PROCESS_ONLY = {
    "simulations/peak-load": "a path 'platform'",
    "storms/partial-outage": "clients on its clock",
    "storms/network-instability": "a fault of kind",
    "storms/comprehensive": "clients on its clock",
}


def ran(pytester: pytest.Pytester, folder: str, *words: str) -> dict[str, tuple[str, str]]:
    (pytester.path / folder).mkdir()
    chosen = [] if WHOLE else [f"--smartattend-checks={','.join(CHECKS)}"]
    found, output = outcomes(
        pytester, "pytest_smartattend.suites", "-n2", *chosen, *words, timeout=3600 if WHOLE else 600
    )
    assert len(found) > (700 if WHOLE else 15), output
    return found


@pytest.fixture
def default(pytester: pytest.Pytester) -> dict[str, tuple[str, str]]:
    return ran(pytester, "default", "--smartattend-target=reference")


def test_each_group_by_the_command_gives_the_outcomes_of_the_default(
    pytester: pytest.Pytester, default: dict[str, tuple[str, str]]
) -> None:
    words = ("--smartattend-target=command", f"--smartattend-command={COMMAND}", "--smartattend-adapter=reference")
    command = ran(pytester, "command", *words)
    assert set(command) == set(default)
    lacking = {check: why for check, (status, why) in command.items() if status == "skipped"}
    assert {check.partition("[")[0] for check in lacking} <= set(IN_PROCESS_ONLY)
    for check, why in lacking.items():
        assert f"not run: the target does not offer {IN_PROCESS_ONLY[check.partition('[')[0]]}" in why
    differing = {
        check: (status, default[check][0], why)
        for check, (status, why) in command.items()
        if check not in lacking and status != default[check][0]
    }
    assert differing == {}


@pytest.fixture
def url(postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pytester: pytest.Pytester) -> Iterator[str]:
    """A platform that runs already, whose secret and database are known."""
    database = postgres.pool(ReferenceSchema()).take()
    platform = CommandPlatform(COMMAND, read("reference", tmp_path), postgres, database, tmp_path, tmp_path / "scratch")
    monkeypatch.setenv("THEIR_SECRET", platform._secret)
    monkeypatch.setenv("THEIR_DATABASE", database.dsn)
    text = REFERENCE.read_text().replace('secret = "{secret}"', 'secret = "{env:THEIR_SECRET}"')
    text += f'[url]\ndisposable = ["{platform.base_url}"]\ndatabase = "{{env:THEIR_DATABASE}}"\n'
    (pytester.path / "adapter.toml").write_text(text)
    yield platform.base_url
    platform.stop()


def test_each_group_behind_a_url_gives_the_outcomes_of_the_default_or_is_named_as_not_run(
    pytester: pytest.Pytester, default: dict[str, tuple[str, str]], url: str
) -> None:
    found = ran(
        pytester, "url", "--smartattend-target=url", f"--smartattend-url={url}", "--smartattend-adapter=adapter.toml"
    )
    assert set(found) == set(default)
    lacking = {check: why for check, (status, why) in found.items() if status == "skipped"}
    assert all("not run: the target does not offer " in why for why in lacking.values()), lacking
    assert {check.partition("/")[0] for check in lacking} >= {"simulations", "drills", "replays"}
    differing = {
        check: (status, default[check][0], why)
        for check, (status, why) in found.items()
        if check not in lacking and status != default[check][0]
    }
    assert differing == {}
    assert "scenarios/reopening" not in lacking
