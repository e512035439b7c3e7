"""A run in parts: three shards merged are the whole, and nothing else is taken for it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_smartattend.readiness import sealing
from tests.plugin.conftest import Judged, Project

REQUIREMENTS = """
version = "test"
[[groups.scenarios]]
id = "scenarios/cell"
cells = ["a", "b", "c", "d", "e", "f"]
[[groups.storms]]
id = "storms/one"
"""
CHECKS = """
import pytest

@pytest.mark.scenario("scenarios/cell")
@pytest.mark.parametrize("cell", list("abcdef"))
def test_cell(evidence, cell):
    evidence.expect("the cell", cell in "abcdef", True)

@pytest.mark.storm("storms/one")
def test_storm(evidence):
    evidence.measure("lost", 0, "rows", limit=0, objective=True)
    evidence.fault("silence", 7)

def test_of_its_own(evidence):
    evidence.event("seen")
"""


@dataclass
class Divided:
    project: Project

    def shard(self, number: int, of: int = 3, *arguments: str) -> Path:
        self.project.reports = self.project.pytester.path / f"shard-{number}"
        return self.project.run(f"--smartattend-shard={number}/{of}", "--smartattend-subject=v1", *arguments).path

    def merge(self, *files: Path) -> tuple[int, str, dict[str, Any] | None]:
        whole = self.project.pytester.path / "merged"
        result = self.project.pytester.run(
            sys.executable,
            "-m",
            "pytest_smartattend.cli",
            "merge",
            *files,
            f"--report={whole}",
            f"--requirements={self.project.requirements}",
            timeout=120,
        )
        document = whole / "readiness.json"
        output = result.stdout.str() + result.stderr.str()
        return int(result.ret), output, json.loads(document.read_bytes()) if document.exists() else None


@pytest.fixture
def divided(project: Project) -> Divided:
    project.file("requirements.toml", REQUIREMENTS)
    project.file("test_checks.py", CHECKS)
    return Divided(project)


def _outcomes(document: dict[str, Any]) -> dict[str, Any]:
    """All that must be alike, whoever ran it."""
    return {
        "status": document["status"],
        "reasons": document["status_reasons"],
        "groups": {
            group["name"]: (
                group["status"],
                group["consensus"],
                {check["id"]: (check["status"], check["required"], check["counts"]) for check in group["checks"]},
            )
            for group in document["groups"]
        },
        "objectives": document["objectives"],
        "faults": [(fault["check"], fault["name"], fault["seed"]) for fault in document["faults"]],
        "integrity": {name: value for name, value in document["integrity"].items() if name != "journals"},
        **{name: document[name] for name in ("target", "subject", "scope", "findings", "not_exercised")},
    }


def resealed(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The document with a change that its own seal does not show."""
    document = json.loads(path.read_bytes())
    change(document)
    document["seal"] = sealing.seal(document, b"")
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize("arguments", [[], ["-n", "2"]], ids=["alone", "two-workers"])
def test_three_shards_merged_equal_the_whole_run(divided: Divided, arguments: list[str]) -> None:
    whole = divided.project.run("--smartattend-subject=v1", *arguments)
    shards = [divided.shard(number, 3, *arguments, f"--smartattend-durations={whole.path}") for number in (1, 2, 3)]
    ran = [len([c for g in json.loads(s.read_bytes())["groups"] for c in g["checks"] if c["attempts"]]) for s in shards]
    assert sum(ran) == 8
    assert min(ran) >= 1
    code, output, merged = divided.merge(*shards)
    assert merged is not None, output
    assert (code, merged["status"]) == (0, "ready")
    assert _outcomes(merged) == _outcomes(whole.document)
    assert [entry["number"] for entry in merged["run"]["shards"]] == [1, 2, 3]
    assert "READY for scenarios, storms" in output


def test_a_shard_alone_is_incomplete_and_names_the_others(divided: Divided) -> None:
    path = divided.shard(2)
    document = json.loads(path.read_bytes())
    assert document["status"] == "incomplete"
    absent = next(reason for reason in document["status_reasons"] if reason["code"] == "shard_absent")
    assert absent["evidence"] == ["1/3", "3/3"]
    assert divided.project.gate(path=path)[0] == 30


def test_a_missing_shard_makes_the_whole_incomplete(divided: Divided) -> None:
    code, output, merged = divided.merge(divided.shard(1), divided.shard(3))
    assert code == 30
    assert merged is not None
    assert merged["status"] == "incomplete"
    assert "shard_absent" in output
    assert "2/3" in output


def test_a_failure_in_one_shard_fails_the_whole(divided: Divided) -> None:
    divided.project.file("test_checks.py", CHECKS.replace('cell in "abcdef", True', 'cell in "abcde", True'))
    code, _, merged = divided.merge(*(divided.shard(number) for number in (1, 2, 3)))
    assert code == 20
    assert merged is not None
    assert merged["integrity"]["reported"] == 7


FOREIGN: dict[str, Callable[[dict[str, Any]], object]] = {
    "subject": lambda document: document["subject"].update(name="v2"),
    "target": lambda document: document["target"].update(name="reference"),
    "seed": lambda document: document["run"].update(seed="1"),
    "plan": lambda document: document["run"]["shards"][0].update(plan="another"),
    "version of pytest": lambda document: document["versions"].update(pytest="1.0"),
    "version of suites": lambda document: document["versions"].update(suites="0" * 64),
}


def test_a_shard_of_another_run_is_refused(divided: Divided) -> None:
    one, two = divided.shard(1, 2), divided.shard(2, 2)
    sound = two.read_bytes()
    for what, change in FOREIGN.items():
        two.write_bytes(sound)
        code, output, merged = divided.merge(one, resealed(two, change))
        assert (code, merged) == (30, None), what
        assert f"of another {what} than shard 1/2" in output
    code, output, merged = divided.merge(one, divided.shard(2, 3))
    assert (code, merged) == (30, None)
    assert "of another division than shard 1/2" in output


def test_a_shard_that_was_changed_is_not_trusted(divided: Divided) -> None:
    one, two = divided.shard(1, 2), divided.shard(2, 2)
    two.write_text(two.read_text().replace('"finished": "2', '"finished": "1'))
    code, output, merged = divided.merge(one, two)
    assert (code, merged) == (40, None), output


def test_one_shard_given_twice_and_a_whole_run_are_no_parts(divided: Divided) -> None:
    one = divided.shard(1, 2)
    assert "is there twice" in divided.merge(one, one)[1]
    divided.project.reports = divided.project.pytester.path / "whole"
    assert "is no shard" in divided.merge(one, divided.project.run().path)[1]


def test_an_older_verdict_does_not_outlive_a_merge_that_failed(divided: Divided) -> None:
    one, two = divided.shard(1, 2), divided.shard(2, 2)
    assert divided.merge(one, two)[0] == 0
    code, _, merged = divided.merge(one, one)
    assert (code, merged) == (30, None)


def test_a_shard_that_was_killed_leaves_the_whole_incomplete(divided: Divided) -> None:
    one = divided.shard(1, 2)
    two = divided.shard(2, 2)
    stub: dict[str, Any] = json.loads(two.read_bytes())
    project = divided.project
    project.file("conftest.py", "import os\ndef pytest_runtestloop(session):\n    os._exit(9)\n")
    project.reports = project.pytester.path / "killed"
    killed: Judged = project.run("--smartattend-shard=2/2", "--smartattend-subject=v1")
    assert killed.document["run"]["finished"] is None
    assert stub["run"]["finished"]
    code, output, merged = divided.merge(one, killed.path)
    assert code == 30, output
    assert merged is not None
    assert "unfinished" in output
