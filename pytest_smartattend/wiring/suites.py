"""The shipped suites are collected alike in everybody's project, whatever its configuration says about its own tests."""

from __future__ import annotations

from collections.abc import Generator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest


@cache
def folder() -> Path:
    """Where the shipped suites lie: an editable installation keeps them apart from the package."""
    spec = find_spec("pytest_smartattend.suites")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]).resolve()


def is_shipped(path: Path) -> bool:
    """Whether `path` is a file of the shipped suites."""
    return _is_shipped(str(path))  # a text's hash is kept, a path's is worked out anew for each of a thousand items


@cache
def _is_shipped(path: str) -> bool:
    return path.endswith(".py") and Path(path).resolve().is_relative_to(folder())


class ShippedModule(pytest.Module):
    """A module whose checks are found by our names for them, not by the project's ``python_functions``."""

    def funcnamefilter(self, name: str) -> bool:
        """Whether `name` is a check's."""
        return name.startswith("test_")

    def classnamefilter(self, name: str) -> bool:
        """No: shipped checks are functions."""
        return False


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(
    file_path: Path, parent: pytest.Collector
) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Collect a shipped file also where the project's ``python_files`` would leave it out."""
    found = yield
    if not found and file_path.name.startswith("test_") and is_shipped(file_path):
        found.append(ShippedModule.from_parent(parent, path=file_path))
    return found


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Collect shipped modules our way."""
    return ShippedModule.from_parent(parent, path=module_path) if is_shipped(module_path) else None


def pytest_itemcollected(item: pytest.Item) -> None:
    """A project's ``filterwarnings = error`` is about its own code."""
    if is_shipped(item.path):
        item.add_marker(pytest.mark.filterwarnings("default"))
