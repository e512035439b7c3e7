"""What a sabotage puts in the place of something honest can be called like it: else all breaks, and nothing is proven."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytest_smartattend.reference.api.app import create_app
from pytest_smartattend.reference.settings import Settings
from pytest_smartattend.sabotage import catalogue
from pytest_smartattend.sabotage.defect import Sabotage

SETTINGS = Settings("postgresql://a@127.0.0.1/d", "postgresql://a@127.0.0.1/i", b"s" * 32)
IN_THE_APP = [entry for entry in catalogue.CATALOGUE if entry.apply_app is not None]


def replaced(
    service: object, path: str, seen: set[int]
) -> Iterator[tuple[str, Callable[..., Any], Callable[..., Any]]]:
    """Each method below `service` that was replaced: where it is, what stands there, and what stood there."""
    if id(service) in seen:
        return
    seen.add(id(service))
    for name, value in vars(service).items():
        honest = getattr(type(service), name, None)
        if inspect.isroutine(value) and inspect.isfunction(honest):
            yield f"{path}.{name}", value, honest.__get__(service)
        elif type(value).__module__.startswith("pytest_smartattend.") and hasattr(value, "__dict__"):
            yield from replaced(value, f"{path}.{name}", seen)


def call_of(honest: Callable[..., Any], *, whole: bool) -> tuple[list[None], dict[str, None]]:
    """How `honest` may be called, with everything that it takes or with what it needs."""
    told = [one for one in inspect.signature(honest).parameters.values() if whole or one.default is one.empty]
    by_name = {one.name: None for one in told if one.kind is one.KEYWORD_ONLY}
    return [None for one in told if one.kind in {one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD}], by_name


@pytest.mark.parametrize("entry", IN_THE_APP, ids=lambda entry: entry.name)
def test_what_is_planted_can_be_called_like_what_it_replaces(entry: Sabotage) -> None:
    app = create_app(SETTINGS)
    assert entry.apply_app is not None
    entry.apply_app(app)
    for place, planted, honest in replaced(app.state.platform, "platform", set()):
        for whole in (True, False):
            given, by_name = call_of(honest, whole=whole)
            try:
                inspect.signature(planted).bind(*given, **by_name)
            except TypeError as wrong:
                pytest.fail(f"{place}{inspect.signature(planted)} for {inspect.signature(honest)}: {wrong}")
