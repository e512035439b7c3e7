"""Failover on real servers: what synchronous standbys keep, what others lose, and how a lost primary comes back."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from pytest_smartattend.engine.units import SECOND
from pytest_smartattend.errors import ServerFailed, TargetFailed, UsageError
from pytest_smartattend.postgres.rewinding import rejoin

if TYPE_CHECKING:
    from tests.contract.cluster.conftest import Field


def test_synchronous_standbys_lose_nothing_when_the_primary_is_killed(field: Field) -> None:
    site, n0 = field.site, field.primary()
    standbys = [site.standby("n1", of=n0), site.standby("n2", of=n0)]
    site.require(n0, "n0", "n1", "n2")
    with field.probe(n0) as probe:
        probe.await_acknowledged(50)
        _, fault = n0.kill()
        new = site.elect(standbys)
        other = next(node for node in standbys if node is not new)
        other.follow(new, wait=False)
        assert new.promote() == 2
        other.await_streaming(new)
        probe.await_acknowledged(50)
        rejoin(n0, new)
        probe.await_acknowledged(20)
    found = probe.recovery(field.stored(new), fault)
    assert found.lost == ()
    assert found.refused_stored == ()
    assert found.before >= 50
    assert found.after >= 50
    assert found.outage.over
    assert found.outage.end > fault
    end = new.lsn()
    for node in (n0, other):
        node.catch_up_with(end)
    assert {node.timeline() for node in site.nodes} == {2}
    for table in ("t", "smartattend_probe"):
        assert len({node.digest(table) for node in site.nodes}) == 1


def test_an_asynchronous_standby_that_lags_loses_rows_and_the_probe_sees_each(field: Field) -> None:
    site, n0 = field.site, field.primary()
    n1 = site.standby("n1", of=n0)
    with field.probe(n0) as probe:
        probe.await_acknowledged(30)
        sender = n0.query("SELECT pid FROM pg_stat_replication")[0][0]
        os.kill(sender, signal.SIGSTOP)
        probe.await_acknowledged(100)
        _, fault = n0.kill()
        n1.stop_receiving()
        n1.promote()
        probe.await_acknowledged(10)
    stored = field.stored(n1)
    found = probe.recovery(stored, fault)
    assert found.rpo_rows >= 97  # up to three were acknowledged and on their way to the standby
    assert found.lost_seconds > 0
    assert not set(found.lost) & set(stored)
    assert found.acknowledged == found.rpo_rows + len(stored) - found.unknown_stored


def test_a_frozen_primary_that_nobody_fenced_acknowledges_what_is_lost(field: Field) -> None:
    site, n0 = field.site, field.primary()
    n1 = site.standby("n1", of=n0)
    with field.probe(n0, nodes=[n0]) as probe:
        probe.await_acknowledged(20)
        frozen, fault = n0.kill(signal.SIGSTOP)
        assert len(frozen) > 3
        n1.stop_receiving()
        n1.promote()
        n0.kill(signal.SIGCONT)
        probe.await_acknowledged(50)
    found = probe.recovery(field.stored(n1), fault)
    assert found.rpo_rows >= 50
    assert found.outage.end > fault


def test_a_frozen_primary_that_was_killed_acknowledges_nothing_more(field: Field) -> None:
    site, n0 = field.site, field.primary()
    n1 = site.standby("n1", of=n0)
    site.require(n0, "n0", "n1")
    with field.probe(n0, nodes=[n0]) as probe:
        probe.await_acknowledged(20)
        n0.kill(signal.SIGSTOP)
        _, fenced = n0.kill()
        n1.stop_receiving()
        n1.promote()
        with pytest.raises(TargetFailed, match="The writers met"):
            probe.await_acknowledged(1, patience=0.2 * SECOND)
    site.require(n1)  # nobody is left to confirm
    found = probe.recovery(field.stored(n1), fenced)
    assert (found.rpo_rows, found.after) == (0, 0)
    assert not found.outage.over


def test_commits_wait_while_the_quorum_stands_still(field: Field) -> None:
    site, n0 = field.site, field.primary()
    n1 = site.standby("n1", of=n0)
    site.require(n0, "n1")
    with field.probe(n0) as probe:
        probe.await_acknowledged(20)
        n1.kill(signal.SIGSTOP)
        with pytest.raises(TargetFailed):
            probe.await_acknowledged(10, patience=0.3 * SECOND)  # up to three were confirmed before
        _, back = n1.kill(signal.SIGCONT)
        probe.await_acknowledged(20)
    assert probe.recovery(field.stored(n0), back).lost == ()


def test_what_only_the_lost_primary_had_is_gone_when_it_comes_back(field: Field) -> None:
    site, n0 = field.site, field.primary()
    n1 = site.standby("n1", of=n0)
    field.write(n0, 2001)
    n1.catch_up_with(n0.lsn())
    n1.stop_receiving()
    field.write(n0, 2002)
    n0.stop()
    n1.promote()
    field.write(n1, 2003)
    rejoin(n0, n1)
    n0.catch_up_with(n1.lsn())
    assert field.numbers(n0) == field.numbers(n1) == [2001, 2003]
    assert n1.parted_at(2) <= n1.lsn()
    field.write(n1, 2004)
    n0.catch_up_with(n1.lsn())
    assert field.numbers(n0)[-1] == 2004


def test_a_standby_that_is_ahead_of_the_new_primary_is_not_said_to_follow_it(field: Field) -> None:
    site, n0 = field.site, field.primary()
    n1, n2 = site.standby("n1", of=n0), site.standby("n2", of=n0)
    n1.stop_receiving()
    field.write(n0, 2001)
    n2.catch_up_with(n0.lsn())
    n0.kill()
    assert n2.stop_receiving() > n1.lsn()
    assert site.elect([n1, n2]) is n2
    n1.promote()  # the wrong one
    n2.follow(n1, wait=False)
    tries = time.monotonic() + 60
    while "forked off" not in n2.log.read_text():
        assert time.monotonic() < tries, "it does not even try"
        time.sleep(0.01)
    with pytest.raises(ServerFailed, match=r"(?s)receive from n1 within 0.5 s.*forked off"):
        n2.await_streaming(n1, patience=0.5)


def test_a_node_tells_when_it_cannot_do_what_it_is_asked(field: Field) -> None:
    n0 = field.primary()
    with pytest.raises(UsageError, match="runs already"):
        n0.start()
    with pytest.raises(UsageError, match="name of its own"):
        field.site.primary("n0")
    with pytest.raises(ServerFailed, match="Stop or kill it before"):
        rejoin(n0, n0)
    n0.kill()
    with pytest.raises(ServerFailed, match="gone already"):
        n0.kill()
    with pytest.raises(ServerFailed, match="does not answer"):
        n0.query("SELECT 1")
    assert n0.start() == n0.pid
    assert n0.query("SELECT count(*) FROM t") == [(500,)]


def test_durability_is_on(field: Field) -> None:
    n0 = field.primary()
    asked = ["fsync", "full_page_writes", "synchronous_commit", "data_checksums"]
    assert [n0.query(f"SHOW {name}") for name in asked] == [[("on",)]] * 4


def test_a_destroyed_node_leaves_no_file(field: Field) -> None:
    n0 = field.primary()
    n0.kill(signal.SIGSTOP)
    n0.destroy()
    assert not n0.data.exists()
    assert not n0.running
