"""The committed sample: a report as the schema has it, which says nothing of a machine and releases nothing."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path

import pytest

from pytest_smartattend import cli
from pytest_smartattend.readiness import requirements, sealing
from pytest_smartattend.readiness.gate import Question, ask
from pytest_smartattend.readiness.reading import read

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "reports" / "sample.json"
#: both files together; a page of 200 checks may have half of it
MOST_BYTES = 600_000


def test_the_sample_is_a_sound_document_of_a_run_that_was_not_interrupted() -> None:
    document = read(SAMPLE)  # validates against the shipped schema
    assert sealing.faults(document, b"", must_be_signed=False) == []
    assert document["status"] in {"ready", "at_risk"}
    assert document["target"]["name"] == "reference"
    assert document["scope"]["requirements"]["version"] == requirements.load().version, "make sample"
    assert re.fullmatch(r"[0-9a-f]{40}", document["subject"]["commit"])
    assert {group["name"] for group in document["groups"]} == {"simulations", "drills", "replays", "handoffs"}
    assert [entry["id"] for entry in document["scope"]["not_applicable"]] == ["scenarios", "storms"]


def test_the_gate_refuses_the_sample_for_whatever_is_to_be_released(capsys: pytest.CaptureFixture[str]) -> None:
    for question, why in (
        (f"--subject={'f' * 40}", "other_subject"),
        ("--target=command", "other_target"),
        ("--max-age=0m", "too_old"),
        ("--require-signature", "signature is required"),
    ):
        assert cli.main(["gate", str(SAMPLE), question]) in {30, 40}, question
        assert why in capsys.readouterr().out, question


def test_the_sample_grows_old_by_itself() -> None:
    written = dt.datetime.fromisoformat(json.loads(SAMPLE.read_bytes())["run"]["finished"])
    later = Question(requirements.load(), written + dt.timedelta(days=9), dt.timedelta(days=8))
    answer = ask(SAMPLE, later)
    assert (answer.exit_code, "too_old" in [reason.code for reason in answer.reasons]) == (30, True)


@pytest.mark.parametrize("name", ["sample.json", "sample.html"])
def test_the_sample_names_no_folder_of_a_person_and_no_address(name: str) -> None:
    text = (SAMPLE.parent / name).read_text("utf-8")
    assert re.findall(r"/(?:home|root|Users|work|tmp|var/folders)/[\w./-]*", text) == []
    assert {*re.findall(r"\b\d{1,3}(?:\.\d{1,3}){3}\b", text)} <= {"127.0.0.1"}
    assert {*re.findall(r"https?://([^/\"\s<:]+)", text)} <= {"127.0.0.1", "www.w3.org", "smartattend.dev"}


def test_the_sample_is_small_and_is_linked() -> None:
    assert sum((SAMPLE.parent / name).stat().st_size for name in ("sample.json", "sample.html")) < MOST_BYTES
    for page in (ROOT / "README.md", ROOT / "docs" / "explanation" / "report.md"):
        assert "reports/sample.html" in page.read_text(), page.name
