"""A small project with checks of its own, run by a real pytest in a process of its own, and its report."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REQUIREMENTS = """
version = "test"
[[groups.scenarios]]
id = "scenarios/first"
[[groups.scenarios]]
id = "scenarios/second"
cells = ["a", "b"]
"""

HONEST = """
import pytest

@pytest.mark.scenario("scenarios/first")
def test_first(evidence):
    evidence.expect("one and one", 1 + 1, 2)

@pytest.mark.scenario("scenarios/second")
@pytest.mark.parametrize("cell", ["a", "b"])
def test_second(evidence, cell):
    evidence.invariant("it holds", True)
"""

#: plugins of the development environment that have no part in this, and take longer to import than all the others
UNRELATED = ("schemathesis", "hypothesispytest", "pytest_postgresql")


@dataclass
class Judged:
    """What a run left."""

    exit_status: int
    output: str
    document: dict[str, Any]
    path: Path

    @property
    def status(self) -> str:
        return str(self.document["status"])

    @property
    def codes(self) -> list[str]:
        return [reason["code"] for reason in self.document["status_reasons"]]

    def check(self, name: str) -> dict[str, Any]:
        return next(check for group in self.document["groups"] for check in group["checks"] if check["id"] == name)


@dataclass
class Project:
    """A folder with `HONEST` checks that a test bends."""

    pytester: pytest.Pytester
    requirements: Path
    reports: Path

    def file(self, name: str, content: str) -> Path:
        path = self.pytester.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(content), "utf-8")
        return path

    def run(self, *arguments: str, timeout: float = 240) -> Judged:
        """Run pytest with a report; the time limit only ends what hangs."""
        result = self.pytester.runpytest_subprocess(
            "-q",
            f"--smartattend-report={self.reports}",
            f"--smartattend-requirements={self.requirements}",
            *arguments,
            timeout=timeout,
        )
        document = self.reports / "readiness.json"
        assert document.exists(), result.stdout.str() + result.stderr.str()
        output = result.stdout.str() + result.stderr.str()
        return Judged(int(result.ret), output, json.loads(document.read_bytes()), document)

    def gate(self, *arguments: str, path: Path | None = None) -> tuple[int, str]:
        """Exit code and output of `smartattend gate`."""
        result = self.pytester.run(
            sys.executable,
            "-m",
            "pytest_smartattend.cli",
            "gate",
            path or self.reports / "readiness.json",
            f"--requirements={self.requirements}",
            *arguments,
            timeout=120,
        )
        return int(result.ret), result.stdout.str() + result.stderr.str()


@pytest.fixture(autouse=True)
def _without_the_unrelated(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """For every pytest that a test starts; pytest-asyncio warns of a project that does not say its loops' scope."""
    if "pytester" in request.fixturenames:
        request.getfixturevalue("pytester")  # which takes the variable away when it is made
    words = [*(f"-p no:{name}" for name in UNRELATED), "-o asyncio_default_fixture_loop_scope=function"]
    monkeypatch.setenv("PYTEST_ADDOPTS", " ".join(words))


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Three honest checks, and requirements that ask for them."""
    for name in ("PYTEST_XDIST_WORKER", "SMARTATTEND_SEAL_KEY"):
        monkeypatch.delenv(name, raising=False)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    made = Project(pytester, pytester.path / "requirements.toml", pytester.path / "reports")
    made.file("requirements.toml", REQUIREMENTS)
    made.file("test_checks.py", HONEST)
    return made


@pytest.fixture
def honest(project: Project) -> Judged:
    """A run of the honest project."""
    return project.run()


@pytest.fixture
def bent(project: Project) -> Callable[[str, str], Judged]:
    """Run the project with one piece of its checks replaced."""

    def run(old: str, new: str, *arguments: str) -> Judged:
        assert old in HONEST
        project.file("test_checks.py", HONEST.replace(old, new))
        return project.run(*arguments)

    return run
