"""What the same seed must give again, and what it need not."""

from __future__ import annotations

from pytest_smartattend.engine.fault_journal import Entry, replayable


def test_two_runs_that_differ_in_times_and_order_only_are_the_same() -> None:
    first = [
        Entry("f", "decided", 0, 0, 0.25, 1.0),
        Entry("f", "decided", 1, 0, 0.75, 2.0),
        Entry("f", "fired", 0, 0, 0.25, 3.0),
    ]
    second = [
        Entry("f", "decided", 1, 0, 0.75, 9.0),
        Entry("f", "decided", 0, 0, 0.25, 9.5),
        Entry("f", "fired", 0, 0, 0.25, 9.9),
    ]
    assert replayable(first) == replayable(second)


def test_another_draw_or_a_missing_line_is_seen() -> None:
    entries = [Entry("f", "decided", 0, 0, 0.25, 1.0), Entry("f", "fired", 0, 0, 0.25, 1.5)]
    assert replayable(entries) != replayable(entries[:1])
    assert replayable(entries) != replayable([entries[0], Entry("f", "fired", 0, 0, 0.5, 1.5)])


def test_an_entry_survives_the_way_to_json_and_back() -> None:
    entry = Entry("database/1:latency", "decided", 3, 0, 0.5, 0.125)
    assert Entry(**entry.to_json()) == entry
