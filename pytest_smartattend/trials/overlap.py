"""Requests that are inside the platform at the same time.

Sent one after the other, even by many connections, requests to a fast handler hardly ever meet, and a race goes unseen.
Here each request is sent but for the last byte of its body, with ``Expect: 100-continue``. A platform sends the
``100 Continue`` when its handler begins to read the body, so that it is seen, not hoped, that all are inside; then the
last byte goes out on every connection. A platform that reads the body before it decides has then every request before
its decision.

A platform or a proxy in front of it may never send a ``100 Continue``, or may have fewer workers than there are
requests. Then the release comes when no handler has said so for `SETTLE`, and fewer are confirmed as inside than there
were requests.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Coroutine, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import SplitResult

from pytest_smartattend.errors import TargetFailed, UsageError
from pytest_smartattend.target.client import TIMEOUT, Answer, Operation
from pytest_smartattend.trials.requests import Request, address_of
from pytest_smartattend.trials.wire import Wire, all_closed, outcome_of_reply

T = TypeVar("T")

#: Seconds that a release waits for another handler to say that it is waiting. Only a platform that never says so takes
#: them; on a machine that is overloaded ten times, the first of 200 handlers was not heard of for more than one.
SETTLE: Final = 5.0
#: descriptors that a process needs besides its connections
_SPARE: Final = 64


def release_together(base_url: str, requests: Sequence[Request]) -> list[Answer]:
    """Send `requests`, each on a connection of its own, so that all are inside the platform at once.

    Returns:
        the answers in the order of `requests`; one whose answer was lost is ``unknown``.

    Raises:
        UsageError: a request has no body, or there are more of them than this process may open files.
        TargetFailed: the platform refuses every connection.
    """
    check_room_for(len(requests))
    return in_a_loop(_together(address_of(base_url), requests))


async def _together(address: SplitResult, requests: Sequence[Request]) -> list[Answer]:
    wires = [Wire(address, TIMEOUT) for _ in requests]

    async def answer(wire: Wire, request: Request) -> Answer:
        reply = await wire.released()
        raw, seconds = reply.raw, time.perf_counter() - begun
        outcome = outcome_of_reply(request.method, reply)
        if raw is None:
            return Answer(Operation(request.method, request.path, None, outcome, seconds))
        return Answer(Operation(request.method, request.path, raw.status, outcome, seconds), raw.json, raw.headers)

    try:
        begun = time.perf_counter()
        await release(wires, [request.encoded(address, hold=True) for request in requests])
        return await asyncio.gather(*map(answer, wires, requests))
    finally:
        await all_closed(wires)


async def release(wires: Sequence[Wire], requests: Sequence[bytes]) -> int:
    """Put each request on a connection of its own, and let all go at once. Read the answers with `Wire.released`.

    Returns:
        how many were confirmed to be inside the platform when they were let go.

    Raises:
        TargetFailed: not one connection could be made.
    """
    opened = await asyncio.gather(*(wire.open() for wire in wires))
    if not any(opened):
        raise TargetFailed("the platform refuses every connection. Start it, or look into its log for why it ended.")
    entered = [wire.hold(request) for wire, request in zip(wires, requests, strict=True)]
    waiting, before = set(entered), len(entered) + 1
    while waiting and len(waiting) < before:
        before = len(waiting)
        _, waiting = await asyncio.wait(waiting, timeout=SETTLE)
    inside = sum(wire.inside for wire in wires)
    for wire, request in zip(wires, requests, strict=True):
        wire.release(request)
    return inside


def check_room_for(connections: int) -> None:
    """Check before a storm begins that this process may open so many connections.

    Raises:
        UsageError: the limit of open files is too low.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != resource.RLIM_INFINITY and connections + _SPARE > limit:
        raise UsageError(
            f"{connections} requests at once need {connections + _SPARE} open files, and this process may have {limit}. "
            f"Raise it (ulimit -n {connections + _SPARE}), or send them with closed() and fewer workers."
        )


def in_a_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end in an event loop of its own, on real time whatever clock the platform is on.

    Raises:
        UsageError: the thread runs a loop already, which would stand still meanwhile.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            return runner.run(work)
    work.close()
    raise UsageError("a storm would stop the event loop that runs here. Call it by `await asyncio.to_thread(...)`.")
