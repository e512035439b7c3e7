"""What git says of the checkout that is released."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pytest_smartattend.readiness.subject import Asked, matches


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A commit with a platform and, in a folder beside it, its tests."""
    for name in ("server/main.py", "e2e/pytest.ini"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("")
    author = ("-c", "user.name=n", "-c", "user.email=e@x")
    for words in (("init", "-q"), ("add", "."), (*author, "commit", "-q", "-m", "one")):
        subprocess.run(["git", "-C", tmp_path, *words], check=True)
    return tmp_path


def test_a_change_anywhere_in_the_checkout_makes_it_no_commit(checkout: Path) -> None:
    tests = checkout / "e2e"
    clean = Asked("", tests, None).answer()
    assert (clean["source"], clean["dirty"], matches(clean, clean["commit"])) == ("git", False, True)
    (checkout / "server/main.py").write_text("changed")
    changed = Asked("", tests, None).answer()
    assert (changed["commit"], changed["dirty"]) == (clean["commit"], True)
    assert not matches(changed, clean["commit"])


def test_the_reports_folder_makes_no_checkout_dirty(checkout: Path) -> None:
    tests = checkout / "e2e"
    (tests / "reports").mkdir()
    (tests / "reports/readiness.json").write_text("{}")
    assert Asked("", tests, tests / "reports").answer()["dirty"] is False
    assert Asked("", tests, None).answer()["dirty"] is True


def test_where_there_is_no_checkout_nothing_is_named(tmp_path: Path) -> None:
    assert Asked("", tmp_path, None).answer()["source"] == "unknown"
