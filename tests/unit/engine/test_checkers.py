"""Each checker passes what is right, and goes red for each way of being wrong, naming the operation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_smartattend.engine.checkers import (
    exactly_once,
    legal_order,
    nothing_invented,
    nothing_left,
    nothing_lost,
    same_id,
)
from pytest_smartattend.engine.history import History, Operation, Outcome
from pytest_smartattend.engine.verdicts import Judgement, Verdict, worst

Rows = list[tuple[str, str]]


def submit(key: str, outcome: Outcome, result: str | None = None, at: int = 0) -> Operation:
    return Operation(0, "submit", key, None, outcome, result, at, at + 5)


def red(judged: Judgement, text: str, operation: Operation | None) -> None:
    assert judged.verdict is Verdict.FALSE
    assert judged.found == 1
    assert text in judged.findings[0].text
    assert judged.findings[0].operation == operation


# --- what an honest platform leaves is true ----------------------------------------------------------------------------


@given(st.data())
def test_an_honest_platform_passes_whatever_happened_to_the_answers(data: st.DataObject) -> None:
    history, rows = History(), dict[str, str]()
    for at in range(data.draw(st.integers(1, 30))):
        key = data.draw(st.sampled_from("abc"))
        fate = data.draw(st.sampled_from(["done", "answer lost", "request lost", "refused"]))
        if fate in ("done", "answer lost"):
            rows.setdefault(key, f"id-{key}")
        outcome: Outcome = "ok" if fate == "done" else "failed" if fate == "refused" else "unknown"
        history.append(submit(key, outcome, rows.get(key) if fate == "done" else None, at))
    stored = list(rows.items())
    assert exactly_once(history, stored).holds
    assert nothing_invented(history, stored).holds
    acknowledged = any(operation.outcome == "ok" for operation in history)
    expected = Verdict.TRUE if acknowledged else Verdict.UNKNOWN
    assert nothing_lost(history, stored).verdict is expected
    assert same_id(history).verdict is expected


@given(st.data())
def test_any_single_tampering_with_the_rows_is_found(data: st.DataObject) -> None:
    keys = data.draw(st.lists(st.sampled_from("abcdef"), min_size=1))
    history = History(submit(key, "ok", f"id-{key}", at) for at, key in enumerate(keys))
    rows = [(key, f"id-{key}") for key in sorted(set(keys))]
    place = data.draw(st.integers(0, len(rows) - 1))
    how = data.draw(st.sampled_from(["removed", "doubled", "other id", "invented"]))
    if how == "removed":
        del rows[place]
    elif how == "doubled":
        rows.append((rows[place][0], "another"))
    elif how == "other id":
        rows[place] = (rows[place][0], "another")
    else:
        rows.append(("nobody's", "another"))
    judged = [exactly_once(history, rows), nothing_lost(history, rows), nothing_invented(history, rows)]
    assert worst(each.verdict for each in judged) is Verdict.FALSE


# --- and each way of being wrong is false ------------------------------------------------------------------------------


def test_two_rows_of_one_key_are_not_exactly_once() -> None:
    last = submit("k", "unknown", at=9)
    red(exactly_once(History([submit("k", "ok", "1"), last]), [("k", "1"), ("k", "2")]), "stored 2 times", last)


def test_two_rows_under_one_id_are_two_rows() -> None:
    one = submit("k", "ok", "1")
    red(exactly_once(History([one]), [("k", "1"), ("k", "1")]), "stored 2 times", one)


def test_an_acknowledged_operation_without_row_is_lost() -> None:
    lost = submit("k", "ok", "1")
    history = History([lost, submit("k", "unknown", at=9), submit("other", "ok", "2")])
    red(exactly_once(history, [("other", "2")]), "not stored", lost)
    red(nothing_lost(history, [("other", "2")]), "not stored", lost)


def test_an_acknowledged_id_that_is_not_stored_is_lost_although_its_key_is_there() -> None:
    lost = submit("k", "ok", "1")
    red(nothing_lost(History([lost]), [("k", "2")]), "stored as '2'", lost)
    assert nothing_lost(History([lost]), [("k", "2"), ("k", "1")]).holds  # exactly_once speaks of the second row


def test_an_acknowledgement_without_id_needs_its_key() -> None:
    bare = submit("k", "ok")
    assert nothing_lost(History([bare]), [("k", "1")]).holds
    red(nothing_lost(History([bare]), []), "not stored", bare)


@pytest.mark.parametrize("rows", [[], [("k", "1")]])
def test_an_unknown_operation_may_have_left_a_row_or_none(rows: Rows) -> None:
    history = History([submit("k", "unknown")])
    assert exactly_once(history, rows).holds
    assert nothing_invented(history, rows).holds


def test_a_row_that_nobody_asked_for_is_invented() -> None:
    red(nothing_invented(History([submit("k", "ok", "1")]), [("k", "1"), ("x", "2")]), "nobody asked", None)


def test_a_row_of_an_operation_that_failed_is_invented() -> None:
    refused = submit("k", "failed")
    red(nothing_invented(History([refused]), [("k", "1")]), "was not done", refused)


def test_two_ids_for_one_key_are_found() -> None:
    other = submit("k", "ok", "2", at=9)
    red(same_id(History([submit("k", "ok", "1"), other])), "was '1' in an earlier answer and '2'", other)


def test_an_acknowledgement_without_id_leaves_the_id_unknown() -> None:
    judged = same_id(History([submit("k", "ok", "1"), submit("k", "ok")]))
    assert judged.verdict is Verdict.UNKNOWN


def test_an_empty_history_shows_nothing() -> None:
    for judged in (exactly_once(History(), []), nothing_lost(History(), []), same_id(History())):
        assert judged.verdict is Verdict.UNKNOWN
    red(nothing_invented(History(), [("k", "1")]), "nobody asked", None)


# --- states -------------------------------------------------------------------------------------------------------------


def reads(*states: str, overlapping: bool = False) -> History:
    length = 25 if overlapping else 5
    return History(
        Operation(0, "read", "t", None, "ok", state, n * 10, n * 10 + length) for n, state in enumerate(states)
    )


UP_AND_DOWN = ("healthy", "degraded", "critical", "degraded", "healthy")


def test_health_may_rise_and_fall_step_by_step() -> None:
    seen = reads("healthy", "healthy", "degraded", "critical", "critical", "degraded", "degraded", "healthy")
    assert legal_order(seen, UP_AND_DOWN).holds


def test_a_leap_over_a_state_is_found() -> None:
    seen = reads("healthy", "critical")
    red(legal_order(seen), "'healthy' cannot be followed by 'critical'", seen[1])


def test_health_that_never_recovers_is_found() -> None:
    seen = reads("healthy", "degraded", "critical", "critical")
    red(legal_order(seen, UP_AND_DOWN), "went healthy → degraded → critical, not healthy", seen[3])


def test_health_that_recovered_and_fell_again_is_not_where_it_should_end() -> None:
    red(legal_order(reads(*UP_AND_DOWN, "degraded"), UP_AND_DOWN), "went", reads(*UP_AND_DOWN, "degraded")[5])


def test_a_state_that_does_not_exist_is_found() -> None:
    seen = reads("healthy", "splendid")
    red(legal_order(seen), "'splendid' is none of", seen[1])


def test_answers_of_any_shape_are_judged_and_do_not_break_the_judge() -> None:
    odd = History([Operation(0, "submit", "k", None, "ok", {"not": ["an id"]}, 0, 1)])
    assert nothing_lost(odd, [("k", "1")]).verdict is Verdict.FALSE
    assert legal_order(odd).verdict is Verdict.FALSE
    assert same_id(odd).holds


def test_reads_that_overlap_leave_the_order_unknown() -> None:
    assert legal_order(reads("healthy", "critical", overlapping=True)).verdict is Verdict.UNKNOWN


def test_a_read_without_answer_saw_nothing() -> None:
    history = reads("healthy")
    history.append(Operation(0, "read", "t", None, "failed", "critical", 20, 21))
    assert legal_order(history).holds
    assert legal_order(History([history[1]])).verdict is Verdict.UNKNOWN


def test_tenants_are_judged_apart() -> None:
    seen = History(
        Operation(0, "read", key, None, "ok", state, at, at)
        for at, (key, state) in enumerate([("a", "healthy"), ("b", "critical"), ("a", "degraded"), ("b", "degraded")])
    )
    assert legal_order(seen).holds


# --- what is left ---------------------------------------------------------------------------------------------------------


def test_a_clean_database_has_nothing_left() -> None:
    assert nothing_left([], connections=4, allowed=4).holds


def test_a_lock_or_a_transaction_that_is_left_is_named() -> None:
    red(nothing_left([{"pid": 7, "state": "idle in transaction"}], 1, 1), "idle in transaction", None)


def test_a_leaked_connection_is_counted() -> None:
    red(nothing_left([], connections=7, allowed=4), "3 more than the 4 allowed", None)
