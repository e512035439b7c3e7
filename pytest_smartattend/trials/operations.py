"""One operation of a storm, carried through all its retries into the history, whatever carries its attempts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pytest_smartattend.engine.history import Outcome
from pytest_smartattend.trials.answers import Raw
from pytest_smartattend.trials.requests import Request
from pytest_smartattend.trials.retries import Retries
from pytest_smartattend.trials.storm_result import StormResult
from pytest_smartattend.trials.wire import Reply, outcome_of_reply


def id_in(raw: Raw) -> Any:  # noqa: ANN401
    """What a history keeps of an answer, unless told otherwise: the ``id`` of the JSON object, None without one."""
    body = raw.json
    return body.get("id") if isinstance(body, dict) else None


class Operations:
    """Carries operations through.

    Args:
        result: where everything is counted and kept.
        retries: what is sent again, and when.
        seed: of the jitter between retries.
        read: what the history keeps of an answer that is ``ok``.
        now: nanoseconds of the storm's steady clock.

    Attributes:
        ended: how many operations have ended.
    """

    def __init__(
        self,
        result: StormResult,
        retries: Retries,
        seed: int,
        read: Callable[[Raw], Any],
        now: Callable[[], int],
    ) -> None:
        self.ended = 0
        self._result = result
        self._retries = retries
        self._seed = seed
        self._read = read
        self._now = now

    async def carry_through(
        self, process: int, request: Request, exchange: Callable[[int], Awaitable[Reply]], *, begin: int, due: int
    ) -> None:
        """Send `request` by `exchange`, which is told the number of the attempt, until it is over.

        Args:
            process: who asks.
            request: what is asked.
            exchange: makes the n-th attempt, from 1.
            begin: when the operation began, in nanoseconds.
            due: when it should have begun, from which its latency runs.
        """
        history, key = self._result.history, request.key or request.path
        place = history.invoke(process, f"{request.method} {request.path}", key, request.idempotency_key, begin)
        outcome: Outcome = "failed"
        result: object = None
        attempt = 1
        while True:
            reply = await exchange(attempt)
            self._result.count(reply)
            seen = outcome_of_reply(request.method, reply)
            if seen == "ok" and reply.raw is not None:
                outcome, result = "ok", self._read(reply.raw)
                break
            # once an attempt is in doubt, no later refusal can say that nothing was done
            outcome = "unknown" if "unknown" in (outcome, seen) else "failed"
            if not self._retries.again(attempt, reply):
                break
            await asyncio.sleep(self._retries.pause(self._seed, f"{key} {place}", attempt, reply))
            attempt += 1
        end = self._now()
        history.end(place, outcome, result, end)
        self._result.latency.record(end - due)
        self.ended += 1
