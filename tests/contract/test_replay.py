"""A recorded incident takes the same course again, and whatever does not is told with place, expectation and sight."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pytest_smartattend.engine import incident_record
from pytest_smartattend.engine.incident_steps import Step
from pytest_smartattend.engine.incident_story import story_of
from pytest_smartattend.errors import RecordRefused
from pytest_smartattend.loop.clock import LoopClock
from pytest_smartattend.postgres.server import Server
from pytest_smartattend.target.in_process import InProcessPlatform
from pytest_smartattend.target.reference_schema import ReferenceSchema
from pytest_smartattend.trials import recorded
from pytest_smartattend.trials.replay import Replay
from tests.contract import record_incidents

MINUTE = timedelta(minutes=1)
Start = Callable[..., InProcessPlatform]


@pytest.fixture
def start(postgres: Server) -> Iterator[Start]:
    with ExitStack() as closing:

        def make(**options: Any) -> InProcessPlatform:
            platform = InProcessPlatform(postgres.pool(ReferenceSchema()).take(), LoopClock(), **options)
            closing.callback(platform.close)
            return platform

        yield make


def shipped(name: str) -> incident_record.Document:
    (found,) = [one for one in recorded.shipped() if one.name == name]
    return copy.deepcopy(found.read())


def told(document: incident_record.Document) -> str:
    """Its story, without the pseudonyms of texts, which are other ones on each platform."""
    return re.sub(r"'(text-[0-9a-f]{12}|[0-9a-f]{1,9})'", "'…'", str(story_of(document)))


@pytest.mark.parametrize("name", list(record_incidents.COURSES))
def test_what_ships_is_what_a_real_run_records(postgres: Server, name: str) -> None:
    assert told(record_incidents.record(postgres, name)) == told(shipped(name))


def test_an_incident_from_the_spool_is_recorded_like_any_other(postgres: Server, tmp_path: Path) -> None:
    anew = story_of(record_incidents.record_spooled(postgres, tmp_path / "platform"))
    kept = story_of(shipped(record_incidents.SPOOLED))
    assert [row["key"] for row in anew.events] == [row["key"] for row in kept.events]


def test_what_ships_covers_states_reopening_breach_refusals_and_persons() -> None:
    documents = [one.read()["record"] for one in recorded.shipped()]
    assert len(documents) >= 8
    assert len({event["to"] for record in documents for event in record["events"]} - {None}) == 7
    assert {"reopened", "sla_breached", "handed_over"} <= {e["kind"] for r in documents for e in r["events"]}
    assert {"staff", "admin", "superadmin"} <= {one["role"] for record in documents for one in record["people"]}
    codes = {refusal["code"] for record in documents for refusal in record["refusals"]}
    assert codes >= {"invalid_transition", "escalation_level_mismatch", "missing_fields", "severity_frozen"}


CHANGES: dict[str, tuple[Callable[[Any], object], str]] = {
    "interval": (lambda record: _later(record["events"][2], 1), "shifted: event 3 (investigating)"),
    "missing": (lambda record: record["events"].insert(3, _like(record, "sla_at_risk")), "missing: event 4"),
    "level": (lambda record: record["incident"].update(escalation_level="executive"), "changed: escalation_level"),
    "role": (lambda record: record["people"][1].update(role="superadmin"), "by: recorded superadmin 1, seen superad"),
    "refusal": (lambda record: record["refusals"][0].update(code="severity_frozen"), "was refused as severity_frozen"),
    "sla": (lambda record: record["sla"]["resolve"].update(outcome="breached"), "changed: SLA resolve: recorded breac"),
    "state": (lambda record: record["incident"].update(status="closed"), "changed: status: recorded closed, seen mit"),
    "owner": (lambda record: record["incident"].update(owner_id=record["people"][1]["id"]), "changed: owner"),
}


def _later(event: dict[str, Any], microseconds: int) -> None:
    event["after_us"] += microseconds


def _like(record: dict[str, Any], kind: str) -> dict[str, Any]:
    return {**record["events"][2], "kind": kind, "actor": "system:sla-monitor", "from": None, "to": None, "payload": {}}


@pytest.mark.parametrize("change", [name for name in CHANGES if name not in {"role", "interval"}])
def test_what_differs_is_told(start: Start, change: str) -> None:
    document = shipped("concurrent-actors")
    document["record"]["events"] = document["record"]["events"][:4]
    document["record"]["refusals"] = document["record"]["refusals"][:3]
    document["record"]["incident"] |= {"status": "mitigating", "resolution": None}
    document["record"]["sla"]["resolve"] |= {"outcome": "running", "answered_at": None}
    honest = Replay(start()).of(document, "cut")
    assert (honest.verdict, honest.lines()[1:3]) == ("equal", honest.lines()[1:3])
    alter, told = CHANGES[change]
    alter(document["record"])
    report = Replay(start()).of(document, "x")
    assert report.verdict == "different"
    assert told in "\n".join(report.lines())


def test_an_interval_that_was_changed_is_driven_as_it_is_told_and_the_outcome_differs(start: Start) -> None:
    document = shipped("all-states")
    for event in document["record"]["events"][1:]:
        event["after_us"] += 3600 * 1_000_000
    report = Replay(start()).of(document, "x")
    assert report.verdict == "not legal"  # the monitor had carried it up by then
    assert report.turns[0].step.action == "acknowledge"


def test_what_the_present_rules_forbid_is_told_with_the_rule_and_nothing_behind_it_is_driven(start: Start) -> None:
    platform = start()
    report = Replay(platform).of(shipped("must-be-refused"), "x")
    assert (report.verdict, report.rule) == ("not legal", "422 escalation_level_mismatch")
    assert "choose at least executive" in report.lines()[1]
    assert platform.observer.value("select count(*) from timeline") == 2


def test_a_refusal_that_is_now_granted_is_a_difference(start: Start) -> None:
    report = Replay(start(sabotage="level-below-severity-accepted")).of(shipped("refused"), "x")
    assert report.verdict == "different"
    assert "was refused as escalation_level_mismatch, and is now answered 200" in report.lines()[1]


def test_an_account_that_is_gone_and_a_refusal_of_which_nothing_more_is_known_do_not_differ(start: Start) -> None:
    document = shipped("concurrent-actors")
    for person in document["record"]["people"]:
        person["role"] = None if person["role"] == "admin" else person["role"]
    for refusal in document["record"]["refusals"]:
        refusal |= {"asked": None, "after_seq": None}
    assert Replay(start()).of(document, "x").lines()[0] == "x: equal"


def test_an_event_that_nobody_can_make_again_is_refused(start: Start) -> None:
    document = shipped("reopened")
    document["record"]["events"][3]["kind"] = "merged"
    with pytest.raises(RecordRefused, match=r"event 4 is of the kind 'merged'.*Known: "):
        Replay(start()).of(document, "x")


def test_later_steps_show_what_would_have_become_of_the_promises(start: Start) -> None:
    document = shipped("failed-mitigation")
    in_time = Replay(start()).what_if(document, "x", {})
    assert (in_time.verdict, in_time.promises["resolve"]) == ("equal", ("met", "met"))
    last = len(document["record"]["events"])
    late = Replay(start()).what_if(document, "x", {last: timedelta(hours=7)})
    assert late.promises == {"acknowledge": ("met", "met"), "resolve": ("met", "breached")}
    unnoticed = Replay(start()).what_if(document, "x", {2: 40 * MINUTE})
    assert unnoticed.promises["acknowledge"] == ("met", "breached")
    assert unnoticed.turns[0].answer == "409 invalid_transition"


def test_another_policy_shows_what_would_have_become_of_the_promises(start: Start) -> None:
    platform = start()
    platform.set_window("high", "acknowledge", 5 * MINUTE)
    report = Replay(platform).what_if(shipped("failed-mitigation"), "x", {})
    assert report.promises["acknowledge"] == ("met", "breached")


@pytest.mark.parametrize(("slow", "verdict"), [(timedelta(milliseconds=14), "equal"), (2 * MINUTE, "different")])
def test_a_slow_machine_is_told_from_a_late_platform(start: Start, slow: timedelta, verdict: str) -> None:
    platform = start()

    def time_moves(step: Step, _person: object, _incident: object) -> None:
        if step.action == "close":
            platform.sleep_until(platform.clock.now() + slow)

    report = Replay(platform, look=time_moves).of(shipped("all-states"), "x", exact=True)
    assert report.verdict == verdict, report.lines()


def test_what_was_due_at_the_last_instant_and_not_yet_done_is_not_held_against_a_replay(start: Start) -> None:
    platform = start()
    tenant = platform.seed("school", lambda _: None)
    incident = tenant.staff.report("It is down", "critical", description="").must()
    platform.sleep_until(platform.clock.now() + 12 * MINUTE)  # at risk from this very instant on
    tenant.admin.act(incident["id"], "close", {})
    document = incident_record.checked(tenant.admin.export(incident["id"]).must())
    assert Replay(start()).of(document, "x", exact=True).verdict == "equal"


def test_an_interval_of_an_event_that_nobody_made_is_refused(start: Start) -> None:
    with pytest.raises(RecordRefused, match="no event 2 that somebody made"):
        Replay(start()).what_if(shipped("breached"), "x", {2: MINUTE})
