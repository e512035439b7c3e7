"""Linearizability against known answers, against brute force, and against a budget that is spent."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_smartattend.engine.history import History, Operation, Outcome
from pytest_smartattend.engine.linearizability import Model, Register, linearizable, written_once
from pytest_smartattend.engine.verdicts import Verdict

TRUE, FALSE, UNKNOWN = Verdict.TRUE, Verdict.FALSE, Verdict.UNKNOWN


def op(call: str, value: object, begin: int, end: int | None, *, key: str = "x", outcome: Outcome = "ok") -> Operation:
    """A read's `value` is what it saw; any other's is what it was given."""
    is_read = call == "read"
    return Operation(
        0,
        call,
        key,
        None if is_read else value,
        "unknown" if end is None else outcome,
        value if is_read else None,
        begin,
        end,
    )


def w(value: object, begin: int, end: int | None, **more: str) -> Operation:
    return op("write", value, begin, end, **more)  # type: ignore[arg-type]


def r(value: object, begin: int, end: int | None, **more: str) -> Operation:
    return op("read", value, begin, end, **more)  # type: ignore[arg-type]


#: name → (operations on a register that holds None at first, the answer)
CORPUS: dict[str, tuple[list[Operation], Verdict]] = {
    "one read of the first value": ([r(None, 0, 1)], TRUE),
    "a read of what nobody wrote": ([w(1, 0, 1), r(2, 2, 3)], FALSE),
    "a stale read after a write that ended": ([w(1, 0, 1), r(None, 2, 3)], FALSE),
    "a stale read while the write goes on": ([w(1, 0, 5), r(None, 2, 3)], TRUE),
    "a read sees a write that goes on, the next no longer": ([w(1, 0, 9), r(1, 1, 2), r(None, 3, 4)], FALSE),
    "two reads that overlap see new and old": ([w(1, 0, 9), r(1, 1, 4), r(None, 3, 6)], TRUE),
    "readers disagree on the order of two writes": (
        [w(1, 0, 9), w(2, 0, 9), r(1, 10, 11), r(2, 12, 13)],
        FALSE,
    ),
    "readers agree on an order that the begins do not show": ([w(1, 0, 9), w(2, 1, 9), r(2, 2, 3), r(1, 4, 5)], TRUE),
    "a lost write takes effect late": ([w(1, 0, None), r(None, 2, 3), r(1, 4, 5)], TRUE),
    "a lost write takes effect never": ([w(1, 0, None), r(None, 2, 3), r(None, 4, 5)], TRUE),
    "a lost write comes and goes": ([w(1, 0, None), r(1, 2, 3), r(None, 4, 5)], FALSE),
    "a failed write is seen": ([w(1, 0, 1, outcome="failed"), r(1, 2, 3)], FALSE),
    "a lost read says nothing": ([w(1, 0, 1), r(7, 2, None)], TRUE),
    "of two that compare and set one value one wins": (
        [w(0, 0, 1), op("cas", [0, 1], 2, 9), op("cas", [0, 2], 2, 9)],
        FALSE,
    ),
    "compare and set in a row": ([w(0, 0, 1), op("cas", [0, 1], 2, 9), op("cas", [1, 2], 2, 9), r(2, 10, 11)], TRUE),
    "a lost compare and set explains a read": ([w(0, 0, 1), op("cas", [0, 5], 2, None), r(5, 10, 11)], TRUE),
    "ends and begins at one instant overlap": ([w(1, 0, 5), r(None, 5, 6)], TRUE),
    "one key is wrong, the other right": ([w(1, 0, 1, key="a"), r(1, 2, 3, key="a"), r(9, 4, 5, key="b")], FALSE),
    "keys do not explain each other": ([w(1, 0, 1, key="a"), r(1, 2, 3, key="b")], FALSE),
    "nothing at all": ([], UNKNOWN),
}


@pytest.mark.parametrize("name", CORPUS)
def test_the_corpus_has_its_known_answers(name: str) -> None:
    operations, answer = CORPUS[name]
    assert linearizable(History(operations), Register()).verdict is answer


def test_the_finding_names_the_operation_that_no_order_takes_in() -> None:
    judged = linearizable(History([w(1, 0, 1), w(2, 2, 3), r(1, 4, 5), r(2, 6, 7)]), Register())
    assert judged.findings[0].operation == r(1, 4, 5)
    assert "after 2 operations" in judged.findings[0].text


def brute_force(operations: list[Operation], model: Model) -> bool:
    """Every subset of the unknown ones, every order: right by being slow."""
    certain = [o for o in operations if o.outcome == "ok"]
    perhaps = [o for o in operations if o.outcome == "unknown"]
    for chosen in range(1 << len(perhaps)):
        taken = certain + [o for n, o in enumerate(perhaps) if chosen >> n & 1]
        for order in permutations(taken):
            in_time = all(
                later.end is None or later.outcome != "ok" or earlier.begin <= later.end
                for n, earlier in enumerate(order)
                for later in order[n + 1 :]
            )
            state, fits = model.initial(), in_time
            for operation in order:
                fits = fits and (step := model.step(state, operation))[0]
                if not fits:
                    break
                state = step[1]
            if fits:
                return True
    return False


@st.composite
def short_histories(draw: st.DrawFn) -> list[Operation]:
    operations = []
    for _ in range(draw(st.integers(1, 5))):
        begin = draw(st.integers(0, 12))
        call = draw(st.sampled_from(["read", "write", "cas"]))
        small = st.sampled_from([None, 1, 2])
        value: object = [draw(small), draw(small)] if call == "cas" else draw(small)
        end = draw(st.none() | st.integers(begin, 14))
        operations.append(op(call, value, begin, end))
    return operations


@settings(max_examples=400, deadline=None)
@given(short_histories())
def test_the_search_agrees_with_brute_force(operations: list[Operation]) -> None:
    expected = TRUE if brute_force(operations, Register()) else FALSE
    assert linearizable(History(operations), Register()).verdict is expected


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 40), st.integers(0, 40)), max_size=60))
def test_a_real_register_with_slow_answers_is_linearizable(steps: list[tuple[bool, int, int, int]]) -> None:
    history, value = History(), None
    for n, (is_read, new, early, late) in enumerate(steps, 10):
        at = n * 10
        value = value if is_read else new
        history.append((r if is_read else w)(value, at - early, at + late))
    assert linearizable(history, Register()).verdict is (TRUE if steps else UNKNOWN)


def test_a_hard_history_is_unknown_when_the_budget_is_spent() -> None:
    crowd = [w(n, n, 1000) for n in range(40)]
    judged = linearizable(History([*crowd, r("nobody's", 1001, 1002)]), Register(), budget=2_000)
    assert judged.verdict is UNKNOWN
    assert "given up after 2000 configurations" in judged.findings[0].text


def test_one_hard_key_does_not_hide_that_another_is_wrong() -> None:
    crowd = [w(n, n, 1000) for n in range(40)]
    wrong = r(9, 2000, 2001, key="y")
    judged = linearizable(History([*crowd, r("nobody's", 1001, 1002), wrong]), Register(), budget=2_000)
    assert judged.verdict is FALSE
    assert judged.findings[0].operation == wrong


# --- written once -------------------------------------------------------------------------------------------------------


def s(result: str | None, begin: int, end: int | None, *, outcome: Outcome = "ok", key: str = "x") -> Operation:
    return Operation(0, "submit", key, None, "unknown" if end is None else outcome, result, begin, end)


class Once:
    """Written once, the slow way: the model of which `written_once` is the short cut."""

    def initial(self) -> str | None:
        return None

    def step(self, state: str | None, operation: Operation) -> tuple[bool, str | None]:
        if operation.call == "read":
            if operation.outcome == "unknown":
                return True, state
            if state == "some":
                return operation.result is not None, operation.result
            return operation.result == state, state
        if operation.outcome == "unknown":
            return True, state or "some"
        return state in (None, "some", operation.result), operation.result


@pytest.mark.parametrize(
    ("operations", "text"),
    [
        ([s("a", 0, 5), s("b", 1, 6)], "'a' to one and 'b' to another"),
        ([r("a", 0, 1), s("a", 2, 3)], "before anybody began to write"),
        ([r("a", 0, 1)], "before anybody began to write"),
        ([s("a", 0, 1), r(None, 2, 3)], "and later not found"),
        ([s(None, 0, None), r("a", 2, 3), r(None, 4, 5)], "and later not found"),
        ([r(None, 0, 1), s("a", 2, 3), r(None, 4, 5)], "and later not found"),
        ([s(None, 0, 1, outcome="failed"), r("a", 2, 3)], "before anybody began to write"),
    ],
)
def test_a_key_that_was_not_written_once_is_found(operations: list[Operation], text: str) -> None:
    judged = written_once(History(operations))
    assert judged.verdict is FALSE
    assert text in judged.findings[0].text


def test_an_answer_without_id_leaves_it_unknown() -> None:
    assert written_once(History([s("a", 0, 1), s(None, 2, 3)])).verdict is UNKNOWN


@st.composite
def submissions(draw: st.DrawFn) -> list[Operation]:
    operations = []
    for _ in range(draw(st.integers(1, 6))):
        begin = draw(st.integers(0, 12))
        end = draw(st.none() | st.integers(begin, 14))
        if draw(st.booleans()):
            operations.append(r(draw(st.sampled_from([None, "a", "a", "b"])), begin, end))
        else:
            operations.append(s(draw(st.sampled_from(["a", "a", "b"])), begin, end))
    return operations


@settings(max_examples=400, deadline=None)
@given(submissions())
def test_the_short_cut_for_written_once_agrees_with_the_search(operations: list[Operation]) -> None:
    history = History(operations)
    assert written_once(history).verdict is linearizable(history, Once()).verdict
