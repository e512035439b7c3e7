"""Faults of a platform's worker processes: killed, paused, restarted, for the length of a ``with``."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Final

from pytest_smartattend.engine.dice import decide
from pytest_smartattend.engine.node_faults import Kill, Pause, ProcessFault
from pytest_smartattend.engine.units import SECOND, in_words
from pytest_smartattend.errors import FaultNotHealed, InjectionError
from pytest_smartattend.injectors.processes import children_of, is_stopped

_LOOK_AGAIN: Final = 0.005  # seconds


class HeldProcessFault:
    """A fault while it holds, and what is known of it afterwards.

    Attributes:
        fault: the value.
        fault_id: its name in reports, such as ``workers/1:kill``.
        seed: the seed that drew the worker.
        pid: the worker's process.
        worker: its place among the workers by age, from 0.
        fired: 1, as soon as the worker was seen to be gone or to stand still.
    """

    def __init__(self, fault: ProcessFault, fault_id: str, seed: int, pid: int, worker: int) -> None:
        self.fault = fault
        self.fault_id = fault_id
        self.seed = seed
        self.pid = pid
        self.worker = worker
        self.fired = 0

    @property
    def replayable(self) -> list[tuple[str, int]]:
        """Which worker it was; the same for the same seed and as many workers."""
        return [(self.fault_id, self.worker)]


class WorkerProcesses:
    """The workers that a platform's `master` process started and replaces.

    Args:
        master: gives its process id.
        answers: raises OSError while the platform does not answer.
        name: how reports call the path.
        seed: the root of every random decision.
        patience: how long a signal, a replacement and an answer may take, each.
    """

    carries: Final = ProcessFault

    def __init__(
        self,
        master: Callable[[], int],
        answers: Callable[[], object],
        *,
        name: str = "workers",
        seed: int = 0,
        patience: timedelta = 30 * SECOND,
    ) -> None:
        self.name = name
        self.seed = seed
        self._master = master
        self._answers = answers
        self._patience = patience
        self._installed = 0

    def pids(self) -> list[int]:
        """The workers that run now, oldest first."""
        return children_of(self._master())

    @contextmanager
    def fault(self, fault: ProcessFault, *, may_not_fire: bool = False) -> Iterator[HeldProcessFault]:
        """Do it, and hold until the end of the ``with``; then as many workers run as before, and the platform answers.

        Args:
            fault: what shall happen.
            may_not_fire: of no effect: what does not happen is an error here.

        Raises:
            InjectionError: no such worker runs, or the signal had no effect.
            FaultNotHealed: workers are missing, stand still, or do not answer.
        """
        del may_not_fire
        before = self.pids()
        self._installed += 1
        fault_id = f"{self.name}/{self._installed}:{fault.kind}"
        drawn = int(decide(self.seed, fault_id, "worker", 0) * len(before))
        worker = drawn if fault.worker is None else fault.worker
        if worker >= len(before):
            raise InjectionError(
                f"{fault_id}: there is no worker {worker}, {len(before)} run. Start more, or name another."
            )
        held = HeldProcessFault(fault, fault_id, self.seed, before[worker], worker)
        try:
            self._carry_out(held)
            yield held
        except BaseException as problem:
            try:
                self._heal(held, len(before))
            except InjectionError as second:
                problem.add_note(f"Beside that: {second}")
            raise
        self._heal(held, len(before))

    def _carry_out(self, held: HeldProcessFault) -> None:
        pid = held.pid
        if isinstance(held.fault, Pause):
            os.kill(pid, signal.SIGSTOP)
            self._await(lambda: is_stopped(pid), InjectionError(f"{held.fault_id}: worker {pid} goes on. Look at it."))
        else:
            os.kill(pid, signal.SIGKILL if isinstance(held.fault, Kill) else signal.SIGTERM)
            gone = InjectionError(
                f"{held.fault_id}: worker {pid} did not end within {in_words(self._patience)}. Look what holds it."
            )
            self._await(lambda: pid not in self.pids(), gone)
        held.fired = 1

    def _heal(self, held: HeldProcessFault, before: int) -> None:
        if isinstance(held.fault, Pause):
            with suppress(ProcessLookupError):  # its master lost patience: then there is another
                os.kill(held.pid, signal.SIGCONT)
        missing = (
            f"{held.fault_id}: fewer than {before} workers run, or one stands still. Look into the platform's log."
        )
        self._await(lambda: self._whole(before), FaultNotHealed(missing))
        self._await(
            self._does_answer, FaultNotHealed(f"{held.fault_id}: the platform does not answer. Look into its log.")
        )

    def _whole(self, before: int) -> bool:
        pids = self.pids()
        return len(pids) >= before and not any(map(is_stopped, pids))

    def _does_answer(self) -> bool:
        try:
            self._answers()
        except OSError:
            return False
        return True

    def _await(self, seen: Callable[[], bool], otherwise: InjectionError) -> None:
        deadline = time.monotonic() + self._patience / SECOND
        while not seen():
            if time.monotonic() > deadline:
                raise otherwise
            time.sleep(_LOOK_AGAIN)
