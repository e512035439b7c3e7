"""Which kept database a command means, where several projects have tests of the same name."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_smartattend.errors import UsageError
from pytest_smartattend.postgres import database_command, kept

ID = "tests/test_it.py::test_refund"


@pytest.fixture
def keep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Lays a kept database of a project; each is newer than those before."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    seen: list[Path] = []

    def lay(project: str, check: str = ID) -> Path:
        folder = tmp_path / project
        folder.mkdir(parents=True, exist_ok=True)
        seen.append(folder)
        home = tmp_path / "cache" / "pytest-smartattend" / "kept" / str(len(seen))
        home.mkdir(parents=True)
        about = {"check": check, "project": str(folder), "version": "18.1", "database": "d", "at": float(len(seen))}
        (home / "about.json").write_text(json.dumps({**about, "extensions": [], "needs": 18}))
        return folder

    return lay


def act(*words: str) -> None:
    parser = argparse.ArgumentParser()
    database_command.add_arguments(parser)
    database_command.run(parser.parse_args(words))


def projects() -> set[str]:
    return {Path(one.project).name for one in kept.entries()}


def test_the_current_projects_is_meant_though_anothers_is_newer(
    keep: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, _ = keep("ours"), keep("theirs")
    (ours / "tests").mkdir()
    for folder in (ours, ours / "tests"):
        monkeypatch.chdir(folder)
        assert kept.find(ID).project == str(ours)
        assert kept.find("refund").project == str(ours)
    monkeypatch.chdir(ours / "tests")
    act("remove", ID)
    assert projects() == {"theirs"}
    assert capsys.readouterr().out == f"removed {ID} of {ours}\n"


def test_the_nearest_project_is_meant_and_of_its_own_folder_nothing_is_said(
    keep: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    inner, _ = keep("ours/inner"), keep("ours")
    monkeypatch.chdir(inner)
    act("remove", ID)
    assert projects() == {"ours"}
    assert capsys.readouterr().out == f"removed {ID}\n"


def test_only_anothers_is_neither_removed_nor_opened_but_named(
    keep: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    theirs, others = keep("theirs"), keep("others")
    monkeypatch.chdir(tmp_path)
    for words in (("remove", ID), ("remove", "refund"), ("open", ID)):
        with pytest.raises(UsageError) as raised:
            act(*words)
        assert "is kept of the project in" in str(raised.value)
        for folder in (theirs, others):
            assert f"{ID} --project={folder}" in str(raised.value)
    assert projects() == {"theirs", "others"}


def test_a_project_that_is_named_is_meant(
    keep: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ours, theirs = keep("ours"), keep("theirs")
    monkeypatch.chdir(ours)
    act("remove", ID, "--project=../theirs")
    assert projects() == {"ours"}
    assert capsys.readouterr().out == f"removed {ID} of {theirs}\n"
    with pytest.raises(UsageError, match=f"No database of '{ID}' is kept of the project in {theirs}"):
        act("open", ID, "--project", str(tmp_path / "theirs"))


def test_all_of_one_project_are_listed_and_removed_alone(
    keep: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = keep("ours"), keep("theirs")
    monkeypatch.chdir(ours)
    act("list", "--project=.")
    listed = capsys.readouterr().out
    assert str(ours) in listed
    assert str(theirs) not in listed
    act("remove", "--all", "--project=.")
    assert projects() == {"theirs"}


def test_what_may_mean_several_in_the_project_names_only_those(
    keep: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, _ = keep("ours", f"{ID}[1]"), keep("theirs", f"{ID}[3]")
    keep("ours", f"{ID}[2]")
    monkeypatch.chdir(ours)
    with pytest.raises(UsageError) as raised:
        kept.find("refund")
    assert str(raised.value) == f"'refund' may mean several. Give one of:\n  '{ID}[2]'\n  '{ID}[1]'"
