"""`smartattend init` and `smartattend conform`: what somebody begins with, and what is told of every operation."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pytest_smartattend import cli
from pytest_smartattend.errors import NotOffered
from pytest_smartattend.postgres.server import Server
from pytest_smartattend.readiness import requirements, scope
from pytest_smartattend.target.adapter import REFERENCE, Api, Start, read
from pytest_smartattend.target.command_platform import CommandPlatform
from pytest_smartattend.target.conforming import Finding, conform
from pytest_smartattend.target.operations import OPERATIONS
from pytest_smartattend.target.people import Person, Tenant
from pytest_smartattend.target.reference_schema import ReferenceSchema

COMMAND = f"{sys.executable} -m pytest_smartattend.reference.serve"
Look = Callable[..., list[Finding]]


@pytest.fixture
def look(postgres: Server, tmp_path: Path) -> Iterator[Look]:
    with ExitStack() as closing:

        def at(**api: Any) -> list[Finding]:
            adapter = read("reference", tmp_path)
            start = Start.model_validate({**adapter.start.model_dump(), "ready": "/api/health"})
            adapter = adapter.model_copy(update={"api": Api.model_validate(api), "start": start})
            database = postgres.pool(ReferenceSchema()).take()
            platform = CommandPlatform(COMMAND, adapter, postgres, database, tmp_path, tmp_path / "scratch")
            closing.callback(platform.close)
            return list(conform(platform))

        yield at


def by_operation(found: list[Finding]) -> dict[str, Finding]:
    """The last finding of each."""
    return {one.operation: one for one in found}


def test_the_reference_does_every_operation_as_the_contract_says(look: Look) -> None:
    found = look()
    assert [one for one in found if one.word != "ok"] == []
    assert {one.operation for one in found} == set(OPERATIONS)


#: what is asked for last of an incident or a shift, and beside them
LATE = [
    "POST /incidents/{id}/close",
    "POST /validation/handoff/initiate",
    "GET /validation/handoff/{id}/briefing",
    "POST /validation/handoff/{id}/reject",
    "POST /validation/handoff/{id}/accept",
    "POST /validation/incidents/{id}/export",
    "POST /validation/incidents/export",
]


def test_what_comes_late_is_done_and_not_only_refused(look: Look) -> None:
    found = look(statuses={operation: {"200": 203, "201": 203} for operation in LATE})
    assert {one.operation for one in found if one.word == "WRONG"} == set(LATE)
    assert all(one.how.startswith("answered 203, wanted 20") for one in found if one.word == "WRONG")
    refused = [one.operation for one in found if one.word == "ok" and one.operation in LATE]
    assert refused == ["POST /incidents/{id}/close", *["POST /validation/handoff/{id}/accept"] * 3]


def test_what_could_not_be_tried_is_told_with_what_was_lacking(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_tenant: Tenant, role: str) -> Person:
        raise NotOffered(f"a second {role}")

    monkeypatch.setattr(Tenant, "successor_of", nobody)
    found = look(not_offered=["POST /school/attendance", "POST /corrections/*", "POST /incidents/{id}/resolve"])
    assert [one for one in found if one.word == "WRONG"] == []
    assert {one.operation for one in found if one.word == "not offered"} == {
        "POST /school/attendance",
        "POST /corrections/{id}",
        "POST /corrections/{id}/revert",
        "POST /incidents/{id}/resolve",
    }
    record, successor = "lacks a record on which it could be tried", "lacks a second admin"
    resolved = "lacks POST /incidents/{id}/resolve"
    assert {one.operation: one.how for one in found if one.word == "not tried"} == {
        "GET /attendance/{id}": record,
        "GET /attendance/{id}/history": record,
        "POST /attendance/{id}/state": record,
        "GET /corrections/history/{id}": record,
        "POST /incidents/{id}/close": resolved,
        "POST /incidents/{id}/reopen": resolved,
        "POST /validation/handoff/initiate": successor,
        "GET /validation/handoff/{id}/briefing": successor,
        "POST /validation/handoff/{id}/accept": successor,
        "POST /validation/handoff/{id}/reject": successor,
    }


def test_the_command_counts_operations_and_fails_for_one_that_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    lacking = (
        '[api]\nnot_offered = ["* /school/*"]\npaths = { "POST /incidents/{id}/close" = "POST /api/nowhere/{id}" }\n'
    )
    (tmp_path / "adapter.toml").write_text(REFERENCE.read_text() + lacking)
    assert cli.main(["conform", "--target=command", f"--command={COMMAND}", "--adapter=adapter.toml"]) == 1
    shown = capsys.readouterr().out.splitlines()
    assert shown[-1] == "of 41 operations 33 as the contract says, 1 not offered, 6 not tried, 1 wrong"
    assert "not offered  POST /school/attendance" in shown


def test_what_is_not_offered_and_what_is_answered_wrongly_is_told_and_how(look: Look) -> None:
    told = look(
        not_offered=["* /metrics/*"],
        names={"seq": "number", "escalation_level": "tier"},
        paths={"GET /auth/me": "GET /api/nowhere"},
        values={"level": {"executive": "level_1"}},
    )
    found = by_operation(told)
    assert found["GET /metrics/clock-drift"].word == "not offered"
    assert found["GET /auth/me"].how.startswith("answered 404 not_found, wanted 200")
    assert found["POST /incidents/{id}/escalate"].how.startswith("answered 422 escalation_level_mismatch, wanted 200")
    assert found["GET /incidents/{id}/timeline"].word == "ok", "a name that the platform does not use changes nothing"
    assert found["GET /incidents"].word == "ok"


def test_an_answer_that_lacks_fields_is_told_with_their_names(look: Look) -> None:
    found = by_operation(look(names={"title": "severity", "severity": "title"}))
    how = found["POST /incidents"].how
    assert how.startswith("answered 422 validation_error, wanted 201")
    assert found["GET /incidents/{id}"].word == "not tried"
    led = found["POST /incidents/{id}/close"]
    assert led.word == "WRONG"
    assert led.how.startswith("what leads to it was answered wrongly: ContractBroken: POST /incidents was to prepare")


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
    assert cli.main(["conform", "--target=url", "--url=http://127.0.0.1:9", "--adapter=reference"]) == 2
    assert "is not marked as disposable" in capsys.readouterr().err
    assert cli.main(["conform", "--target=url", "--url=http://example.test", "--adapter=reference"]) == 2
    assert " --allow-host=example.test to `smartattend conform`" in capsys.readouterr().err
    for wrong in ("notaurl", "ftp://127.0.0.1", "http://[", "http://"):
        assert cli.main(["conform", "--target=url", f"--url={wrong}", "--adapter=reference"]) == 2
        assert "is no web address" in capsys.readouterr().err


def test_a_platform_that_offers_nothing_has_not_shown_that_it_conforms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "adapter.toml").write_text(REFERENCE.read_text() + '[api]\nnot_offered = ["* /*"]\n')
    assert cli.main(["conform", "--target=command", f"--command={COMMAND}", "--adapter=adapter.toml"]) == 1
    assert "nothing was shown" in capsys.readouterr().out
