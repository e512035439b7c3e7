"""`smartattend init` and `smartattend conform`: what somebody begins with, and what is told of every operation."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pytest_smartattend import cli
from pytest_smartattend.postgres.server import Server
from pytest_smartattend.readiness import requirements, scope
from pytest_smartattend.target.adapter import Api, Start, read
from pytest_smartattend.target.command_platform import CommandPlatform
from pytest_smartattend.target.conforming import Finding, conform
from pytest_smartattend.target.reference_schema import ReferenceSchema

COMMAND = f"{sys.executable} -m pytest_smartattend.reference.serve"
Look = Callable[..., dict[str, Finding]]


@pytest.fixture
def look(postgres: Server, tmp_path: Path) -> Iterator[Look]:
    with ExitStack() as closing:

        def at(**api: Any) -> dict[str, Finding]:
            adapter = read("reference", tmp_path)
            start = Start.model_validate({**adapter.start.model_dump(), "ready": "/api/health"})
            adapter = adapter.model_copy(update={"api": Api.model_validate(api), "start": start})
            database = postgres.pool(ReferenceSchema()).take()
            platform = CommandPlatform(COMMAND, adapter, postgres, database, tmp_path, tmp_path / "scratch")
            closing.callback(platform.close)
            return {found.operation: found for found in conform(platform)}

        yield at


def test_the_reference_answers_every_operation_as_the_contract_says(look: Look) -> None:
    found = look()
    assert {one.operation: one.how for one in found.values() if one.word != "ok"} == {}
    assert len(found) > 30


def test_what_is_not_offered_and_what_is_answered_wrongly_is_told_and_how(look: Look) -> None:
    found = look(
        not_offered=["* /metrics/*", "POST /school/attendance"],
        names={"seq": "number", "escalation_level": "tier"},
        paths={"GET /auth/me": "GET /api/nowhere"},
        values={"level": {"executive": "level_1"}},
    )
    assert found["GET /metrics/clock-drift"].word == "not offered"
    assert found["GET /attendance/{id}"].how == "record on which it could be tried"
    assert found["GET /auth/me"].how.startswith("answered 404 not_found, wanted 200")
    assert found["POST /incidents/{id}/escalate"].how.startswith("answered 422 escalation_level_mismatch, wanted 200")
    assert found["GET /incidents/{id}/timeline"].word == "ok", "a name that the platform does not use changes nothing"
    assert found["GET /incidents"].word == "ok"


def test_an_answer_that_lacks_fields_is_told_with_their_names(look: Look) -> None:
    found = look(names={"title": "severity", "severity": "title"})
    how = found["POST /incidents"].how
    assert how.startswith("answered 422 validation_error, wanted 201")
    assert found["GET /incidents/{id}"].word == "not offered"


def test_init_writes_what_can_be_read_and_overwrites_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["init", str(tmp_path)]) == 0
    assert read("smartattend-adapter.toml", tmp_path).seed.kind == "steps"
    assert scope.load(tmp_path / "readiness.toml", requirements.load()).required == ()
    assert "smartattend readiness" in (tmp_path / ".github/workflows/readiness.yml").read_text()
    (tmp_path / "readiness.toml").write_text("mine")
    capsys.readouterr()
    assert cli.main(["init", str(tmp_path)]) == 0
    assert (tmp_path / "readiness.toml").read_text() == "mine"
    assert f"kept     {tmp_path / 'readiness.toml'}" in capsys.readouterr().out


def test_init_and_conform_say_what_they_need(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["init", str(tmp_path / "nowhere")]) == 2
    assert "is no folder" in capsys.readouterr().err
    assert cli.main(["conform", "--target=command", "--adapter=reference"]) == 2
    assert "--target=command needs --command=…" in capsys.readouterr().err
    assert cli.main(["conform", "--target=url", "--url=http://127.0.0.1:9", "--adapter=reference"]) == 1
    assert "is not marked as disposable" in capsys.readouterr().err
