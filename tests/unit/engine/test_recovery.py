"""Figures of a fault, from histories made by hand. Times are whole seconds."""

from __future__ import annotations

import pytest

from pytest_smartattend.engine.history import History, Operation, Outcome
from pytest_smartattend.engine.recovery import Recovery, recovery_of
from pytest_smartattend.errors import EvidenceError

S = 1_000_000_000


def write(key: str, begin: float, end: float | None, outcome: Outcome = "ok") -> Operation:
    return Operation(0, "write", key, None, outcome, None, int(begin * S), None if end is None else int(end * S))


def figures(*operations: Operation, stored: str, fault: float, until: float | None = None) -> Recovery:
    rows = set(stored.split())
    return recovery_of(History(operations), rows, int(fault * S), None if until is None else int(until * S))


def test_an_outage_lasts_from_acknowledgement_to_acknowledgement() -> None:
    found = figures(write("a", 0, 1), write("b", 4, 5), stored="a b", fault=2, until=5)
    assert found.rto_seconds == 4
    assert found.outage.over
    assert (found.before, found.after) == (1, 1)


def test_a_write_that_was_on_its_way_when_the_fault_came_does_not_end_the_outage() -> None:
    found = figures(write("a", 0, 1), write("late", 1.9, 2.1), write("b", 7, 8), stored="a late b", fault=2, until=8)
    assert found.rto_seconds == 7
    assert found.rpo_rows == 0


def test_a_write_begun_before_the_fault_and_answered_after_the_outage_does_not_hide_it() -> None:
    found = figures(write("a", 0, 1), write("held", 1, 9), write("b", 9, 10), stored="a held b", fault=2, until=10)
    assert found.rto_seconds == 9


def test_the_longest_gap_counts_also_where_the_fault_bites_later() -> None:
    early = [write(f"a{n}", n, n + 0.5) for n in range(4)]
    found = figures(*early, write("b", 9, 10), stored="a0 a1 a2 a3 b", fault=1, until=10)
    assert found.rto_seconds == 6.5
    assert found.outage.begin == int(3.5 * S)


def test_an_outage_that_never_ended_lasted_at_least_until_nobody_looked() -> None:
    found = figures(write("a", 0, 1), write("b", 3, 4, "failed"), stored="a", fault=2, until=60)
    assert found.rto_seconds == 59
    assert not found.outage.over
    assert "at least 59.000 s" in found.describe()


def test_an_outage_at_the_end_that_is_longer_than_the_first_is_told() -> None:
    found = figures(write("a", 0, 1), write("b", 3, 4), write("c", 5, None), stored="a b", fault=2, until=30)
    assert found.rto_seconds == 26
    assert not found.outage.over


def test_without_an_end_the_last_thing_that_was_seen_is_it() -> None:
    assert figures(write("a", 0, 1), write("c", 5, None), stored="a", fault=2).rto_seconds == 4


def test_what_was_acknowledged_and_is_gone_is_counted_in_rows_and_seconds_before_the_fault() -> None:
    found = figures(
        write("a", 0, 1), write("b", 1, 2), write("c", 2, 3), write("d", 6, 7), stored="a d", fault=4, until=7
    )
    assert found.lost == ("b", "c")
    assert found.rpo_rows == 2
    assert found.lost_seconds == 2


def test_what_an_old_primary_acknowledged_after_the_fault_counts_as_lost_too() -> None:
    found = figures(write("a", 0, 1), write("b", 4, 5), write("c", 7, 9), stored="a", fault=2, until=9)
    assert found.lost == ("b", "c")
    assert found.lost_seconds == 4  # from the first to the last, which came after the fault


def test_a_write_without_an_answer_is_neither_lost_nor_kept() -> None:
    found = figures(
        write("a", 0, 1), write("u", 1, 3, "unknown"), write("v", 1, None), write("b", 5, 6), stored="a u b", fault=2
    )
    assert found.rpo_rows == 0
    assert (found.acknowledged, found.unknown, found.unknown_stored) == (2, 2, 1)


def test_a_write_that_was_refused_and_is_stored_is_told() -> None:
    found = figures(write("a", 0, 1), write("x", 3, 4, "failed"), write("b", 5, 6), stored="a x b", fault=2)
    assert found.refused_stored == ("x",)
    assert found.refused == 1


def test_a_key_that_was_refused_once_and_left_open_once_may_be_stored() -> None:
    again = (write("x", 3, 4, "failed"), write("x", 4, 5, "unknown"))
    assert figures(write("a", 0, 1), *again, stored="a x", fault=2).refused_stored == ()


@pytest.mark.parametrize("operations", [(), (write("a", 0, 1, "unknown"),), (write("a", 3, 4),)])
def test_a_probe_that_saw_nothing_before_the_fault_shows_nothing(operations: tuple[Operation, ...]) -> None:
    with pytest.raises(EvidenceError, match="Let the probe write first"):
        figures(*operations, stored="", fault=2)


def test_the_figures_are_plain_json() -> None:
    told = figures(write("a", 0, 1), write("b", 4, 5), stored="b", fault=2, until=5).to_json()
    assert told["rto_seconds"] == 4
    assert told["recovered"] is True
    assert told["rpo_rows"] == 1
    assert told["rpo_seconds"] == 1
    assert told["lost"] == ["a"]
