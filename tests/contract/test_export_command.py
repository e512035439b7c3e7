"""``smartattend export`` and ``replay``, as a person at a shell meets them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_smartattend import cli
from pytest_smartattend.engine import incident_record, record_seal
from pytest_smartattend.postgres.server import Server
from pytest_smartattend.target.contract import BODIES
from pytest_smartattend.target.people import Tenant
from pytest_smartattend.target.reference_platform import ReferencePlatform
from pytest_smartattend.target.reference_schema import ReferenceSchema
from pytest_smartattend.trials import recorded

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "from-an-incident-to-a-check.md"


@dataclass
class Production:
    """A platform that runs somewhere, with two incidents that are over."""

    url: str
    tenant: Tenant
    ids: list[str]

    def token(self, role: str = "admin") -> str:
        return str(self.tenant.actor(role).token)


@pytest.fixture(scope="module")
def production(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    database = postgres.pool(ReferenceSchema()).take()
    platform = ReferencePlatform(postgres, database, tmp_path_factory.mktemp("production") / "files", workers=1, seed=1)
    tenant = platform.seed("school", lambda _: None)
    ids = []
    for severity in ("high", "low"):
        incident_id = tenant.staff.report("Check-ins fail", severity).must()["id"]
        for action in ("acknowledge", "close", "investigate", "mitigate", "resolve", "close"):
            tenant.admin.act(incident_id, action, BODIES[action])
        ids.append(incident_id)
    yield Production(platform.base_url, tenant, ids)
    platform.stop()


@pytest.fixture
def admin(production: Production, monkeypatch: pytest.MonkeyPatch) -> Production:
    monkeypatch.setenv("SMARTATTEND_TOKEN", production.token())
    return production


def test_five_commands_lead_from_an_incident_to_a_check(production: Production, tmp_path: Path) -> None:
    commands = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(commands) == 5
    folder = str(Path(sys.executable).parent)
    given = {"URL": production.url, "ID": production.ids[0], "SMARTATTEND_TOKEN": production.token()}
    person = {f"GIT_{who}_{what}": "a@b.test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **given, **person, "PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    said = []
    for command in commands:
        done = subprocess.run(
            ["sh", "-euc", command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        said.append(done.stdout)
    assert f"{production.ids[0]}: equal" in said[1]
    assert "SLA acknowledge: recorded met, now met" in said[2]
    assert "12 passed" in said[4]
    assert "Check-ins" not in (tmp_path / "incidents" / f"{production.ids[0]}.json").read_text()


def test_one_incident_is_printed_in_canonical_form(
    admin: Production, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert cli.main(["export", admin.url + "/api/", admin.ids[0], "--verbatim"]) == 0
    printed = capfdbinary.readouterr().out
    document = incident_record.read(printed)
    assert printed == incident_record.canonical(document) + b"\n"
    assert document["record"]["incident"]["title"] == "Check-ins fail"
    assert record_seal.faults_of(document) == []


def test_many_incidents_are_written_with_their_heads_and_a_second_time_changes_nothing_else(
    admin: Production, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "incidents"
    assert cli.main(["export", admin.url, "--severity", "low", "--out", str(out)]) == 0
    assert [one.name for one in recorded.recordings(out)] == [admin.ids[1]]
    assert capsys.readouterr().out.startswith(f"{out}/{admin.ids[1]}.json  6 events, digest ")
    assert cli.main(["export", admin.url, "--status", "closed", "--out", str(out)]) == 0
    assert {one.name for one in recorded.recordings(out)} == set(admin.ids)
    assert all(one.read() for one in recorded.recordings(out))
    assert cli.main(["export", admin.url, "--until", "2020-01-01T00:00:00Z", "--out", str(out)]) == 0
    assert "no such incident" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{url}"], "Say where to: --out FOLDER"),
        (["{url}", "{id}", "--status", "closed"], "Leave the id out, or the options"),
        (["{url}", "00000000-0000-4000-8000-000000000000"], "404 not_found"),
        (["{url}", "../../auth/me"], "answered 40"),
        (["example.test", "{id}"], "no base URL"),
        (["http://admin:secret@example.test", "{id}"], "without a user"),
    ],
)
def test_what_cannot_be_exported_is_said(
    admin: Production, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert cli.main(["export", *(word.format(url=admin.url, id=admin.ids[0]) for word in words)]) == 2
    assert said in capsys.readouterr().err


def test_without_a_token_or_with_a_role_that_does_not_reach_nothing_is_exported(
    production: Production, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SMARTATTEND_TOKEN", raising=False)
    assert cli.main(["export", production.url, production.ids[0]]) == 2
    assert "SMARTATTEND_TOKEN is not set" in capsys.readouterr().err
    monkeypatch.setenv("SMARTATTEND_TOKEN", production.token("staff"))
    assert cli.main(["export", production.url, production.ids[0]]) == 2
    assert "403 forbidden" in capsys.readouterr().err


def test_where_nobody_answers_that_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SMARTATTEND_TOKEN", "x")
    assert cli.main(["export", "http://127.0.0.1:9", "x"]) == 1
    assert "no answer came" in capsys.readouterr().err


SHIPPED = {one.name: one.path for one in recorded.shipped()}


def test_a_replay_that_goes_otherwise_exits_20_and_tells_the_rule(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["replay", str(SHIPPED["breached"]), str(SHIPPED["must-be-refused"])]) == 20
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "breached: equal"
    assert "must-be-refused: not legal under the present rules (422 escalation_level_mismatch)" in lines


def test_what_if_shows_the_promises_and_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--what-if", "2=40m", "--what-if", "high.resolve=1h"]
    assert cli.main(["replay", str(SHIPPED["failed-mitigation"]), *words]) == 0
    assert "  SLA acknowledge: recorded met, now breached" in capsys.readouterr().out


def test_step_by_step_each_step_is_shown_with_how_the_promises_stand(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["replay", str(SHIPPED["refused"]), "--step"]) == 0
    said = capsys.readouterr().out
    assert "+0:00:30  admin: close     refused: invalid_transition" in said
    assert "it is open, severity critical; acknowledge on_track, resolve on_track" in said


def test_a_file_that_cannot_be_trusted_exits_40(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(SHIPPED["reopened"].read_text())
    document["record"]["events"].pop()
    path = tmp_path / "x.json"
    path.write_text(json.dumps(document))
    assert cli.main(["replay", str(path), str(tmp_path / "gone.json")]) == 40
    said = capsys.readouterr().err
    assert "x.json cannot be trusted: its content was changed after it was sealed" in said
    assert "gone.json cannot be read" in said
    assert cli.main(["replay", str(SHIPPED["reopened"]), "--head", "3:" + "0" * 64]) == 40
    assert "the head that was kept outside is that of 3 events" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--what-if", "5"], ["--what-if", "worst.resolve=1h"], ["--head", "x"]])
def test_what_is_not_understood_is_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["replay", str(SHIPPED["reopened"]), *words]) == 2
    assert "give" in capsys.readouterr().err


def test_heads_alone_are_nothing_to_replay(capsys: pytest.CaptureFixture[str]) -> None:
    heads = SHIPPED["reopened"].with_name("heads.json")
    assert cli.main(["replay", str(heads)]) == 2
    assert "Name an incident's file" in capsys.readouterr().err
