"""Benchmarks run only when asked for: ``pytest tests/benchmarks --benchmarks``. They measure and print; they assert no time."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--benchmarks", action="store_true", help="run the benchmarks and print their tables")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    asked = config.getoption("--benchmarks", default=False)
    return None if asked or collection_path.suffix != ".py" or collection_path.name == "conftest.py" else True
