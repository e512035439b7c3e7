"""What the command line takes, and what it says of what it does not take."""

from __future__ import annotations

import pytest

from pytest_smartattend import cli


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["readiness", "--target=command", "--command=node server.js", "--", "-q"],
            "--command=node server.js; options of pytest, --smartattend-… among them, go behind --",
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
