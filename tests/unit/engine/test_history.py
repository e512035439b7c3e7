"""A history keeps what is known, says no more than that, and comes back from its lines as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_smartattend.engine.history import History, Operation
from pytest_smartattend.errors import EvidenceError


def test_what_was_invoked_and_never_ended_is_unknown() -> None:
    history = History()
    history.invoke(3, "submit", "k", None, 10)
    assert history[0].outcome == "unknown"
    assert history[0].end is None
    assert "never ended" in history[0].describe()


def test_an_operation_ends_once() -> None:
    history = History()
    place = history.invoke(0, "submit", "k", None, 10)
    history.end(place, "failed", None, 20)
    with pytest.raises(EvidenceError, match="End each operation once"):
        history.end(place, "ok", "id", 30)
    assert history[0].outcome == "failed"


def test_an_operation_cannot_end_before_it_begins() -> None:
    history = History()
    place = history.invoke(0, "submit", "k", None, 10)
    with pytest.raises(EvidenceError, match="from one clock"):
        history.end(place, "ok", "id", 9)


def test_operations_end_in_any_order() -> None:
    history = History()
    first, second = (history.invoke(n, "submit", "k", n, n) for n in range(2))
    history.end(second, "ok", "b", 5)
    history.end(first, "ok", "a", 6)
    assert [operation.result for operation in history] == ["a", "b"]
    assert [operation.end for operation in history] == [6, 5]


@st.composite
def operations(draw: st.DrawFn) -> Operation:
    begin = draw(st.integers(0, 2**60))
    outcome = draw(st.sampled_from(["ok", "failed", "unknown"]))
    value = st.none() | st.integers() | st.text() | st.lists(st.integers(), max_size=2)
    never = outcome == "unknown" and draw(st.booleans())
    return Operation(
        draw(st.integers(0, 99)),
        draw(st.text()),
        draw(st.text()),
        draw(value),
        outcome,  # type: ignore[arg-type]
        draw(value),
        begin,
        None if never else begin + draw(st.integers(0, 2**60)),
    )


@given(st.lists(operations(), max_size=8))
def test_a_history_comes_back_from_its_lines(written: list[Operation]) -> None:
    lines = list(History(written).to_lines())
    assert not any("\n" in line for line in lines)
    assert list(History.from_lines(lines)) == written


@pytest.mark.parametrize(
    "line",
    [
        "{}",
        "[",
        "null",
        "[0]",
        '[0,"c","k",null,"perhaps",null,0,1]',
        '[0,"c","k",null,["ok"],null,0,1]',
        '[0,"c","k",null,"ok",null,2,1]',
        '[0,"c","k",null,"ok",null,0,null]',
        '[0,"c","k",null,"ok",null,0.5,1]',
        '[true,"c","k",null,"ok",null,0,1]',
        '[-1,"c","k",null,"ok",null,0,1]',
        '[0,7,"k",null,"ok",null,0,1]',
        '[0,"c",[],null,"ok",null,0,1]',
    ],
)
def test_a_line_that_is_no_operation_is_named(line: str) -> None:
    with pytest.raises(EvidenceError, match=r"line 2 .* Give an array of process, call"):
        History.from_lines(['[0,"c","k",null,"ok",null,0,1]', line])
