"""What the command line takes, and what it says of what it does not take."""

from __future__ import annotations

import pytest

from pytest_smartattend import cli
from pytest_smartattend.readiness.command import target_words


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
