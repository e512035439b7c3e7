"""The private names of asyncio and psycopg that the loop leans on are still what they were."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg.waiting
import pytest

from pytest_smartattend.loop.clock import LoopClock
from pytest_smartattend.loop.driven import LOOK_OUTS, Timer


def private(owner: object, name: str) -> Any:
    return getattr(owner, name)


@pytest.mark.asyncio
async def test_a_loop_knows_the_transport_on_a_descriptor_and_a_transport_its_server(clock: LoopClock) -> None:
    loop = asyncio.get_running_loop()
    accepted: asyncio.Future[asyncio.StreamWriter] = loop.create_future()
    async with await asyncio.start_server(lambda _, writer: accepted.set_result(writer), "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        theirs = await asyncio.wait_for(accepted, 5)
        fd = writer.get_extra_info("socket").fileno()
        assert private(loop, "_transports")[fd] is writer.transport
        assert private(writer.transport, "_server") is None
        assert private(theirs.transport, "_server") is server
        protocol = writer.transport.get_protocol()
        assert isinstance(protocol, asyncio.StreamReaderProtocol)
        assert private(protocol, "_stream_reader") is reader
        assert private(reader, "_waiter") is None
        reading = asyncio.create_task(reader.read(1))
        await asyncio.sleep(0)
        assert private(reader, "_waiter") is not None
        theirs.write(b"!")
        assert await reading == b"!"
        for end in (writer, theirs):
            end.close()
            await end.wait_closed()


def test_a_driver_looks_out_from_the_module_that_we_think() -> None:
    assert psycopg.waiting.wait_async.__module__ in LOOK_OUTS
    assert (
        "timedout" in psycopg.waiting.wait_async.__code__.co_varnames + psycopg.waiting.wait_async.__code__.co_cellvars
    )


@pytest.mark.asyncio
async def test_timers_are_asyncios_handles_and_behave_as_such(clock: LoopClock) -> None:
    loop = asyncio.get_running_loop()
    seen: list[str] = []
    kept = loop.call_later(10, seen.append, "later")
    gone = loop.call_at(5, seen.append, "never")
    never = loop.call_later(float("inf"), seen.append, "at the end of time")
    soon = loop.call_later(-1, seen.append, "at once")
    assert isinstance(kept, Timer)
    assert (kept.when(), gone.when(), soon.when()) == (10, 5, -1)
    assert never.when() == float("inf")
    gone.cancel()
    assert gone.cancelled()
    await asyncio.sleep(20)
    assert seen == ["at once", "later"]
    never.cancel()


@pytest.mark.asyncio
async def test_what_a_timer_raises_goes_to_the_loops_handler(clock: LoopClock) -> None:
    said: list[BaseException] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context["exception"]))
    asyncio.get_running_loop().call_later(1, lambda: 1 // 0)
    await asyncio.sleep(2)
    assert isinstance(said[0], ZeroDivisionError)


@pytest.mark.asyncio
async def test_a_loop_that_waits_for_the_rest_of_a_delay_comes_to_its_end(clock: LoopClock) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + 0.1 + 0.2
    turns = 0
    while loop.time() < end:
        await asyncio.sleep(end - loop.time())
        turns += 1
    assert turns <= 3


@pytest.mark.asyncio
async def test_the_last_of_an_instant_wakes_behind_all_others(clock: LoopClock) -> None:
    woken: list[str] = []

    async def wake(name: str, *, last: bool) -> None:
        await clock.sleep_until(clock.start + clock.elapsed.resolution * 1000, last=last)
        woken.append(name)

    await asyncio.gather(wake("monitor", last=True), wake("one", last=False), wake("two", last=False))
    assert woken[-1] == "monitor"
    assert len(woken) == 3


def test_it_is_asyncios_selector_loop() -> None:
    with asyncio.Runner(loop_factory=LoopClock().new_loop) as runner:
        assert isinstance(runner.get_loop(), asyncio.SelectorEventLoop)
