"""Defects that show only when something is lost: stores, instances, pages."""

from __future__ import annotations

from typing import Any

from pytest_smartattend.sabotage.defect import Sabotage

DRILLS: tuple[Sabotage, ...] = ()


def plant(_app: Any) -> None:  # noqa: ANN401
    """Nothing yet."""
