"""The table of SPEC 6, row by row and in order, on documents written by hand."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from pytest_smartattend.readiness import reasons, requirements
from pytest_smartattend.readiness.outcomes import ORDER
from pytest_smartattend.readiness.reasons import CODES, OF_CHECK, STATUSES, WAIVED, Reason, status_from
from pytest_smartattend.readiness.requirements import Requirements
from pytest_smartattend.readiness.verdict import judge, objective_status

NOW = "2026-11-22T12:00:00.000000Z"
NEEDED = Requirements("1", "d" * 64, False, (), {"scenarios": ("scenarios/a", "scenarios/b[x]", "scenarios/b[y]")})


def check(name: str, *outcomes: str, events: int = 1, broken: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "id": name,
        "required": True,
        "status": outcomes[-1] if outcomes else "missing",
        "attempts": [{"outcome": outcome, "events": events} for outcome in outcomes],
        "counts": {"invariants_broken": list(broken)},
    }


def document(*checks: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A document in which everything is well, but for what is given."""
    given = {one["id"] for one in checks}
    others = [check(name, "passed") for name in NEEDED.groups["scenarios"] if name not in given]
    found: dict[str, Any] = {
        "run": {"finished": NOW, "started": NOW, "interrupted": ""},
        "target": {"sabotage": None},
        "scope": {
            "requirements": {"version": "1", "digest": NEEDED.digest},
            "required": [],
            "not_applicable": [],
            "waivers": [],
            "postgres": None,
        },
        "integrity": {"internal_errors": [], "workers_lost": [], "journal_faults": []},
        "versions": {"postgres_major": 18},
        "objectives": [],
        "groups": [{"name": "scenarios", "checks": [*checks, *others]}],
    }
    for key, value in changes.items():
        section, _, name = key.partition("__")
        if name:
            found[section][name] = value
        else:
            found[section] = value
    return found


def judged(found: dict[str, Any], at: str = NOW) -> tuple[str, list[str]]:
    reasons_found = judge(found, NEEDED, at)
    return status_from(reasons_found), [reason.code for reason in reasons_found]


def objective(observed: float, limit: float) -> dict[str, Any]:
    return {"name": "rto", "unit": "s", "observed": observed, "limit": limit, "check": "scenarios/a"}


def test_where_every_required_check_passed_with_evidence_it_is_ready() -> None:
    assert judged(document()) == ("ready", [])


@pytest.mark.parametrize(("status", "code"), OF_CHECK.items())
def test_every_status_of_a_check_but_passed_holds_it_back(status: str, code: str) -> None:
    outcomes = () if status not in ORDER else ("rerun", "passed") if status == "rerun" else (status,)
    one = {**check("scenarios/a", *outcomes), "status": status}
    assert judged(document(one)) == (CODES[code].status, [code])


def test_every_outcome_of_an_attempt_has_a_reason_but_passed() -> None:
    assert set(ORDER) - set(OF_CHECK) == {"passed"}


@pytest.mark.parametrize("worse", ORDER[:-1])
def test_a_pass_beside_a_worse_attempt_is_no_pass(worse: str) -> None:
    status, _ = judged(document(check("scenarios/a", worse, "passed")))
    assert status == CODES[OF_CHECK[worse]].status


def test_a_rerun_after_which_nothing_passed_is_a_failure() -> None:
    assert judged(document(check("scenarios/a", "rerun"))) == ("not_ready", ["check_failed"])


def test_a_pass_without_evidence_is_none_whatever_it_is_called() -> None:
    assert judged(document(check("scenarios/a", "passed", events=0))) == ("incomplete", ["no_evidence"])


def test_a_check_that_the_document_does_not_hold_is_missing() -> None:
    found = document()
    del found["groups"][0]["checks"][0]
    assert judged(found) == ("incomplete", ["check_missing"])


def test_a_check_that_is_not_required_does_not_hold_it_back_but_a_broken_invariant_does() -> None:
    assert judged(document(check("scenarios/extra", "failed"))) == ("ready", [])
    broken = check("scenarios/extra", "passed", broken=("nobody else sees it",))
    assert judged(document(broken)) == ("not_ready", ["invariant_broken"])


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"run__finished": None}, "incomplete", "unfinished"),
        ({"run__interrupted": "KeyboardInterrupt"}, "incomplete", "run_interrupted"),
        ({"integrity__internal_errors": ["x"]}, "incomplete", "internal_error"),
        ({"integrity__workers_lost": ["x"]}, "incomplete", "worker_lost"),
        ({"integrity__journal_faults": ["x"]}, "incomplete", "journal_broken"),
        ({"scope__requirements": {"version": "0", "digest": "e" * 64}}, "incomplete", "requirements_differ"),
        ({"target__sabotage": "rls-off"}, "not_ready", "sabotaged_target"),
        ({"target__sabotage": "rls-off", "run__finished": None}, "incomplete", "unfinished"),
        ({"scope__postgres": 17}, "at_risk", "postgres_major"),
        ({"scope__postgres": 17, "versions__postgres_major": None}, "at_risk", "postgres_major"),
        ({"objectives": [objective(9, 8)]}, "not_ready", "objective_missed"),
        ({"objectives": [objective(7, 8)]}, "at_risk", "objective_near_limit"),
    ],
)
def test_what_concerns_the_whole_run(changes: dict[str, Any], status: str, code: str) -> None:
    assert judged(document(**changes)) == (status, [code])


