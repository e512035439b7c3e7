"""A storm on the clock of a platform in this process: answers five seconds late and clients who wait ten cost no time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpx

from pytest_smartattend.errors import UsageError
from pytest_smartattend.target.in_process import InProcessPlatform
from pytest_smartattend.trials.answers import Raw
from pytest_smartattend.trials.operations import Operations, id_in
from pytest_smartattend.trials.requests import Request
from pytest_smartattend.trials.retries import NEVER, Retries
from pytest_smartattend.trials.storm_result import StormResult
from pytest_smartattend.trials.wire import Reply


class ClockedStorm:
    """Sends storms to one platform in this process; the clock moves only while a storm goes on.

    Args:
        platform: what they are sent to, through the faults on its path ``clients``.
        retries: what is sent again, and when; by default nothing.
        seed: of the jitter between retries.
        read: what the history keeps of an answer that is ``ok``; plain JSON.
    """

    def __init__(
        self,
        platform: InProcessPlatform,
        *,
        retries: Retries = NEVER,
        seed: int = 0,
        read: Callable[[Raw], Any] = id_in,
    ) -> None:
        self._platform = platform
        self._retries = retries
        self._seed = seed
        self._read = read

    def closed(self, requests: Iterable[Request], workers: int) -> StormResult:
        """Send `requests` by `workers`, each of which sends its next when it has the answer to the last.

        Latencies and seconds of the result are those of the clock.

        Raises:
            UsageError: nothing to send, or nobody to send it.
        """
        queue = iter(requests)
        result = StormResult("closed")
        begun = self._platform.clock.elapsed_ns()
        if workers < 1:
            raise UsageError(f"a storm cannot be sent by {workers} workers. Give 1 or more.")
        self._platform.run(self._all(queue, workers, result))
        if not len(result.history):
            raise UsageError("a storm of no requests shows nothing. Give at least one.")
        result.seconds = (self._platform.clock.elapsed_ns() - begun) / 1e9
        return result

    async def _all(self, queue: Iterator[Request], workers: int, result: StormResult) -> None:
        operations = Operations(result, self._retries, self._seed, self._read, self._platform.clock.elapsed_ns)
        async with self._platform.async_client() as client:
            await asyncio.gather(*(self._work(process, client, queue, operations) for process in range(workers)))

    async def _work(
        self, process: int, client: httpx.AsyncClient, queue: Iterator[Request], operations: Operations
    ) -> None:
        for request in queue:
            now = self._platform.clock.elapsed_ns()

            def exchange(_attempt: int, request: Request = request) -> Any:  # noqa: ANN401 - an awaitable of a reply
                return _exchange(client, request)

            await operations.carry_through(process, request, exchange, begin=now, due=now)


async def _exchange(client: httpx.AsyncClient, request: Request) -> Reply:
    headers = {**request.headers, **({"authorization": f"Bearer {request.token}"} if request.token else {})}
    if request.idempotency_key is not None:
        headers["idempotency-key"] = request.idempotency_key
    try:
        response = await client.request(request.method, f"/api{request.path}", json=request.body, headers=headers)
    except httpx.TransportError:
        return Reply("lost")
    lines = (f"{name}: {value}" for name, value in response.headers.items())
    return Reply(
        "answered", Raw(response.status_code, "\r\n".join(["", *lines]).encode(), response.content, keeps=True)
    )
