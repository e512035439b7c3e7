"""What the tests of the clock's loop share: a peer that answers late, and how long something really took."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta

from pytest_smartattend.evidence.stopwatch import monotonic_ns

HOUR = timedelta(hours=1)
SECOND_NS = 1_000_000_000


@contextmanager
def peer(*pauses: float) -> Iterator[tuple[str, int]]:
    """A server in a thread: answers each message in two pieces, each after the next pause; silent when none is left."""
    listening = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()
    accepted: list[socket.socket] = []

    def serve() -> None:
        connection, _ = listening.accept()
        accepted.append(connection)
        with closing(connection), suppress(OSError):
            left = list(pauses)
            while connection.recv(64):
                for piece in (b"pi", b"ng\n"):
                    if not left:
                        break
                    ended.wait(left.pop(0))
                    connection.sendall(piece)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listening.getsockname()
    finally:
        ended.set()
        for connection in accepted:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        # wakes the accept of a test that never connected
        with closing(socket.socket()) as nudge:
            nudge.connect_ex(listening.getsockname())
        thread.join()
        listening.close()


def took(began: int) -> float:
    return (monotonic_ns() - began) / SECOND_NS
