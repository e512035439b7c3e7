"""No secret of a platform outlives a run: not in document, page, JUnit, CTRF, pytest-html, a journal or the terminal."""

from __future__ import annotations

import base64
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_smartattend import cli

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

SECRET = "hunter2-correct-horse"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"

LEAKING = f"""
import pytest

@pytest.fixture
def dsn():
    return "postgresql://ada:{SECRET}@db/smartattend"

@pytest.mark.scenario("scenarios/first")
def test_first(evidence, dsn):
    print("connecting to", dsn)
    evidence.note(f"connected to {{dsn}}")
    evidence.event("sent", headers={{"Authorization": "Bearer {TOKEN}"}}, dsn=dsn)
    evidence.fault("cut", 1, url=dsn)
    evidence.operation("GET", "/api?token={SECRET}", 200, "ok", 0.1)
    try:
        raise ConnectionError(f"cannot reach {{dsn}} with {TOKEN}")
    except ConnectionError as problem:
        evidence.expect("the answer", {{"password": "{SECRET}", "dsn": dsn}}, 1)

@pytest.mark.scenario("scenarios/second")
@pytest.mark.parametrize("cell", ["a", "b"])
def test_second(evidence, cell, dsn):
    assert cell == "a", f"password={SECRET} {{dsn}}"
"""


@pytest.mark.parametrize("workers", [(), ("-n2", "-p", "xdist")], ids=["alone", "two-workers"])
def test_no_secret_is_in_anything_that_is_written(project: Project, workers: tuple[str, ...]) -> None:
    project.file("test_checks.py", LEAKING)
    project.file(
        "conftest.py",
        f"""
        import glob, pathlib, pytest, tempfile

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item, call):
            report = yield
            report.sections.append(("platform's log", "DATABASE_URL=postgresql://ada:{SECRET}@db/x {TOKEN}"))
            return report

        @pytest.hookimpl(tryfirst=True)
        def pytest_sessionfinish(session):
            folder = pathlib.Path(tempfile.gettempdir())
            text = "".join(path.read_text() for path in folder.rglob("*.evidence.jsonl"))
            if text:
                pathlib.Path(session.config.rootpath, "journals.txt").write_text(text)
        """,
    )
    judged = project.run("--junitxml=junit.xml", "--html=report.html", "--self-contained-html", "-l", "-rA", *workers)
    assert judged.status == "not_ready"
    folder = project.pytester.path
    converted = {"--ctrf": folder / "ctrf.json", "--junit": folder / "converted.xml"}
    assert cli.main(["convert", str(judged.path), *(f"{option}={path}" for option, path in converted.items())]) == 0
    shown = (folder / "report.html").read_text("utf-8")
    shown += "".join(
        base64.b64decode(one).decode("utf-8", "replace") for one in re.findall(r"base64,([A-Za-z0-9+/=]{20,})", shown)
    )
    texts = {
        "document": judged.path.read_text("utf-8"),
        "page": (judged.path.parent / "readiness.html").read_text("utf-8"),
        "junit": (folder / "junit.xml").read_text("utf-8"),
        **{f"converted {option}": path.read_text("utf-8") for option, path in converted.items()},
        "pytest-html": shown,
        "terminal": judged.output,
        "journals": (folder / "journals.txt").read_text("utf-8"),
    }
    found = {name: [secret for secret in (SECRET, TOKEN[-20:]) if secret in text] for name, text in texts.items()}
    assert {name: secrets for name, secrets in found.items() if secrets} == {}
    for name, text in texts.items():
        assert "[redacted]" in text, f"{name} does not show what was there"
    assert project.gate()[0] == 20


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the journals of this run alone are found."""
    own = tmp_path / "t"
    own.mkdir()
    monkeypatch.setenv("TMPDIR", str(own))
    monkeypatch.setattr(tempfile, "tempdir", None)


def test_escape_sequences_of_a_name_or_an_answer_do_not_reach_the_terminal(project: Project) -> None:
    hostile = "\\x1b]0;owned\\x07\\x1b[2J\\u202e"
    project.file("test_own.py", f"def test_own(evidence):\n    evidence.expect('{hostile}', '{hostile}', 1)\n")
    output = project.run("--tb=no").output
    assert "\x1b]0" not in output
    assert "\x1b[2J" not in output
    assert "\u202e" not in output
