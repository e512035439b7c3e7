"""What each answer of a real server means to a probe: acknowledged, refused, or nothing that can be relied on."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import psycopg
import pytest

from pytest_smartattend.engine.history import History
from pytest_smartattend.engine.units import MILLISECOND, SECOND
from pytest_smartattend.errors import TargetFailed
from pytest_smartattend.postgres.node import Node
from pytest_smartattend.trials import sql_writer
from pytest_smartattend.trials.probe import Probe, Refused
from pytest_smartattend.trials.sql_writer import SqlWriter

if TYPE_CHECKING:
    from tests.contract.cluster.conftest import Field

ALONE = "ANY 1 (nobody)"  # no standby of this name ever comes: a commit waits for ever


@pytest.fixture
def node(shared_field: Field) -> Iterator[Node]:
    """One primary for all tests, each with a table of its own."""
    node = shared_field.site.nodes[0] if shared_field.site.nodes else shared_field.primary()
    with node.connect() as connection:
        connection.execute("DROP TABLE IF EXISTS smartattend_probe")
        sql_writer.make_table(connection)
    yield node
    node.set(synchronous_standby_names="", statement_timeout="0")
    node.await_quorum("")


def keys(node: Node) -> set[str]:
    with node.connect() as connection:
        return set(sql_writer.stored_keys(connection))


def in_commit(node: Node) -> int:
    """The process id of the backend that waits for a standby, once there is one."""
    node.wait_until("SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep')", "wait in a commit")
    return int(node.query("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'")[0][0])


def alone(node: Node, **more: str) -> None:
    node.set(synchronous_standby_names=ALONE, **more)
    node.await_quorum(ALONE)


def test_an_insert_that_is_answered_is_stored(node: Node) -> None:
    writer = SqlWriter(node.dsn())
    assert writer.write("a")
    writer.close()
    assert keys(node) == {"a"}


def test_what_the_server_says_no_to_is_refused_and_not_stored(node: Node) -> None:
    writer = SqlWriter(node.dsn() + "&options=-cdefault_transaction_read_only%3Don")
    with pytest.raises(Refused, match="25006"):
        writer.write("a")
    with pytest.raises(Refused, match="25006"):
        writer.write("b")  # the connection is as good as before
    writer.close()
    assert keys(node) == set()


def test_a_session_ended_in_its_commit_leaves_the_outcome_unknown_for_it_is_stored(node: Node) -> None:
    writer = SqlWriter(node.dsn())
    alone(node)
    threading.Thread(target=lambda: node.query("SELECT pg_terminate_backend(%s)", [in_commit(node)])).start()
    with pytest.raises(TargetFailed, match="connection broke"):
        writer.write("a")
    assert keys(node) == {"a"}


def test_a_commit_that_was_told_not_to_wait_is_answered_as_done_and_still_unknown(node: Node) -> None:
    writer = SqlWriter(node.dsn())
    alone(node)
    threading.Thread(target=lambda: node.query("SELECT pg_cancel_backend(%s)", [in_commit(node)])).start()
    with pytest.raises(TargetFailed, match="nobody promises"):
        writer.write("a")
    writer.close()


def test_commits_wait_for_their_quorum_also_where_the_checkpointer_reads_it_late(node: Node) -> None:
    writer = SqlWriter(node.dsn())
    ((checkpointer,),) = node.query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
    os.kill(checkpointer, signal.SIGSTOP)
    threading.Timer(0.05, os.kill, [checkpointer, signal.SIGCONT]).start()
    alone(node)
    threading.Thread(target=lambda: node.query("SELECT pg_cancel_backend(%s)", [in_commit(node)])).start()
    with pytest.raises(TargetFailed, match="nobody promises"):
        writer.write("a")
    writer.close()


def test_a_write_without_an_answer_is_given_up_at_its_deadline(node: Node) -> None:
    writer = SqlWriter(node.dsn(), deadline=100 * MILLISECOND)
    node.kill(signal.SIGSTOP)
    try:
        with pytest.raises(TargetFailed, match=r"No answer within 0\.1 s"):
            writer.write("a")
    finally:
        node.kill(signal.SIGCONT)
        writer.close()


def test_a_probe_knows_three_outcomes_and_goes_on(node: Node) -> None:
    begun: set[int] = set()

    class Moody:
        def __init__(self, number: int) -> None:
            begun.add(number)
            if number == 3:
                raise psycopg.OperationalError("nobody there")
            self.number = number

        def write(self, key: str) -> str:
            if self.number == 1:
                raise Refused("no")
            if self.number == 2:
                raise TimeoutError("silence")
            return key

        def close(self) -> None: ...

    with Probe(Moody, writers=4) as probe:
        probe.await_acknowledged(20)
        deadline = time.monotonic() + 60
        while len(begun) < 4:  # on a busy machine the first may be done before the last begins
            assert time.monotonic() < deadline, begun
            time.sleep(0.001)
    outcomes = {number: {op.outcome for op in probe.history if op.process == number} for number in range(4)}
    assert outcomes == {0: {"ok"}, 1: {"failed"}, 2: {"unknown"}, 3: {"failed"}}
    assert set(probe.notes) == {"no", "silence", "no connection: nobody there"}
    assert len(set(probe.history.keys)) == len(probe.history)


def test_a_probe_writes_down_when_each_write_was_due_and_never_writes_early(node: Node) -> None:
    with Probe(lambda _: SqlWriter(node.dsn()), writers=2, every=5 * MILLISECOND) as probe:
        probe.await_acknowledged(20)
    history: History = probe.history
    assert all(op.value["due"] <= op.begin for op in history)
    for number in range(2):
        due = [op.value["due"] for op in history if op.process == number]
        assert all(later - earlier >= 5e6 for earlier, later in pairwise(due))
    assert keys(node) == {op.key for op in history if op.outcome == "ok"}


def test_a_writer_that_never_ends_is_told_and_its_write_stays_unknown(node: Node) -> None:
    freed = threading.Event()

    class Stuck:
        def write(self, key: str) -> None:
            freed.wait()

        def close(self) -> None: ...

    probe = Probe(lambda _: Stuck(), writers=1, patience=50 * MILLISECOND)

    def run() -> None:
        with probe, pytest.raises(TargetFailed, match="were waited for"):
            probe.await_acknowledged(1, patience=0.1 * SECOND)

    with pytest.raises(TargetFailed, match="probe-0 did not end within"):
        run()
    assert [op.outcome for op in probe.history] == ["unknown"]
    freed.set()
