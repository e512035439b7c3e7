"""What the gate and the merge must refuse, and that each refusal has been seen to fail when it is taken away."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_smartattend import cli
from pytest_smartattend.readiness import gate, merging, requirements, sealing, verdict
from pytest_smartattend.readiness.gate import Question, ask
from pytest_smartattend.readiness.reasons import Reason
from tests.plugin.conftest import HONEST, Project

COMMIT, OTHER = "a" * 40, "b" * 40


@dataclass
class Desk:
    """A project, and what the commands say of its documents."""

    project: Project
    capsys: pytest.CaptureFixture[str]

    def said(self, *words: str) -> tuple[int, str]:
        """Exit code and output of a command."""
        self.capsys.readouterr()
        code = cli.main([*words, f"--requirements={self.project.requirements}"])
        shown = self.capsys.readouterr()
        return code, shown.out + shown.err

    def shards(self, *numbers: int) -> list[Path]:
        """The documents of some shards of two."""
        found = []
        for number in numbers:
            self.project.reports = self.project.pytester.path / f"shard-{number}"
            found.append(self.project.run(f"--smartattend-shard={number}/2", "--smartattend-subject=v1").path)
        return found

    def merged(self, *files: Path) -> tuple[int, str]:
        return self.said("merge", *map(str, files), f"--report={self.project.pytester.path / 'whole'}")


def another_commit_is_refused(desk: Desk) -> None:
    """The document of one commit releases no other."""
    path = desk.project.run(f"--smartattend-subject={COMMIT}").path
    assert desk.said("gate", str(path), f"--subject={COMMIT}")[0] == 0
    code, output = desk.said("gate", str(path), f"--subject={OTHER}")
    assert code == 30
    assert "other_subject" in output


def the_references_report_is_refused(desk: Desk) -> None:
    """The document of the reference platform releases no platform of one's own."""
    path = desk.project.run("--smartattend-target=reference").path
    assert desk.said("gate", str(path), "--target=reference")[0] == 0
    code, output = desk.said("gate", str(path), "--target=command")
    assert code == 30
    assert "other_target" in output


def a_waiver_ends(desk: Desk) -> None:
    """What a waiver covered on the day of the run it does not cover when it has ended."""
    today = dt.datetime.now(dt.UTC).date()
    desk.project.file("test_checks.py", HONEST.replace("1 + 1, 2", "1 + 1, 3"))
    desk.project.file(
        "readiness.toml",
        f"""
        requirements = "test"
        [[waivers]]
        id = "scenarios/first"
        reason = "ticket 12"
        owner = "Ada"
        expires = {today + dt.timedelta(days=2)}
        """,
    )
    path = desk.project.run(f"--smartattend-scope={desk.project.pytester.path / 'readiness.toml'}").path
    now = dt.datetime.now(dt.UTC)
    question = Question(requirements.load(desk.project.requirements), now, dt.timedelta(days=400))
    assert ask(path, question).status == "at_risk"
    later = Question(question.requirements, now + dt.timedelta(days=3), question.max_age)
    assert ask(path, later).status == "not_ready"


def a_missing_shard_is_named(desk: Desk) -> None:
    """Two parts of which one is there are no whole."""
    code, output = desk.merged(*desk.shards(1))
    assert code == 30
    assert "shard_absent" in output
    assert "2/2" in output


def a_foreign_shard_is_refused(desk: Desk) -> None:
    """A part of another subject's run is no part of this one."""
    one, two = desk.shards(1, 2)
    document = json.loads(two.read_bytes())
    document["subject"]["name"] = "v2"
    document["seal"] = sealing.seal(document, b"")
    two.write_text(json.dumps(document))
    code, output = desk.merged(one, two)
    assert code == 30
    assert "of another subject" in output


def _without(code: str) -> Callable[[pytest.MonkeyPatch], None]:
    about = gate._about

    def filtered(*arguments: Any) -> list[Reason]:
        return [reason for reason in about(*arguments) if reason.code != code]

    return lambda patch: patch.setattr(gate, "_about", filtered)


def _waivers_for_ever(patch: pytest.MonkeyPatch) -> None:
    codes = verdict.check_codes
    patch.setattr(verdict, "check_codes", lambda document, required, _at: codes(document, required, "0000-00-00"))


def _nothing_is_absent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(verdict, "absent", lambda _shards: [])


def _all_are_alike(patch: pytest.MonkeyPatch) -> None:
    nothing: Iterable[tuple[str, str]] = ()
    patch.setattr(merging, "_identity", lambda *_: nothing)


CLAIMS: dict[str, tuple[Callable[[Desk], None], Callable[[pytest.MonkeyPatch], None]]] = {
    "the gate takes another commit's document": (another_commit_is_refused, _without("other_subject")),
    "the gate takes the reference's document": (the_references_report_is_refused, _without("other_target")),
    "an expired waiver still counts": (a_waiver_ends, _waivers_for_ever),
    "the merge takes a part for the whole": (a_missing_shard_is_named, _nothing_is_absent),
    "the merge takes a foreign shard": (a_foreign_shard_is_refused, _all_are_alike),
}


@pytest.mark.parametrize("defect", CLAIMS)
def test_a_refusal_holds_and_is_seen_to_fail_when_it_is_taken_away(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], defect: str
) -> None:
    claim, plant = CLAIMS[defect]
    claim(Desk(project, capsys))
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        claim(Desk(project, capsys))
