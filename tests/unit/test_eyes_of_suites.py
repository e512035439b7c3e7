"""Eyes of the shipped checks that no planted defect tries from both sides."""

from __future__ import annotations

import importlib

import pytest

hostile = importlib.import_module("pytest_smartattend.suites.scenarios.test_hostile_input")


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({"debug": ['File "/app/desk.py", line 7, in report']}, ["a stack of Python"]),
        ("Traceback (most recent call last)", ["a stack of Python"]),
        ({"errors": [{"at Object.<anonymous> (/app/x.js:1:2)": 1}]}, ["a stack of JavaScript"]),
        ({"detail": "SELECT id,\ntitle FROM incidents"}, ["a query"]),
        ({"detail": "Insert into incidents"}, ["a query"]),
        ({"detail": "asyncpg.exceptions.DataError"}, ["a driver"]),
        ({"detail": "Please select a severity.", "from": "the profile \"night\", at object.title"}, []),
        (None, []),
    ],
)  # fmt: skip
def test_innards_are_seen_in_decoded_text_and_words_of_people_are_none(body: object, shown: list[str]) -> None:
    assert hostile.innards_in(body) == shown
