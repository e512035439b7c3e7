from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_smartattend.target import reference_schema
from pytest_smartattend.target.reference_schema import ReferenceSchema


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(reference_schema.PACKAGE, tmp_path / "reference", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(reference_schema, "PACKAGE", tmp_path / "reference")
    return tmp_path / "reference"


def test_the_digest_does_not_depend_on_where_the_package_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = ReferenceSchema().digest()
    shutil.copytree(reference_schema.PACKAGE, tmp_path / "elsewhere")
    monkeypatch.setattr(reference_schema, "PACKAGE", tmp_path / "elsewhere")
    assert ReferenceSchema().digest() == here


@pytest.mark.parametrize(
    "change",
    [
        "store/migrate.py",
        "store/migrations/env.py",
        "store/migrations/platform/platform_0001_tenants_and_users.py",
        "store/migrations/incidents/incidents_0001_incidents_and_timeline.py",
        "store/migrations/incidents/incidents_0002_new.py",
    ],
)
def test_whatever_is_migrated_is_in_the_digest(copied: Path, change: str) -> None:
    before = ReferenceSchema().digest()
    with (copied / change).open("a") as file:
        file.write("# one more line\n")
    assert ReferenceSchema().digest() != before


def test_what_is_not_migrated_is_not_in_the_digest(copied: Path) -> None:
    before = ReferenceSchema().digest()
    (copied / "api" / "app.py").write_text("")
    assert ReferenceSchema().digest() == before


def test_the_digest_is_made_without_importing_the_platform() -> None:
    program = (
        "import sys; from pytest_smartattend.target.reference_schema import ReferenceSchema; ReferenceSchema().digest();"
        "print([name for name in sys.modules if name.startswith(('sqlalchemy', 'alembic', 'psycopg', 'fastapi'))])"
    )
    seen = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert seen.stdout == "[]\n"
