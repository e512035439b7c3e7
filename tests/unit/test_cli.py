"""What the command line takes, and what it says of what it does not take."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pytest_smartattend import cli
from pytest_smartattend.errors import UnsafeTarget
from pytest_smartattend.readiness import convert_command
from pytest_smartattend.readiness.command import target_words

SAMPLE = Path(__file__).parents[2] / "reports" / "sample.json"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["readiness", "--target=command", "--start=node server.js", "--", "-q"],
            "--start=node server.js; options of pytest, --smartattend-… among them, go behind --",
        ),
        (["readiness", "--target=reference", "stray", "--nonsense"], "stray --nonsense; options of pytest"),
        (["gate", "readiness.json", "--", "-q"], "-- -q"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_what_is_not_understood_is_named(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2
    assert f"unrecognized arguments: {said}" in capsys.readouterr().err


def test_what_stands_behind_two_dashes_is_pytests() -> None:
    words = ["readiness", "--target=reference", "--", "--smartattend-command=node server.js", "-k", "a b", "--", "x"]
    arguments = cli.parse(words)
    assert arguments.pytest_arguments == ["--smartattend-command=node server.js", "-k", "a b", "--", "x"]
    assert cli.parse(words[:2]).pytest_arguments == []


def test_a_platform_is_named_in_the_same_words_everywhere() -> None:
    words = ["--target=command", "--command=node server.js", "--adapter=a.toml"]
    told = ["--smartattend-target=command", "--smartattend-adapter=a.toml", "--smartattend-command=node server.js"]
    assert target_words(cli.parse(["readiness", *words])) == told
    assert target_words(cli.parse(["plan", *words])) == told
    assert cli.parse(["conform", *words]).start == "node server.js"
    assert target_words(cli.parse(["plan", "--target=url", "--url=http://127.0.0.1:1"])) == [
        "--smartattend-target=url",
        "--smartattend-url=http://127.0.0.1:1",
    ]


def without_a_reader(*words: str, unbuffered: bool = False) -> subprocess.CompletedProcess[bytes]:
    """The command, whose output nobody reads from the beginning."""
    read, write = os.pipe()
    os.close(read)
    return in_a_shell(words, write, unbuffered=unbuffered)


def in_a_shell(words: Sequence[str], output: int, *, unbuffered: bool = False) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, **({"PYTHONUNBUFFERED": "1"} if unbuffered else {})}
    command = [sys.executable, "-m", "pytest_smartattend.cli", *words]
    try:
        return subprocess.run(command, stdout=output, stderr=subprocess.PIPE, check=False, timeout=60, env=environment)
    finally:
        os.close(output)


@pytest.mark.parametrize("unbuffered", [False, True])
def test_a_gate_whose_output_nobody_reads_exits_with_its_verdict(*, unbuffered: bool) -> None:
    ended = without_a_reader("gate", str(SAMPLE), "--max-age=0m", "--explain", unbuffered=unbuffered)
    assert (ended.returncode, ended.stderr) == (30, b"")


@pytest.mark.parametrize("words", [["prove", "--list"], ["db", "list"], ["gate", "--help"], ["--version"]])
def test_a_command_whose_output_nobody_reads_ends_quietly(words: list[str]) -> None:
    ended = without_a_reader(*words)
    assert (ended.returncode in {0, 141}, ended.stderr) == (True, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_an_output_that_cannot_be_written_is_one_line_and_no_success() -> None:
    for words, status in ((["gate", str(SAMPLE), "--max-age=0m", "--explain"], 30), (["prove", "--list"], 1)):
        ended = in_a_shell(words, os.open("/dev/full", os.O_WRONLY))
        assert ended.returncode == status
        assert ended.stderr.startswith(b"smartattend: the output cannot be written (No space left on device).")
        assert ended.stderr.count(b"\n") == 1


def test_a_file_that_is_missing_and_a_target_that_nobody_allowed_are_wrong_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["convert", str(tmp_path / "none.json"), f"--junit={tmp_path / 'x.xml'}"]) == 2
    assert "there is no file" in capsys.readouterr().err

    def refuse(_arguments: object) -> int:
        raise UnsafeTarget("nobody said that we may write there. Allow it.")

    monkeypatch.setattr(convert_command, "run", refuse)
    assert cli.main(["convert", "x.json"]) == 2


def test_the_help_asks_the_gate_about_a_target(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    gate = next(line for line in capsys.readouterr().out.splitlines() if "gate reports/" in line)
    assert "--target=" in gate, "without it a document of the reference passes for any platform"
    assert "--subject=" in gate
