"""The storm generator: many requests, three ways of sending them, and a history of what became of each.

===========  =========================================================================================================
last_byte    every request on a connection of its own, all inside the platform before any may go on (`trials.overlap`)
closed       so many workers, each sends its next request when it has the answer to the last
open         at a constant rate, whatever the platform does; a request's latency runs from when it was due, so that the
             time for which a slow platform held up the next request is not hidden (coordinated omission)
===========  =========================================================================================================

An operation is one request with all its retries, which carry the same bytes and the same Idempotency-Key. It is ``ok``
when an attempt was, ``failed`` when every attempt certainly failed, and ``unknown`` otherwise.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Final

from pytest_smartattend.errors import TargetFailed, UsageError
from pytest_smartattend.target.client import TIMEOUT
from pytest_smartattend.trials.answers import Raw
from pytest_smartattend.trials.operations import Operations, id_in
from pytest_smartattend.trials.overlap import check_room_for, in_a_loop, release
from pytest_smartattend.trials.requests import Request, address_of
from pytest_smartattend.trials.retries import NEVER, Retries
from pytest_smartattend.trials.storm_result import StormResult
from pytest_smartattend.trials.wire import Reply, Wire, all_closed

#: operations that may end without any answer before a storm is given up
GIVE_UP_AFTER: Final = 50


@dataclass(frozen=True)
class Storm:
    """Sends storms to one platform. The doors are plain functions; each runs an event loop of its own.

    Attributes:
        base_url: the platform's root, ``http://`` only.
        retries: what is sent again, and when; by default nothing.
        seed: of the jitter between retries.
        read: what the history keeps of an answer that is ``ok``; plain JSON.
        timeout: seconds after which a connection counts as refused and an answer as lost.

    Raises:
        UsageError: `base_url` is no such URL, or `timeout` is not above 0.
    """

    base_url: str
    _: KW_ONLY
    retries: Retries = NEVER
    seed: int = 0
    read: Callable[[Raw], Any] = id_in
    timeout: float = TIMEOUT

    def __post_init__(self) -> None:
        address_of(self.base_url)
        if not self.timeout > 0:
            raise UsageError(f"a storm cannot have a timeout of {self.timeout!r} seconds. Give a number above 0.")

    def last_byte(self, requests: Sequence[Request]) -> StormResult:
        """Send `requests` so that all are inside the platform at once. `StormResult.inside` says how many were.

        Raises:
            UsageError: nothing to send, a request without body, or more requests than this process may open files.
            TargetFailed: the platform is down: it refused every connection, or answered nothing.
        """
        if not requests:
            raise UsageError("a storm of no requests shows nothing. Give at least one.")
        check_room_for(len(requests))
        run = _Run(self, "last_byte", hold=True)
        return in_a_loop(run.last_byte([(request, run.bytes_of(request)) for request in requests]))

    def closed(self, requests: Iterable[Request], workers: int) -> StormResult:
        """Send `requests` by `workers`, each with one connection that it keeps.

        Raises:
            UsageError, TargetFailed: as for `last_byte`.
        """
        _check_workers(workers)
        return in_a_loop(_Run(self, "closed").queue(requests, workers, interval=None))

    def open(
        self, requests: Iterable[Request], per_second: float, *, workers: int = 100, patience: float = TIMEOUT
    ) -> StormResult:
        """Send `requests` at a constant rate.

        Args:
            requests: one for each beat.
            per_second: beats in a second.
            workers: how many requests may be under way at once.
            patience: seconds after which a request that found no free worker is dropped; `StormResult.dropped` counts.

        Raises:
            UsageError, TargetFailed: as for `last_byte`.
        """
        _check_workers(workers)
        if not 0 < per_second <= 1_000_000:
            raise UsageError(
                f"a storm cannot send {per_second!r} requests a second. Give a number above 0, up to 10**6."
            )
        return in_a_loop(_Run(self, "open", patience=patience).queue(requests, workers, interval=1 / per_second))


class _Run:
    """One storm while it goes on."""

    def __init__(self, storm: Storm, mode: str, *, hold: bool = False, patience: float = 0) -> None:
        self._storm = storm
        self._address = address_of(storm.base_url)
        self._hold = hold
        self._patience = patience
        self._last: tuple[Request | None, bytes] = (None, b"")
        self._result = StormResult(mode)
        self._operations = Operations(self._result, storm.retries, storm.seed, storm.read, time.perf_counter_ns)

    def bytes_of(self, request: Request) -> bytes:
        """The request's bytes; made anew only where it is not the one before, as it mostly is in a storm."""
        if request is not self._last[0]:
            self._last = (request, request.encoded(self._address, hold=self._hold))
        return self._last[1]

    async def last_byte(self, requests: Sequence[tuple[Request, bytes]]) -> StormResult:
        wires = [self._wire() for _ in requests]
        begun = time.perf_counter_ns()
        try:
            self._result.inside = await release(wires, [data for _, data in requests])
            released = time.perf_counter_ns()
            await asyncio.gather(
                *(
                    self._operate(process, wire, request, begin=begun, due=released, held=True)
                    for process, (wire, (request, _)) in enumerate(zip(wires, requests, strict=True))
                )
            )
        finally:
            await all_closed(wires)
        return self._over(begun)

    async def queue(self, requests: Iterable[Request], workers: int, interval: float | None) -> StormResult:
        wires = [self._wire() for _ in range(workers)]
        begun = time.perf_counter_ns()
        try:
            if not await wires[0].open():
                raise TargetFailed(
                    f"the platform at {self._storm.base_url} refuses connections. Start it, or look into its log."
                )
            due = _schedule(requests, interval, time.perf_counter_ns())
            await asyncio.gather(*(self._work(process, wire, due) for process, wire in enumerate(wires)))
        finally:
            await all_closed(wires)
        return self._over(begun)

    def _wire(self) -> Wire:
        return Wire(self._address, self._storm.timeout)

    async def _work(self, process: int, wire: Wire, queue: Iterator[tuple[Request, int | None]]) -> None:
        for request, due in queue:
            if self._operations.ended >= GIVE_UP_AFTER and not self._result.answered:
                return
            now = time.perf_counter_ns()
            if due is not None:
                if now < due:
                    await asyncio.sleep((due - now) / 1e9)
                    now = time.perf_counter_ns()
                elif now - due > self._patience * 1e9:
                    self._result.dropped += 1
                    continue
                self._result.late.record(now - due)
            await self._operate(process, wire, request, begin=now, due=due or now)

    async def _operate(
        self, process: int, wire: Wire, request: Request, *, begin: int, due: int, held: bool = False
    ) -> None:
        """Carry one operation through; its first attempt is on its way already if `held`."""
        data = self.bytes_of(request)

        def exchange(attempt: int) -> Awaitable[Reply]:
            return wire.released() if held and attempt == 1 else wire.exchange(data)

        await self._operations.carry_through(process, request, exchange, begin=begin, due=due)

    def _over(self, begun: int) -> StormResult:
        self._result.seconds = (time.perf_counter_ns() - begun) / 1e9
        if not len(self._result.history) and not self._result.dropped:
            raise UsageError("a storm of no requests shows nothing. Give at least one.")
        if not self._result.answered:
            raise TargetFailed(
                f"the platform at {self._storm.base_url} answered none of {self._result.attempts} requests. "
                "Look into its log; what the storm was to show is not shown."
            )
        return self._result


def _schedule(requests: Iterable[Request], interval: float | None, start: int) -> Iterator[tuple[Request, int | None]]:
    """Each request with the nanosecond at which it is due; None where it is due when a worker is free."""
    for n, request in enumerate(requests):
        yield request, None if interval is None else start + int(n * interval * 1e9)


def _check_workers(workers: int) -> None:
    if workers < 1:
        raise UsageError(f"a storm cannot be sent by {workers} workers. Give 1 or more.")
    check_room_for(workers)
