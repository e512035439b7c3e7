"""What git says of the checkout that is released."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pytest_smartattend.readiness.subject import Asked, difference, matches


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


def test_an_abbreviation_names_a_clean_commit_and_nothing_else(checkout: Path) -> None:
    clean = Asked("", checkout, None).answer()
    assert matches(clean, clean["commit"][:7])
    assert not matches(clean, clean["commit"][:6])
    assert not matches({**clean, "dirty": True}, clean["commit"][:12])
    image = Asked(f"app@sha256:{'a' * 64}", checkout, None).answer()
    assert not matches(image, "a" * 12)
    assert difference({**clean, "dirty": True}, clean["commit"]).startswith(f"{clean['commit']} with changes")
