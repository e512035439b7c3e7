"""Drill 1: the primary is lost, killed or hung. What was acknowledged stays, and the old one acknowledges nothing more."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest

from pytest_smartattend import Drill, Drills, Evidence, Node

LONG = timedelta(seconds=30)
#: less than a step may take, so that the step tells what the writers met
PATIENCE = timedelta(seconds=20)
DATABASE = "smartattend"
TABLES = ("incidents", "timeline", "audit_heads", "smartattend_probe")
RTO, RPO = timedelta(minutes=10), timedelta(minutes=5)
#: what a control must lose at the least
LOST = 20


class Stage:
    """A primary with two standbys, of which one must have what is acknowledged, and the platform on them.

    Args:
        drills: makes it.
        name: of the drill.
        stack: ends what is begun.
    """

    def __init__(self, drills: Drills, name: str, stack: ExitStack) -> None:
        self.site = drills.site()
        self.operators = drills.operators(self.site)
        self.old = drills.primary(self.site)
        self.floor = drills.failover_floor(self.site, self.old)
        self.standbys = [self.site.standby(name, of=self.old) for name in ("n1", "n2")]
        self.nodes = [self.old, *self.standbys]
        app, owner = (self.site.dsn(DATABASE, self.nodes, user=user) for user in ("smartattend_app", "postgres"))
        self.installation = stack.enter_context(drills.serve(app, owner))
        self.tenant = self.installation.seed("school")
        self.drill = stack.enter_context(drills(name))
        self.probe = stack.enter_context(drills.over_the_api(self.tenant))
        self.direct = stack.enter_context(drills.direct(owner))
        #: clients that were never told of another primary
        self.stubborn = stack.enter_context(drills.direct(self.old.dsn(DATABASE), writers=1, name="stubborn-"))
        self.new = self.standbys[0]

    def build(self) -> None:
        """Step 1."""

        def confirmed() -> dict[str, Any] | None:
            rows = self.old.query("SELECT application_name, sync_state, flush_lsn::text FROM pg_stat_replication")
            return {"standbys": rows} if {row[1] for row in rows} == {"quorum"} else None

        self.drill.step(
            "quorum confirmed, probes write",
            actor="harness",
            action=self.require,
            until=confirmed,
            within=LONG,
        )

    def require(self) -> None:
        """Have every commit wait for one of the others, whoever the primary is."""
        self.site.require(self.old, "n0", "n1", "n2")
        self.await_writes(20)

    def await_writes(self, count: int, patience: timedelta = LONG) -> None:
        """Until both probes have had so many more acknowledged."""
        for probe in (self.probe, self.direct):
            probe.await_acknowledged(count, patience)

    def lose(self, number: signal.Signals) -> int:
        """Step 2. Returns the instant after which nothing that begins is answered by the old primary."""
        done: dict[str, Any] = {}

        def strike() -> None:
            done["processes"], done["instant"] = self.old.kill(number)

        self.drill.step(
            "primary lost",
            actor="harness",
            action=strike,
            until=lambda: {"signal": number.name, "processes": len(done["processes"])},
            within=LONG,
        )
        return int(done["instant"])

    def recover(self) -> None:
        """Steps 3 to 6."""
        self.drill.step("detected", actor="platform", until=self.noticed, within=LONG)
        self.drill.step(
            "old primary fenced, receivers drained",
            actor="operator",
            action=self.fence,
            until=self.fenced,
            within=LONG,
        )
        self.drill.step(
            "standby promoted",
            actor="operator",
            action=lambda: self.operators.promote(self.new),
            until=lambda: {"node": self.new.name, "timeline": 2, "parted_at": str(self.new.parted_at(2))},
            within=LONG,
        )
        self.drill.step(
            "clients and redundancy back", actor="platform", action=self.wait_for_both, until=self.healthy, within=LONG
        )

    def noticed(self) -> dict[str, Any]:
        """What health says, once it says no."""
        answer = self.tenant.nobody.health(timeout=5)
        assert answer.status == 503, f"health says {answer.summary}"
        return {"health": answer.body["parts"]}

    def healthy(self) -> dict[str, Any] | None:
        """What health says, once it says yes."""
        answer = self.tenant.nobody.health(timeout=5)
        return {"health": answer.body["parts"]} if answer.ok else None

    def fence(self) -> None:
        """The old primary is made harmless, and a successor is chosen."""
        self.operators.fence(self.old)
        self.new = self.operators.elect(self.standbys)

    def fenced(self) -> dict[str, str]:
        """Where what the standbys hold ends, once the old primary can answer nobody."""
        assert not self.old.running, f"the old primary, process {self.old.pid}, still runs"
        return {node.name: str(node.lsn()) for node in self.standbys}

    def wait_for_both(self) -> None:
        """Until clients write again and the other standby receives again."""
        self.await_writes(20, PATIENCE)
        for node in self.standbys:
            if node is not self.new:
                node.await_streaming(self.new)

    def rejoin(self) -> None:
        """Step 7, after the probes have ended."""
        self.drill.step(
            "old primary rejoined, hashes equal",
            actor="operator",
            action=lambda: self.operators.rejoin(self.old, self.new),
            until=self.agree,
            within=LONG,
        )

    def agree(self) -> dict[str, str] | None:
        """The hash of each table, once every node has the same."""
        end = self.new.lsn()
        for node in self.nodes:
            if node is not self.new:
                node.catch_up_with(end)
        found = {table: {node.digest(table, DATABASE) for node in self.nodes} for table in TABLES}
        same = all(len(hashes) == 1 for hashes in found.values())
        return {table: next(iter(hashes)) for table, hashes in found.items()} if same else None


def hold(drills: Drills, name: str, number: signal.Signals, evidence: Evidence) -> None:
    """The seven steps, and what they cost."""
    with ExitStack() as stack:
        stage = Stage(drills, name, stack)
        stage.build()
        if number is signal.SIGSTOP:  # a silence must last before anybody may call it a loss
            stage.floor += stage.installation.silence.total_seconds()
        fault = stage.lose(number)
        stage.recover()
        for probe in (stage.direct, stage.probe, stage.stubborn):
            probe.end()
        drills.settle(stage.drill, stage.new, stage.tenant, stage.probe)
        judge(stage, drills, fault, evidence)


def judge(stage: Stage, drills: Drills, fault: int, evidence: Evidence) -> None:
    """Step 7, and what the fault cost."""
    stage.rejoin()
    found = stage.drill.cost(
        stage.probe, drills.reported(stage.new, stage.tenant), fault, rto=RTO, rpo=RPO, floor=stage.floor
    )
    direct = stage.direct.recovery(drills.written(stage.new), fault)
    evidence.measure(f"RTO of {stage.drill.name}, past the platform", direct.rto_seconds, "s")
    stubborn = stage.stubborn.recovery(drills.written(stage.new), fault)
    evidence.expect("acknowledged by the old primary after its loss", stubborn.after, 0)
    evidence.expect("acknowledged by the old primary and gone", stubborn.lost, ())
    for name, recovery in (("over the API", found), ("past the platform", direct)):
        evidence.expect(f"acknowledged {name} and gone", recovery.lost, ())
        evidence.expect(f"refused {name} and stored", recovery.refused_stored, ())
        evidence.expect(f"writes {name} came back", recovery.outage.over, expected=True)
    evidence.expect("timeline", {node.timeline() for node in stage.nodes}, {2})


@pytest.mark.drill("drills/primary-failover")
@pytest.mark.detects("answered-before-the-commit", "primary-looked-up-once", "health-always-ok")
def test_a_killed_primary_is_replaced_and_nothing_acknowledged_is_lost(
    _smartattend_reference_drill: Drills, _smartattend_evidence: Evidence
) -> None:
    hold(_smartattend_reference_drill, "primary-failover, killed", signal.SIGKILL, _smartattend_evidence)
    asynchronous_standby_that_lags(_smartattend_reference_drill)


@pytest.mark.drill("drills/primary-failover-hung")
@pytest.mark.detects("fence-skipped")
def test_a_hung_primary_is_fenced_before_another_takes_its_place(
    _smartattend_reference_drill: Drills, _smartattend_evidence: Evidence
) -> None:
    hold(_smartattend_reference_drill, "primary-failover, hung", signal.SIGSTOP, _smartattend_evidence)
    nobody_fences(_smartattend_reference_drill)


def asynchronous_standby_that_lags(drills: Drills) -> None:
    """A control: nobody waits for the standby, and it lags."""
    site = drills.site()
    old = drills.primary(site)
    new = site.standby("n1", of=old)
    with drills("control: asynchronous standby with lag") as control:
        with drills.direct(site.dsn(DATABASE)) as probe:
            probe.await_acknowledged(LOST)
            control.step(
                "standby stands still", actor="harness", action=new.stop_receiving, until=lambda: True, within=LONG
            )
            probe.await_acknowledged(LOST * 3)
            fault = old.kill()[1]
            promote(control, new)
            probe.await_acknowledged(LOST)
        control.must_lose(probe, drills.written(new), fault, LOST)


def nobody_fences(drills: Drills) -> None:
    """A control: a primary that hung wakes up again beside its successor, and clients of it still write."""
    site = drills.site()
    old = drills.primary(site)
    new = site.standby("n1", of=old)
    with drills("control: hung and not fenced") as control:
        with drills.direct(old.dsn(DATABASE)) as probe:
            probe.await_acknowledged(LOST)
            fault = old.kill(signal.SIGSTOP)[1]
            promote(control, new)
            control.step(
                "old primary awake",
                actor="harness",
                action=lambda: old.kill(signal.SIGCONT),
                until=lambda: {"answers": old.query("SELECT 1")[0][0]},
                within=LONG,
            )
            probe.await_acknowledged(LOST * 3)
        control.must_lose(probe, drills.written(new), fault, LOST)


def promote(drill: Drill, node: Node) -> None:
    drill.step(
        "standby promoted",
        actor="harness",
        action=lambda: (node.stop_receiving(), node.promote()),
        until=lambda: {"timeline": node.timeline()},
        within=LONG,
    )
