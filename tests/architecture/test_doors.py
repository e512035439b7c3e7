"""The public surface, the package map and the cost of being installed."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import pytest_smartattend

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_public_name_can_be_imported_and_nothing_else_is_offered() -> None:
    assert sorted(pytest_smartattend.__all__) == sorted(pytest_smartattend._HOME)
    for name in pytest_smartattend.__all__:
        assert getattr(pytest_smartattend, name) is not None, name
    with pytest.raises(AttributeError, match="it offers"):
        pytest_smartattend.no_such_name  # noqa: B018


def test_the_public_names_are_declared_to_type_checkers() -> None:
    source = Path(pytest_smartattend.__file__).read_text()
    for name in pytest_smartattend.__all__:
        assert f" as {name}\n" in source or f"import {name} as {name}" in source, (
            f"{name} is missing under TYPE_CHECKING"
        )


def test_the_package_map_lists_every_folder_with_code() -> None:
    listed = set(PROJECT["tool"]["setuptools"]["packages"])
    found = {"pytest_smartattend"}
    for base, name in (("pytest_smartattend", "pytest_smartattend"), ("suites", "pytest_smartattend.suites")):
        for init in (ROOT / base).rglob("__init__.py"):
            found.add(".".join((name, *init.parent.relative_to(ROOT / base).parts)))
    found.add("pytest_smartattend.fixtures")
    assert listed == found


def test_an_installed_and_unused_plugin_imports_nothing_heavy() -> None:
    code = (
        "import sys, pytest; pytest.main(['--version', '-p', 'no:cacheprovider']);"
        "import pytest_smartattend.plugin, importlib;"
        "[importlib.import_module('pytest_smartattend.wiring.' + room) for room in pytest_smartattend.plugin.WIRING];"
        "heavy = {'httpx', 'psycopg', 'sqlalchemy', 'fastapi', 'pydantic', 'jinja2', 'jsonschema', 'rich', 'freezegun',"
        " 'testcontainers', 'alembic', 'jwt', 'rfc8785', 'asyncio'} & set(sys.modules);"
        "sys.exit(f'imported: {sorted(heavy)}' if heavy else 0)"
    )
    environment = {"PATH": "/usr/bin:/bin", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "pytest_smartattend").rglob("*.py")), ids=lambda path: path.name)
def test_no_private_module_of_pytest_is_used(path: Path) -> None:
    assert not re.search(r"^\s*(from|import) _pytest", path.read_text(), re.MULTILINE)


def test_suites_use_the_public_door_only() -> None:
    for path in (ROOT / "suites").rglob("test_*.py"):
        for line in path.read_text().splitlines():
            if line.startswith(("import ", "from ")) and "pytest_smartattend" in line:
                assert line.startswith("from pytest_smartattend import "), f"{path.name}: {line}"
