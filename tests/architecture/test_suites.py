"""Suites, requirements and the catalogue of sabotages fit together."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_smartattend import marks
from pytest_smartattend.readiness import requirements
from pytest_smartattend.sabotage import catalogue

SUITES = Path(__file__).parents[2] / "suites"


class _Collected:
    """Keeps the checks of a collection: id → what it promised to catch."""

    def __init__(self) -> None:
        self.checks: dict[str, tuple[str, ...]] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            check = marks.check_of(item)
            assert check is not None, f"{item.nodeid} is in the suites and no check"
            assert check[1] not in self.checks, f"two tests are the check {check[1]}"
            self.checks[check[1]] = marks.detected_by(item)


@pytest.fixture(scope="session")
def checks() -> dict[str, tuple[str, ...]]:
    collected = _Collected()
    # It is in this process that other tests have imported the suites too, of which pytest would warn.
    words = ["--collect-only", "-qq", "-p", "no:cacheprovider", "-p", "no:warnings"]
    pytest.main([*words, str(SUITES)], plugins=[collected])
    return collected.checks


def test_what_is_required_is_what_the_suites_hold(checks: dict[str, tuple[str, ...]]) -> None:
    required = requirements.load().expand()
    assert sorted(required - set(checks)) == []
    assert sorted(set(checks) - required) == []


def test_every_check_promises_to_catch_a_defect_of_the_catalogue(checks: dict[str, tuple[str, ...]]) -> None:
    assert [check for check, promised in checks.items() if not promised] == []
    promised = {name for names in checks.values() for name in names}
    assert sorted(promised - set(catalogue.by_name())) == []


def test_no_two_defects_of_the_catalogue_have_one_name() -> None:
    assert len(catalogue.by_name()) == len(catalogue.CATALOGUE)


def test_every_defect_of_the_catalogue_is_promised_by_a_check(checks: dict[str, tuple[str, ...]]) -> None:
    promised = {name for names in checks.values() for name in names}
    assert sorted(set(catalogue.by_name()) - promised) == []
