"""Which sockets are ready: by epoll where there is one, else by what `selectors` has.

epoll is asked directly because each event passes through here twice in a round trip, and `selectors` makes an object
of it: 1 µs of the 6 µs that Python takes of a round trip.
"""

from __future__ import annotations

import select
import selectors
from typing import Final, Protocol

READ: Final = selectors.EVENT_READ
WRITE: Final = selectors.EVENT_WRITE


class Poller(Protocol):
    """Watches descriptors. `wait` may report one more often than needed, and never less."""

    def watch(self, descriptor: int, events: int) -> None:
        """Watch for `events`, `READ`, `WRITE` or both, in place of what was watched."""

    def forget(self, descriptor: int) -> None:
        """Stop watching."""

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        """Descriptors that are ready, each with a mask of the poller's own, after at most `timeout` seconds."""

    def fileno(self) -> int:
        """A descriptor that is readable while `wait` would report something."""


class EpollPoller:
    """Linux."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._known: set[int] = set()
        self.fileno = self._epoll.fileno
        self.wait = self._epoll.poll

    def watch(self, descriptor: int, events: int) -> None:
        """As `Poller`."""
        mask = (select.EPOLLIN if events & READ else 0) | (select.EPOLLOUT if events & WRITE else 0)
        if descriptor in self._known:
            self._epoll.modify(descriptor, mask)
        else:
            self._epoll.register(descriptor, mask)
            self._known.add(descriptor)

    def forget(self, descriptor: int) -> None:
        """As `Poller`."""
        if descriptor in self._known:
            self._known.remove(descriptor)
            self._epoll.unregister(descriptor)


class SelectorPoller:
    """Everywhere else; `kqueue` on macOS."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def watch(self, descriptor: int, events: int) -> None:
        """As `Poller`."""
        if descriptor in self._selector.get_map():
            self._selector.modify(descriptor, events)
        else:
            self._selector.register(descriptor, events)

    def forget(self, descriptor: int) -> None:
        """As `Poller`."""
        if descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        """As `Poller`."""
        return [(key.fd, mask) for key, mask in self._selector.select(timeout)]

    def fileno(self) -> int:
        """As `Poller`."""
        return self._selector.fileno()


def best() -> Poller:
    """The fastest that this system has."""
    return EpollPoller() if hasattr(select, "epoll") else SelectorPoller()
