"""The steps of a failover as a drill: on real servers, with a promotion by a command of the operators."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import psycopg
import pytest

from pytest_smartattend.engine.units import SECOND
from pytest_smartattend.errors import FaultNotHealed, StepFailed
from pytest_smartattend.trials.drill import Drill
from pytest_smartattend.trials.operator_command import run_command

if TYPE_CHECKING:
    from tests.contract.cluster.conftest import Field

PROMOTE = """
import os, psycopg
with psycopg.connect(os.environ["STANDBY"], autocommit=True) as connection:
    connection.execute("SELECT pg_promote()")
"""
LONG = 60 * SECOND


def test_a_failover_is_a_drill_whose_steps_are_seen_and_whose_loss_is_counted(field: Field) -> None:
    site, n0 = field.site, field.primary()
    n1 = site.standby("n1", of=n0)
    site.require(n0, "n0", "n1")
    with field.probe(n0) as probe, Drill("primary-failover") as drill:
        probe.await_acknowledged(30)
        watch = n0.connect()
        fault = n0.kill()[1]
        drill.heal("the quorum", lambda: site.require(n1))

        def lost() -> dict[str, str] | None:
            with pytest.raises(psycopg.OperationalError) as caught:
                watch.execute("SELECT 1")
            return {"told": type(caught.value).__name__}

        drill.step("detected", actor="platform", until=lost, within=LONG)
        drill.step("drained", actor="harness", until=lambda: {"lsn": str(n1.stop_receiving())}, within=LONG)
        command = f"{sys.executable} -c '{PROMOTE}'"
        drill.step(
            "promoted",
            actor="operator",
            action=lambda: run_command(command, LONG, {"STANDBY": n1.dsn()}),
            until=lambda: {"timeline": n1.timeline()} if n1.timeline() == 2 else None,
            within=LONG,
        )
        drill.step("nobody confirms", actor="harness", action=lambda: site.require(n1), until=lambda: True, within=LONG)
        drill.step("clients are back", actor="platform", action=lambda: probe.await_acknowledged(20), until=lambda: True, within=LONG)  # fmt: skip
        watch.close()
    found = probe.recovery(field.stored(n1), fault)
    assert found.lost == ()
    assert [step.problem for step in drill.steps] == [""] * 5
    assert drill.steps[2].facts == {"timeline": 2}


def test_a_drill_that_fails_half_way_thaws_what_it_froze(field: Field) -> None:
    n0 = field.primary()

    def run() -> None:
        with Drill("primary-failover") as drill:
            drill.heal("the frozen primary", lambda: n0.kill(signal.SIGCONT))
            n0.kill(signal.SIGSTOP)
            drill.step("asked", actor="harness", action=lambda: n0.query("SELECT 1"), until=lambda: True, within=SECOND)

    with pytest.raises(StepFailed, match="the action did not end"):
        run()
    assert n0.query("SELECT 1") == [(1,)]


def test_healing_that_fails_is_told_by_name(field: Field) -> None:
    n0 = field.primary()

    def run() -> None:
        with Drill("d") as drill:
            drill.heal("the frozen primary", lambda: n0.kill(signal.SIGCONT))
            drill.step("killed", actor="harness", action=n0.kill, until=lambda: not n0.running, within=LONG)

    with pytest.raises(FaultNotHealed, match=r"the frozen primary: ServerFailed: .* is gone already"):
        run()
