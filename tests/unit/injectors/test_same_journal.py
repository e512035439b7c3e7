"""The same seed gives the same journal, in whatever order requests arrive and however the loop breaks ties."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import httpx

from pytest_smartattend.engine.dice import Stream
from pytest_smartattend.engine.http_faults import Abort, Delay, Reset
from pytest_smartattend.engine.http_rules import HttpEntry
from pytest_smartattend.injectors.http_faults import AsyncFaultTransport
from pytest_smartattend.injectors.http_switch import HttpFaults
from pytest_smartattend.loop.clock import LoopClock

RUNS, KEYS, ATTEMPTS = 100, 30, 3


def journal(seed: int, order: int) -> list[HttpEntry]:
    clock, faults, stream = LoopClock(seed=order), HttpFaults(seed=seed), Stream(order, "arrival")

    async def submit(key: str, client: httpx.AsyncClient) -> None:
        for _ in range(ATTEMPTS):
            await asyncio.sleep(stream.uniform())
            try:
                await client.post("/api/school/attendance", headers={"idempotency-key": key})
            except httpx.TransportError:
                continue

    async def storm() -> list[HttpEntry]:
        answer = httpx.MockTransport(lambda _request: httpx.Response(201))
        late = Delay(timedelta(seconds=2), jitter=timedelta(seconds=1), probability=0.5, by="key")
        with (
            faults.fault(Abort(probability=0.3, by="key")) as first,
            faults.fault(Reset("answer", probability=0.3, by="key")) as second,
            faults.fault(late) as third,
        ):
            async with httpx.AsyncClient(transport=AsyncFaultTransport(answer, faults), base_url="http://x") as client:
                keys = stream.shuffled([f"key-{number}" for number in range(KEYS)])
                await asyncio.gather(*(submit(key, client) for key in keys))
        return [*first.journal, *second.journal, *third.journal]

    return clock.run(storm())


def test_the_same_seed_gives_the_same_journal_100_times_of_100() -> None:
    first = journal(seed=7, order=0)
    assert [order for order in range(RUNS) if journal(seed=7, order=order) != first] == []
    assert journal(seed=8, order=0) != first
