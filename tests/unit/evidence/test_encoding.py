from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
import uuid
from decimal import Decimal
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_smartattend.errors import EvidenceError
from pytest_smartattend.evidence import encoding


class Colour(enum.StrEnum):
    RED = "red"


class Rank(enum.IntEnum):
    FIRST = 1


@dataclasses.dataclass
class Point:
    x: int
    at: dt.date


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (dt.datetime(2026, 3, 2, 12, tzinfo=dt.timezone(dt.timedelta(hours=2))), "2026-03-02T10:00:00.000000Z"),
        (dt.datetime(2026, 3, 2, 12), "2026-03-02T12:00:00.000000"),  # noqa: DTZ001 - what was seen had no zone
        (dt.date(2026, 3, 2), "2026-03-02"),
        (dt.timedelta(minutes=2), 120.0),
        (Colour.RED, "red"),
        (Rank.FIRST, 1),
        (Decimal("1.10"), "1.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (PurePosixPath("/a/b"), "/a/b"),
        (b"\x00\xff", "00ff"),
        ({"b", "a"}, ["a", "b"]),
        ((1, 2), [1, 2]),
        ({Colour.RED: 1, 2: 3}, {"red": 1, "2": 3}),
        (Point(1, dt.date(2026, 1, 1)), {"x": 1, "at": "2026-01-01"}),
        (ValueError("no"), "ValueError: no"),
        (2**53, str(2**53)),
        (True, True),
        ("a\ud800b", "a\N{REPLACEMENT CHARACTER}b"),
    ],
)
def test_every_usual_value_has_a_plain_form(value: object, plain: object) -> None:
    assert encoding.plain(value) == plain
    json.loads(encoding.encode(value))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [{"a": float("-inf")}]])
def test_what_is_no_number_is_refused_with_advice(value: object) -> None:
    with pytest.raises(EvidenceError, match="Record None where nothing was measured"):
        encoding.plain(value)


def test_an_unknown_object_is_refused_by_name() -> None:
    with pytest.raises(EvidenceError, match=r"cannot hold a builtins\.object"):
        encoding.plain({"a": object()})


def test_a_value_that_holds_itself_is_refused() -> None:
    circle: list[object] = []
    circle.append(circle)
    with pytest.raises(EvidenceError, match="nests deeper"):
        encoding.plain(circle)


def test_what_is_too_long_is_cut_and_says_by_how_much() -> None:
    assert encoding.text("x" * 5000).endswith("… (1000 more characters)")
    cut = encoding.plain(list(range(1000)))
    assert isinstance(cut, list)
    assert cut[-1] == "… (600 more)"


def test_a_record_that_is_too_large_keeps_what_decides() -> None:
    line = encoding.encode({"name": "n", "held": False, "seen": ["x" * 4000] * 100})
    assert len(line) < 2 * encoding.RECORD_LIMIT
    record = json.loads(line)
    assert (record["name"], record["held"], record["characters"] > encoding.RECORD_LIMIT) == ("n", False, True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_whatever_passes_the_door_is_ascii_json_on_one_line(value: object) -> None:
    line = encoding.encode(value)
    assert line.isascii()
    assert "\n" not in line
    json.loads(line)
