"""The reference platform in this process, on a clock in the check's hand, over a real PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pytest_smartattend.evidence.journal import Journal
from pytest_smartattend.evidence.record import Evidence
from pytest_smartattend.loop.clock import LoopClock
from pytest_smartattend.postgres.server import Server
from pytest_smartattend.target.client import Operation
from pytest_smartattend.target.in_process import InProcessPlatform
from pytest_smartattend.target.reference_schema import ReferenceSchema
from pytest_smartattend.trials.simulation import Act, Look, Own, Script, Simulation

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
Start = Callable[..., InProcessPlatform]
#: of the timeline of SCRIPT
DIGEST = "bb243873283c438319ff1c901c4778f3ede1f6e0d974ee49615f1273e913305b"
SCRIPT: Script = [
    Own(12 * MINUTE, ("sla_at_risk", None, None), "acknowledge", due=15 * MINUTE),
    Look(14 * MINUTE, "acknowledge", "at_risk", due=15 * MINUTE),
    Act(15 * MINUTE, "admin", "acknowledge", ("acknowledged", "open", "acknowledged")),
]


@pytest.fixture
def start(postgres: Server) -> Iterator[Start]:
    with ExitStack() as closing:

        def make(clock: LoopClock, **options: Any) -> InProcessPlatform:
            platform = InProcessPlatform(postgres.pool(ReferenceSchema()).take(), clock, **options)
            closing.callback(platform.close)
            return platform

        yield make


@pytest.fixture
def witness(tmp_path: Path) -> Evidence:
    return Evidence(Journal("run", "main", tmp_path), "here", 1)


def ignored(_operation: Operation) -> None:
    pass


def test_hours_pass_between_two_requests_and_none_during_one(start: Start) -> None:
    clock = LoopClock()
    platform = start(clock)
    tenant = platform.seed("school", ignored)
    incident = tenant.staff.report(severity="low").must()
    platform.sleep_until(clock.start + 5 * HOUR)
    acknowledged = tenant.admin.act(incident["id"], "acknowledge").must()
    assert incident["created_at"] == "2026-03-02T08:00:00.000000Z"
    assert acknowledged["updated_at"] == "2026-03-02T13:00:00.000000Z"
    assert acknowledged["sla"]["acknowledge"]["used"] == 5 / 8


def test_no_time_passes_during_a_refusal_of_any_kind(start: Start) -> None:
    clock = LoopClock()
    platform = start(clock)
    tenant = platform.seed("school", ignored)
    incident = tenant.staff.report().must()["id"]
    for refused in (
        tenant.admin.act(incident, "close"),
        tenant.nobody.incident(incident),
        tenant.admin.incident("no-id"),
        tenant.admin.act(incident, "escalate", {"level": 7}),
        tenant.admin.call("GET", "/no/such/path"),
    ):
        assert (refused.ok, clock.elapsed) == (False, timedelta()), refused.summary


def test_answers_have_the_outcomes_of_a_served_platform(start: Start) -> None:
    told: list[Operation] = []
    tenant = start(LoopClock()).seed("school", told.append)
    incident = tenant.staff.report().must()
    assert tenant.admin.act(incident["id"], "close").summary == "409 invalid_transition"
    assert tenant.nobody.incident(incident["id"]).summary == "401 unauthenticated"
    assert tenant.admin.health().body["status"] == "ok"
    assert [one.outcome for one in told] == ["ok", "failed", "failed", "ok"]


def test_who_acknowledges_at_the_due_instant_itself_is_in_time_and_the_digest_is_the_same_in_every_run(
    start: Start, witness: Evidence
) -> None:
    for seed in range(10):
        clock = LoopClock(seed=seed)
        platform = start(clock, workers=1 + seed % 3)
        tenant = platform.seed("school", ignored)
        Simulation(platform, clock, tenant, witness).play("At the last moment", "critical", SCRIPT, DIGEST)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (SCRIPT[1:], "timeline"),
        ([Own(11 * MINUTE, ("sla_at_risk", None, None), "acknowledge", due=15 * MINUTE), *SCRIPT[1:]], "timeline"),
        ([Own(12 * MINUTE, ("sla_at_risk", None, None), "acknowledge", due=16 * MINUTE), *SCRIPT[1:]], "ends that the"),
        ([SCRIPT[0], Look(14 * MINUTE, "acknowledge", "on_track", due=15 * MINUTE), SCRIPT[2]], "acknowledge at"),
        ([SCRIPT[0], Look(14 * MINUTE, "acknowledge", "at_risk", due=16 * MINUTE), SCRIPT[2]], "end of acknowledge"),
        ([*SCRIPT[:2], Act(15 * MINUTE, "member", "acknowledge", ("acknowledged", "open", "acknowledged"))], "acknowl"),
    ],
    ids=["more-happened", "another-instant", "another-end", "another-status", "another-due", "not-allowed"],
)
def test_a_script_that_is_not_what_happened_fails(start: Start, witness: Evidence, script: Any, why: str) -> None:
    clock = LoopClock()
    platform = start(clock)
    simulation = Simulation(platform, clock, platform.seed("school", ignored), witness)
    with pytest.raises(AssertionError, match=why):
        simulation.play("At the last moment", "critical", script, DIGEST)


def test_what_passes_between_two_requests_brings_no_timer_near(start: Start) -> None:
    clock = LoopClock()
    platform = start(clock)
    tenant = platform.seed("school", ignored)
    for _ in range(8):  # each worker has noted a request, and writes it a second later on the clock
        tenant.member.call("GET", "/auth/me").must()
        threading.Event().wait(0.3)  # a check that does something else, or a machine that does
        assert clock.elapsed == timedelta()
