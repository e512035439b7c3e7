from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_smartattend.errors import EvidenceError
from pytest_smartattend.evidence import journal as journals
from pytest_smartattend.evidence.journal import Journal
from pytest_smartattend.evidence.record import BATCH, Evidence


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    return Evidence(Journal("run", "main", tmp_path), "test_a", 1)


@pytest.fixture
def lines(tmp_path: Path) -> Callable[[], list[dict[str, Any]]]:
    return lambda: journals.read_all(tmp_path, "run")[0].records


def test_an_expectation_records_both_sides_also_where_it_fails(
    evidence: Evidence, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    evidence.expect("sum", 2, 2)
    with pytest.raises(AssertionError, match=r"sum\n  seen:     2\n  expected: 3"):
        evidence.expect("sum", 2, 3)
    assert [line["data"] for line in lines()] == [
        {"name": "sum", "held": True, "seen": 2, "expected": 2},
        {"name": "sum", "held": False, "seen": 2, "expected": 3},
    ]


def test_equality_is_judged_on_the_values_and_not_on_their_shortened_forms(evidence: Evidence) -> None:
    with pytest.raises(AssertionError):
        evidence.expect("text", "x" * 9000 + "a", "x" * 9000 + "b")


def test_a_broken_invariant_is_recorded_and_raises(
    evidence: Evidence, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    with pytest.raises(AssertionError, match="nobody else sees it"):
        evidence.invariant("nobody else sees it", held=False, detail="bob saw it")
    assert lines()[0]["data"] == {"name": "nobody else sees it", "held": False, "detail": "bob saw it"}


def test_a_limit_alone_fails_the_test_and_an_objective_is_left_to_the_verdict(evidence: Evidence) -> None:
    evidence.measure("latency", 5, "ms", limit=5)
    evidence.measure("rto", 700, "s", limit=600, objective=True)
    with pytest.raises(AssertionError, match="latency: 6 ms, at most 5 ms accepted"):
        evidence.measure("latency", 6, "ms", limit=5)


def test_a_figure_that_could_not_be_weighed_is_refused(evidence: Evidence) -> None:
    with pytest.raises(EvidenceError, match="has no limit"):
        evidence.measure("rto", 1, "s", objective=True)
    with pytest.raises(EvidenceError, match="limit from 0"):
        evidence.measure("rto", 1, "s", limit=-1)
    with pytest.raises(EvidenceError, match="no measurement"):
        evidence.measure("rto", float("nan"), "s", limit=1)


def test_operations_are_journaled_in_batches_and_none_is_lost(
    evidence: Evidence, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    for number in range(2 * BATCH + 1):
        evidence.operation("GET", f"/{number}", 200, "ok", 0.001)
    evidence.close({})
    batches = [line["data"]["operations"] for line in lines() if line["kind"] == "operations"]
    assert [len(batch) for batch in batches] == [BATCH, BATCH, 1]
    assert evidence.events == 2 * BATCH + 1


def test_the_order_of_requests_and_statements_is_kept(
    evidence: Evidence, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    evidence.operation("GET", "/", 200, "ok", 0.001)
    evidence.expect("status", 200, 200)
    assert [line["kind"] for line in lines()] == ["operations", "expect"]


def test_a_remark_is_no_evidence(evidence: Evidence) -> None:
    evidence.note("looks fine")
    assert evidence.events == 0


def test_the_carriage_line_names_the_journals_last_hash(
    evidence: Evidence, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    evidence.event("begun", at="+0:00")
    carried = json.loads(evidence.close({"call": "passed"}))
    assert (carried["head"], carried["events"]) == (lines()[-1]["hash"], 1)


def test_after_the_test_nothing_can_be_recorded(evidence: Evidence) -> None:
    evidence.close({})
    with pytest.raises(EvidenceError, match="has ended"):
        evidence.expect("a", 1, 1)
    with pytest.raises(EvidenceError, match="has ended"):
        evidence.operation("GET", "/", 200, "ok", 0.1)
    with pytest.raises(EvidenceError, match="has ended"):
        evidence.note("late")
