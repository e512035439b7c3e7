"""Faults of worker processes, on a master that does what gunicorn does: it replaces whoever ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest

from pytest_smartattend.engine.node_faults import Kill, Pause, ProcessFault, Restart
from pytest_smartattend.engine.units import SECOND
from pytest_smartattend.errors import FaultNotHealed, InjectionError
from pytest_smartattend.injectors.processes import is_stopped
from pytest_smartattend.injectors.worker_processes import WorkerProcesses

WORKERS = 3
MASTER = """
import os, signal, sys
workers, replaces, polite = int(sys.argv[1]), sys.argv[2] == "replaces", sys.argv[3] == "polite"
def start():
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if polite else signal.SIG_IGN)
        os.write(1, b"up\\n")
        while True:
            signal.pause()
for _ in range(workers):
    start()
while True:
    os.wait()
    if replaces:
        start()
"""


@contextmanager
def running(*, replaces: bool = True, polite: bool = True) -> Iterator[int]:
    """The master's process id."""
    words = ["replaces" if replaces else "mourns", "polite" if polite else "deaf"]
    command = [sys.executable, "-c", MASTER, str(WORKERS), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as master:
        assert master.stdout is not None
        try:
            for _ in range(WORKERS):
                assert master.stdout.readline() == b"up\n"
            yield master.pid
        finally:
            with suppress(ProcessLookupError):
                os.killpg(master.pid, signal.SIGKILL)


def workers(
    master: int, *, answers: Callable[[], object] = lambda: None, seed: int = 0, patience: timedelta = 30 * SECOND
) -> WorkerProcesses:
    return WorkerProcesses(lambda: master, answers, seed=seed, patience=patience)


@pytest.mark.parametrize("fault", [Kill(worker=1), Restart(worker=1)], ids=lambda fault: fault.kind)
def test_a_worker_that_ends_is_gone_while_the_fault_holds_and_replaced_when_it_has_healed(fault: ProcessFault) -> None:
    with running() as master:
        path = workers(master)
        before = path.pids()
        with path.fault(fault) as held:
            assert (held.fired, held.pid, held.worker) == (1, before[1], 1)
            assert before[1] not in path.pids()
        assert len(path.pids()) == WORKERS
        assert set(before) - set(path.pids()) == {before[1]}


def test_a_paused_worker_stands_still_and_goes_on_as_the_same_process() -> None:
    with running() as master:
        path = workers(master)
        before = path.pids()
        with path.fault(Pause(worker=0)) as held:
            assert [is_stopped(pid) for pid in path.pids()] == [True, False, False]
            assert held.fired == 1
        assert path.pids() == before
        assert not any(map(is_stopped, before))


def test_a_pause_ends_also_when_the_check_fails() -> None:
    with running() as master:
        path = workers(master)
        with pytest.raises(ZeroDivisionError), path.fault(Pause()):
            raise ZeroDivisionError
        assert not any(map(is_stopped, path.pids()))


def test_the_seed_draws_the_worker() -> None:
    def drawn(seed: int) -> list[object]:
        path = workers(master, seed=seed)
        held = []
        for _ in range(6):
            with path.fault(Pause()) as each:
                held.append(each)
        return [each.replayable for each in held]

    with running() as master:
        assert drawn(1) == drawn(1)
        assert len({str(drawn(seed)) for seed in range(4)}) > 1


def test_a_worker_that_does_not_exist_is_told() -> None:
    with (
        running() as master,
        pytest.raises(InjectionError, match="there is no worker 3, 3 run"),
        workers(master).fault(Kill(worker=3)),
    ):
        pass


def test_a_worker_that_does_not_end_when_asked_is_told() -> None:
    with running(polite=False) as master:
        path = workers(master, patience=2 * SECOND)
        with pytest.raises(InjectionError, match="did not end within 2 s"), path.fault(Restart(worker=0)):
            pass
        assert len(path.pids()) == WORKERS


def test_a_worker_that_nobody_replaces_has_not_healed() -> None:
    with running(replaces=False) as master:
        path = workers(master, patience=2 * SECOND)
        with pytest.raises(FaultNotHealed, match="fewer than 3 workers run"), path.fault(Kill(worker=2)):
            pass


def test_a_platform_that_does_not_answer_again_has_not_healed() -> None:
    def answers() -> None:
        raise ConnectionRefusedError

    with running() as master:
        path = workers(master, answers=answers, patience=2 * SECOND)
        with pytest.raises(FaultNotHealed, match="the platform does not answer"), path.fault(Kill()):
            pass
