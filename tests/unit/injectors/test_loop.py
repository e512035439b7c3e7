"""The proxy's loop, over both pollers: epoll, and what other systems have."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterator
from time import monotonic

import pytest

from pytest_smartattend.injectors.wire.loop import Loop
from pytest_smartattend.injectors.wire.poller import READ, WRITE, EpollPoller, Poller, SelectorPoller, best

POLLERS: list[Callable[[], Poller]] = [SelectorPoller, *([EpollPoller] if hasattr(select, "epoll") else [])]


@pytest.fixture(params=POLLERS, ids=lambda poller: poller.__name__)
def loop(request: pytest.FixtureRequest) -> Loop:
    poller: Callable[[], Poller] = request.param
    return Loop(poller())


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    with near, far:
        yield near, far


def test_the_fastest_poller_is_taken() -> None:
    assert isinstance(best(), POLLERS[-1])  # type: ignore[arg-type]


def test_timers_come_in_the_order_they_are_due_and_never_early(loop: Loop) -> None:
    now, seen = monotonic(), []
    for delay in (0.03, 0.01, 0.0, 0.02):
        loop.call_at(now + delay, lambda delay=delay: seen.append((delay, monotonic() - now)))  # type: ignore[misc]
    loop.call_at(now + 0.04, loop.stop)
    loop.run()
    assert [delay for delay, _ in seen] == [0.0, 0.01, 0.02, 0.03]
    assert all(passed >= delay for delay, passed in seen)


def test_a_cancelled_timer_is_not_called(loop: Loop) -> None:
    seen: list[str] = []
    now = monotonic()
    loop.call_at(now, lambda: seen.append("cancelled")).cancel()
    loop.call_at(now + 0.01, lambda: seen.append("cancelled too")).cancel()
    loop.call_at(now + 0.02, loop.stop)
    loop.run()
    assert seen == []


def test_a_socket_is_reported_while_a_distant_timer_waits(
    loop: Loop, pair: tuple[socket.socket, socket.socket]
) -> None:
    near, far = pair
    loop.call_at(monotonic() + 3600, lambda: pytest.fail("an hour has not passed"))
    loop.watch(near.fileno(), READ, loop.stop)
    far.send(b"x")
    began = monotonic()
    loop.run()
    assert monotonic() - began < 60


def test_watching_again_replaces_and_forgetting_ends(loop: Loop, pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    seen: list[str] = []
    far.send(b"x")
    loop.watch(near.fileno(), READ, lambda: seen.append("first"))
    loop.watch(near.fileno(), READ | WRITE, lambda: (seen.append("second"), loop.forget(near.fileno())))  # type: ignore[arg-type, func-returns-value]
    loop.call_at(monotonic() + 0.03, loop.stop)
    loop.run()
    loop.forget(near.fileno())
    assert seen == ["second"]


def test_a_socket_that_was_closed_in_this_round_is_not_called_under_its_old_number(loop: Loop) -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    called: list[int] = []
    fresh: list[socket.socket] = []

    def close_all_and_open_one() -> None:
        called.append(0)
        for near, far in pairs:
            loop.forget(near.fileno())
            near.close()
            far.close()
        fresh.extend(socket.socketpair())  # takes a number that was just given up
        loop.watch(fresh[0].fileno(), READ, lambda: called.append(1))
        loop.call_at(monotonic() + 0.02, loop.stop)

    for near, far in pairs:
        far.send(b"x")
        loop.watch(near.fileno(), READ, close_all_and_open_one)
    loop.run()
    for sock in fresh:
        sock.close()
    assert called == [0]
