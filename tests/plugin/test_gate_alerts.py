"""The gate beside an earlier document: what changed, and who is told."""

from __future__ import annotations

import http.server
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_smartattend import cli
from tests.plugin.conftest import Judged, Project

FIRST = "def test_first(evidence):"


@pytest.fixture
def earlier(project: Project, honest: Judged) -> Path:
    """A ready document, put aside."""
    return Path(shutil.copy(honest.path, project.pytester.path / "earlier.json"))


@pytest.fixture
def gate(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "SMARTATTEND_WEBHOOK"):
        monkeypatch.delenv(name, raising=False)

    def run(path: Path, *arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        code = cli.main(["gate", str(path), f"--requirements={project.requirements}", *arguments])
        shown = capsys.readouterr()
        return code, shown.out + shown.err

    return run


@pytest.fixture
def hook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that takes alerts: its URL, and what it was told."""
    told: list[dict[str, Any]] = []

    class Taker(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Taker)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/secret-path", told
    server.shutdown()
    server.server_close()
    thread.join()


def test_what_became_worse_is_an_alert_in_every_place(
    earlier: Path,
    bent: Callable[..., Judged],
    gate: Callable[..., tuple[int, str]],
    hook: tuple[str, list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    judged = bent("1 + 1, 2", "1 + 1, 3")
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    code, output = gate(judged.path, f"--previous={earlier}", f"--webhook={hook[0]}")
    assert code == 20
    assert "WORSE than before: ready → not_ready" in output
    assert "failing: scenarios/first: passed → failed" in output
    assert "::error title=SmartAttend became worse::ready → not_ready" in output
    assert "::error title=check_failed::" in output
    assert "127.0.0.1 was told" in output
    assert "secret-path" not in output
    (alert,) = hook[1]
    assert (alert["status"], alert["previous"], alert["worsened"], alert["exit_code"]) == (
        "not_ready",
        "ready",
        True,
        20,
    )
    assert {"kind": "failing", "text": "scenarios/first: passed → failed"} in alert["changes"]
    text = summary.read_text()
    assert "## NOT READY for scenarios" in text
    assert "became worse: ready → not_ready" in text

    mended, output = gate(earlier, f"--previous={judged.path}", f"--webhook={hook[0]}")
    assert mended == 0
    assert "compared with before: not_ready → ready" in output
    assert "mended: scenarios/first: failed → passed" in output
    assert len(hook[1]) == 1


def test_a_lowered_bar_is_a_change_that_is_told(
    project: Project, earlier: Path, gate: Callable[..., tuple[int, str]]
) -> None:
    scope = project.file(
        "readiness.toml",
        """
        requirements = "test"
        [[not_applicable]]
        id = "scenarios/first"
        reason = "inconvenient"
        """,
    )
    judged = project.run(f"--smartattend-scope={scope}")
    code, output = gate(judged.path, f"--previous={earlier}")
    assert code == 0
    assert "gone: scenarios/first was required and is not any more" in output
    assert "about: readiness.toml: none → " in output


def test_without_an_earlier_document_the_gate_says_so_and_judges(
    honest: Judged, gate: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    code, output = gate(honest.path, f"--previous={tmp_path / 'none.json'}")
    assert code == 0
    assert "there is no earlier document" in output
    broken = tmp_path / "broken.json"
    broken.write_text(honest.path.read_text().replace("ready", "rEady"))
    code, output = gate(honest.path, f"--previous={broken}")
    assert code == 0
    assert "cannot be trusted" in output


def test_a_webhook_that_does_not_answer_changes_no_verdict(
    bent: Callable[..., Judged], gate: Callable[..., tuple[int, str]]
) -> None:
    judged = bent("1 + 1, 2", "1 + 1, 3")
    code, output = gate(judged.path, "--webhook=http://127.0.0.1:9/x")
    assert code == 20
    assert "did not reach 127.0.0.1" in output
    assert gate(judged.path, "--webhook=ftp://example.test")[0] == 2


def test_hostile_names_make_no_annotation_and_no_table_of_their_own(
    bent: Callable[..., Judged],
    gate: Callable[..., tuple[int, str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    judged = bent('scenarios/first")', 'scenarios/first")', "--smartattend-subject=v1\n::error::x | <script>`")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    _, output = gate(judged.path)
    commands = [line for line in output.splitlines() if line.startswith("::")]
    assert len(commands) == 1
    assert commands[0].startswith("::notice title=SmartAttend::")
    assert "<script>" not in (tmp_path / "summary.md").read_text()
