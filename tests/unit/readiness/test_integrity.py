"""Reports and journals, held against each other."""

from __future__ import annotations

import itertools

import pytest

from pytest_smartattend.readiness.integrity import Seen, reconcile
from pytest_smartattend.readiness.outcomes import ORDER, Attempt, Phases, status_of
from pytest_smartattend.readiness.witness import JournaledAttempt, Witness

TEST = "test_a.py::test_a"


def journaled(outcome: str = "passed", head: str = "h", events: int = 1) -> Witness:
    return Witness(attempts={TEST: [JournaledAttempt(TEST, "gw0", 1, [], head, events, outcome)]})


def outcomes(seen: Seen, witness: Witness) -> list[str]:
    return [attempt.outcome for attempt in reconcile(seen, witness)[TEST].attempts]


def reported(*attempts: Attempt, **more: object) -> Seen:
    return Seen(frozenset({TEST}), frozenset({TEST}), {TEST: attempts}, **more)  # type: ignore[arg-type]


def test_a_pass_that_the_journal_vouches_for_is_one() -> None:
    assert outcomes(reported(Attempt(TEST, "gw0", "passed", head="h")), journaled()) == ["passed"]


@pytest.mark.parametrize("head", ["", "other"])
def test_a_pass_that_no_journal_vouches_for_is_evidence_lost(head: str) -> None:
    assert outcomes(reported(Attempt(TEST, "gw0", "passed", head=head)), Witness()) == ["evidence_lost"]


def test_a_pass_that_the_journal_denies_is_evidence_lost() -> None:
    seen = reported(Attempt(TEST, "gw0", "passed", head="h"))
    assert outcomes(seen, journaled(outcome="failed")) == ["evidence_lost"]


def test_a_journaled_test_that_was_never_reported_has_vanished() -> None:
    assert outcomes(Seen(frozenset({TEST})), journaled()) == ["vanished"]
    assert outcomes(Seen(frozenset({TEST})), journaled(head="")) == ["vanished"]


def test_why_a_test_has_no_report_is_told_as_far_as_it_is_known() -> None:
    lost = Seen(frozenset({TEST}), workers_lost={"gw0": "gone"})
    assert outcomes(lost, journaled(head="")) == ["crashed"]
    assert outcomes(Seen(frozenset({TEST}), interrupted="Ctrl-C"), journaled(head="")) == ["interrupted"]
    assert outcomes(Seen(frozenset({TEST}), frozenset({TEST})), Witness()) == ["vanished"]


def test_a_test_without_a_trace_was_deselected_or_not_run() -> None:
    assert reconcile(Seen(frozenset({TEST})), Witness())[TEST].absent == "not_run"
    assert reconcile(Seen(), Witness(deselected={TEST}))[TEST].absent == "deselected"


def test_a_failed_attempt_that_was_never_reported_is_a_rerun() -> None:
    witness = journaled()
    witness.attempts[TEST].insert(0, JournaledAttempt(TEST, "gw0", 1, [], "g", 1, "failed"))
    assert sorted(outcomes(reported(Attempt(TEST, "gw0", "passed", head="h")), witness)) == ["passed", "rerun"]


@pytest.mark.parametrize(
    ("phases", "outcome"),
    [
        (Phases("passed", "passed", "passed"), "passed"),
        (Phases("passed", "failed", "passed"), "failed"),
        (Phases("passed", "failed", "failed"), "failed"),
        (Phases("failed", "", "passed"), "error"),
        (Phases("passed", "passed", "failed"), "error"),
        (Phases("skipped", "", "passed"), "skipped"),
        (Phases("passed", "skipped", "passed"), "skipped"),
        (Phases("passed", "skipped", "passed", expected_to_fail=True), "xfailed"),
        (Phases("passed", "passed", "passed", expected_to_fail=True), "xpassed"),
        (Phases("passed", "", "passed"), "not_called"),
        (Phases("passed", "passed", ""), "vanished"),
        (Phases("passed", "", ""), "vanished"),
        (Phases(), "vanished"),
        (Phases("passed", "passed", "passed", crashed=True), "crashed"),
        (Phases("passed", "failed", "passed", rerun=True), "rerun"),
    ],
)
def test_reports_make_an_outcome(phases: Phases, outcome: str) -> None:
    assert phases.outcome() == outcome


def test_only_three_reports_that_passed_make_a_pass() -> None:
    words = ("", "passed", "failed", "skipped")
    passes = [
        found
        for found in itertools.product(words, words, words, (False, True), (False, True), (False, True))
        if Phases(*found).outcome() == "passed"
    ]
    assert passes == [("passed", "passed", "passed", False, False, False)]


def test_the_worst_of_any_attempts_is_the_checks() -> None:
    for pair in itertools.product(ORDER, repeat=2):
        check = {"status": "", "attempts": [{"outcome": outcome, "events": 1} for outcome in pair]}
        worst = min(pair, key=ORDER.index)
        repeated = worst == "rerun" and not set(pair) & {"passed", "xpassed"}
        assert status_of(check) == ("failed" if repeated else worst)
