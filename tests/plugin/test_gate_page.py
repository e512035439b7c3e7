"""The page on the gate: its scope is accepted, its workflows are YAML, and every command line in it is one."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_smartattend import cli
from pytest_smartattend.readiness import requirements, scope

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "release-gate.md"
BLOCKS = dict(re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```$', PAGE.read_text(), re.MULTILINE | re.DOTALL))
_WORDS = {"${{ matrix.shard }}/3": "1/3", "$CI_NODE_INDEX/$CI_NODE_TOTAL": "1/3", "${{ github.sha }}": "abc"}


def _commands() -> list[str]:
    found = []
    for line in PAGE.read_text().splitlines():
        match = re.match(r"(?:\s*- )?(?:run: )?(smartattend [a-z]+ .*)$", line.strip())
        if match:
            text = match[1].partition("  #")[0].partition("||")[0]
            for word, value in _WORDS.items():
                text = text.replace(word, value)
            found.append(re.sub(r"\$\(.*?\)|\$\w+", "x", text))
    return found


def test_the_scope_of_the_page_is_accepted_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "readiness.toml"
    shown = BLOCKS["readiness.toml"]
    path.write_text(shown)
    assert scope.load(path, requirements.load()).postgres == 17
    path.write_text(re.sub(r"^# (?=\[|\w+ = )", "", shown, flags=re.MULTILINE))
    declared = scope.load(path, requirements.load())
    assert (len(declared.not_applicable), len(declared.waivers)) == (1, 1)


@pytest.mark.parametrize("name", [".github/workflows/readiness.yml", ".gitlab-ci.yml"])
def test_a_workflow_of_the_page_is_yaml_and_runs_the_gate(name: str) -> None:
    workflow: dict[Any, Any] = yaml.safe_load(BLOCKS[name])
    steps = str(workflow)
    assert "smartattend merge" in steps
    assert "smartattend gate" in steps
    if name.startswith(".github"):
        assert workflow[True]["schedule"] == [{"cron": "0 2 * * 1"}]  # YAML 1.1 reads `on` as a truth value
        assert workflow["jobs"]["gate"]["needs"] == "shard"
        assert len(workflow["jobs"]["shard"]["strategy"]["matrix"]["shard"]) == 3


@pytest.mark.parametrize("command", _commands())
def test_a_command_line_of_the_page_is_accepted(command: str) -> None:
    words = shlex.split(command)[1:]
    arguments = cli._parser(words[0]).parse_args(words)
    assert arguments.command == words[0]


def test_the_page_has_its_commands() -> None:
    assert {shlex.split(command)[1] for command in _commands()} == {"readiness", "merge", "gate", "convert"}
