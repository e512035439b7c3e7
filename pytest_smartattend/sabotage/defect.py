"""What a planted defect is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Sabotage:
    """One defect of the reference platform.

    Attributes:
        name: as ``@pytest.mark.detects`` and ``smartattend prove`` name it.
        breaks: the promise that it breaks, for people.
        apply_app: changes the FastAPI application before it serves; its services hang on ``app.state.platform``.
        apply_sql: statements that a superuser runs in its database before it serves.
        apply_operators: changes its operators' runbook (`target.operators`) before a drill.
    """

    name: str
    breaks: str
    apply_app: Callable[[Any], None] | None = None
    apply_sql: str = ""
    apply_operators: Callable[[Any], None] | None = None
