"""What the gate takes and says, asked about the committed sample."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from pytest_smartattend import cli
from pytest_smartattend.readiness import reasons, requirements
from pytest_smartattend.readiness.gate import Question, ask

SAMPLE = Path(__file__).parents[2] / "reports" / "sample.json"
COMMIT = json.loads(SAMPLE.read_bytes())["subject"]["commit"]


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Status, output and errors of `smartattend gate`."""
    status = cli.main(["gate", str(SAMPLE), *words])
    shown = capsys.readouterr()
    return status, shown.out, shown.err


@pytest.mark.parametrize("length", [7, 12, 40])
def test_the_subject_that_a_verdict_prints_is_taken(length: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert "other_subject" not in asked(capsys, f"--subject={COMMIT[:length]}")[1]


def test_a_subject_that_differs_is_told_with_full_hashes(capsys: pytest.CaptureFixture[str]) -> None:
    status, said, _ = asked(capsys, f"--subject={'f' * 12}")
    assert (status, f"other_subject: it is about another subject: {COMMIT}, not {'f' * 12} →" in said) == (30, True)


@pytest.mark.parametrize("name", ["HEAD", COMMIT[:6], "main"])
def test_what_is_no_hash_is_answered_with_how_to_get_one(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, said, _ = asked(capsys, f"--subject={name}")
    assert (status, "--subject=$(git rev-parse HEAD)" in said) == (30, True)


@pytest.mark.parametrize("name", ["subject", "target"])
def test_a_variable_that_is_not_set_is_wrong_usage(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, said = asked(capsys, f"--{name}=")
    assert (status, f"--{name} is empty" in said) == (2, True)


def test_a_key_that_is_not_set_is_answered_with_its_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SMARTATTEND_SEAL_KEY", raising=False)
    status, said, _ = asked(capsys, "--require-signature")
    assert (status, "Set SMARTATTEND_SEAL_KEY here to the key" in said) == (40, True)
    assert "as the run wrote it" not in said


def test_an_age_is_told_as_finely_as_its_limit() -> None:
    written = dt.datetime.fromisoformat(json.loads(SAMPLE.read_bytes())["run"]["finished"])

    def told(**since: float) -> str:
        at = written + dt.timedelta(**since)
        question = Question(requirements.load(), at, dt.timedelta(0))
        return next(reason.text() for reason in ask(SAMPLE, question).reasons if reason.code == "too_old")

    assert told(minutes=12, seconds=5).endswith(", 12 min 5 s ago")
    assert told(days=1, hours=3).endswith(", 1 day and 3 hours ago")


@pytest.mark.parametrize("code", reasons.CODES)
def test_each_advice_says_what_to_look_at_in_one_line(code: str) -> None:
    advice = reasons.CODES[code].advice
    assert 15 <= len(advice) <= 130
    assert "\n" not in advice
