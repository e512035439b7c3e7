"""What the target does not offer to checks, found out from options and adapter before anything of it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_smartattend.errors import NotOffered, SmartattendError
from pytest_smartattend.wiring import adopted, clock, drills
from pytest_smartattend.wiring import run as run_wiring

if TYPE_CHECKING:
    import pytest


def refusal(config: pytest.Config) -> str:
    """Why no run against the target could begin; empty where one could."""
    settings = run_wiring.of(config).settings
    if settings.target == "reference":
        return ""
    try:
        adopted.refuse(settings, config.rootpath)
    except SmartattendError as problem:
        return str(problem)
    return ""


def lacking(config: pytest.Config, fixture: str) -> str:
    """What a check that asks for `fixture` would miss; empty where it would miss nothing.

    Raises:
        SmartattendError: it cannot be told; `refusal`, or who starts a server, says why.
    """
    settings = run_wiring.of(config).settings
    try:
        if fixture == "_smartattend_reference_drill":
            drills.theirs(config)
        elif settings.target != "reference" and fixture in {"_smartattend_in_process", "_smartattend_discrete"}:
            mode = settings.clock if fixture == "_smartattend_in_process" else "discrete"
            adopted.followed(config, clock.make(mode, settings.seed))
    except NotOffered as lacking:
        return lacking.what
    return ""