def test_the_first_row_that_holds_is_the_status_and_all_reasons_are_told() -> None:
    found = document(
        check("scenarios/a", "failed"), check("scenarios/b[x]", "skipped"), check("scenarios/b[y]", "rerun", "passed")
    )
    assert judged(found) == ("not_ready", ["check_failed", "check_skipped", "passed_on_rerun"])
    found["groups"][0]["checks"][0] = check("scenarios/a", "passed")
    assert judged(found)[0] == "incomplete"
    found["groups"][0]["checks"][1] = check("scenarios/b[x]", "passed")
    assert judged(found)[0] == "at_risk"


@pytest.mark.parametrize(
    ("observed", "limit", "status"),
    [
        (0, 0, "met"),
        (1e-9, 0, "missed"),
        (8, 10, "met"),
        (8.01, 10, "near_limit"),
        (10, 10, "near_limit"),
        (10.01, 10, "missed"),
    ],
)
def test_an_objective_is_met_near_its_limit_or_missed(observed: float, limit: float, status: str) -> None:
    assert objective_status(observed, limit) == status


def waiver(name: str, expires: str = "2026-11-22") -> dict[str, str]:
    return {"id": name, "reason": "r", "owner": "o", "expires": expires}


@pytest.mark.parametrize("status", ["failed", "error", "xfailed", "skipped"])
def test_a_waiver_makes_a_failure_and_a_skip_at_risk_until_the_end_of_its_day(status: str) -> None:
    found = document(check("scenarios/a", status), scope__waivers=[waiver("scenarios/a")])
    assert judged(found) == ("at_risk", [WAIVED[OF_CHECK[status]]])
    assert judged(found, "2026-11-22T23:59:59.000000Z")[0] == "at_risk"
    assert judged(found, "2026-11-23T00:00:00.000000Z")[0] == CODES[OF_CHECK[status]].status


@pytest.mark.parametrize("status", ["crashed", "vanished", "interrupted", "no_evidence", "evidence_lost", "impostor"])
def test_a_waiver_does_not_replace_a_check_that_did_not_show_anything(status: str) -> None:
    found = document(check("scenarios/a", status), scope__waivers=[waiver("scenarios/a")])
    assert judged(found) == ("incomplete", [OF_CHECK[status]])


def test_a_waiver_covers_neither_a_broken_invariant_nor_a_missed_objective() -> None:
    one = check("scenarios/a", "failed", broken=("it holds",))
    found = document(one, scope__waivers=[waiver("scenarios/a")], objectives=[objective(2, 1)])
    assert judged(found) == ("not_ready", ["invariant_broken", "objective_missed", "waived"])


@pytest.mark.parametrize("name", ["scenarios/b", "scenarios/b[x]", "scenarios"])
def test_what_is_not_applicable_is_not_required(name: str) -> None:
    excluded = [{"id": name, "reason": "r"}]
    found = document(check("scenarios/b[x]", "failed"), scope__not_applicable=excluded)
    status, codes = judged(found)
    assert "check_failed" not in codes
    assert status == ("incomplete" if name == "scenarios" else "ready")


def test_where_nothing_is_required_nothing_was_shown() -> None:
    found = document(scope__not_applicable=[{"id": "scenarios", "reason": "r"}])
    assert judged(found) == ("incomplete", ["nothing_required"])


def test_an_adopters_own_ids_are_required_too() -> None:
    assert judged(document(scope__required=["scenarios/own"])) == ("incomplete", ["check_missing"])
    assert judged(document(check("scenarios/own", "passed"), scope__required=["scenarios/own"])) == ("ready", [])


def test_judging_changes_nothing() -> None:
    found = document(check("scenarios/a", "failed"))
    before = copy.deepcopy(found)
    judged(found)
    assert found == before


def test_the_page_on_exit_codes_shows_every_reason() -> None:
    page = Path(reasons.__file__).parents[2] / "docs" / "reference" / "exit-codes.md"
    text = page.read_text("utf-8")
    for code, row in CODES.items():
        assert f"| `{code}` | {row.status} | {row.says} | {row.advice} |" in text
    for status, exit_code in STATUSES.items():
        assert f"| {exit_code} | {status} |" in text


def test_a_reason_names_the_first_few_and_counts_the_rest() -> None:
    assert Reason("check_failed", ("a", "b", "c", "d")).text() == "a required check failed: a, b, c and 1 more"


def test_the_shipped_requirements_hold_the_tables_of_the_specification() -> None:
    names = requirements.load().groups["scenarios"]
    count = {family: sum(name.startswith(f"scenarios/{family}[") for name in names) for family in (
        "legal-transitions", "invalid-transitions", "security-breach", "resolution-fields")}  # fmt: skip
    assert count["legal-transitions"] == 13
    assert count["invalid-transitions"] == 36
    assert count["security-breach"] == 16
    assert count["resolution-fields"] == 8
