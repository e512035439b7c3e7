"""A TCP proxy between a client and its upstream, on which faults are laid for the length of a ``with``.

    with TcpProxy(("127.0.0.1", 5432), name="database") as proxy:
        connect(*proxy.address)                      # passes everything
        with proxy.fault(Silence()) as held:         # holds now, for open and new connections
            ...
        assert held.fired                            # healed, proven; never fired would have raised

The proxy is a process of its own, so that the test's interpreter does not slow it down, and ends with its owner.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

from pytest_smartattend.engine.fault_journal import Entry, replayable
from pytest_smartattend.engine.faults import KINDS, AckLoss, Down, Fault
from pytest_smartattend.engine.units import SECOND, in_words
from pytest_smartattend.errors import FaultNeverFired, FaultNotHealed, InjectionError
from pytest_smartattend.injectors.proxy_owner import ProxyOwner

#: an exchange with the upstream over a fresh connection; raises OSError when it does not come about
Exchange = Callable[[socket.socket], None]

_LOOK_AGAIN: Final = 0.001  # seconds


class HeldFault:
    """A fault while it holds, and what is known of it afterwards.

    Attributes:
        fault: the value.
        fault_id: its name in the journal, such as ``database/1:silence``: proxy, ordinal, kind.
        seed: the seed that decided.
        journal: what was decided and what fired; filled when the fault has healed.
    """

    def __init__(self, fault: Fault, fault_id: str, seed: int, ask: Callable[[str], int]) -> None:
        self.fault = fault
        self.fault_id = fault_id
        self.seed = seed
        self.journal: list[Entry] = []
        self._ask = ask
        self._fired: int | None = None

    @property
    def fired(self) -> int:
        """On how many connections it has acted so far; for `AckLoss`, how many acknowledgements it lost."""
        return self._ask(self.fault_id) if self._fired is None else self._fired

    @property
    def replayable(self) -> list[tuple[str, int, int, str, float]]:
        """See `fault_journal.replayable`; empty until the fault has healed."""
        return replayable(self.journal)

    def close(self, fired: int, journal: list[Entry]) -> None:
        """The fault is gone: keep what it did."""
        self._fired = fired
        self.journal = journal


class TcpProxy:
    """Stands between clients and `upstream` on a port of 127.0.0.1 that the system chose. Start it with ``with``.

    Args:
        upstream: (host, port), or the path of a Unix socket. A name is resolved once, here.
        name: how reports call the path, such as ``database``.
        seed: the root of every random decision; the same seed decides the same again.
        exchange: how to see that the upstream answers, such as `probes.postgres_answers`. Without it, a fault counts as
            healed when a new connection reaches the upstream.
        patience: how long the proxy may take to answer us, and the path to be whole again.

    Raises:
        InjectionError: the upstream's name cannot be resolved, or the process does not start.
    """

    carries: Final = tuple(KINDS.values())

    def __init__(
        self,
        upstream: tuple[str, int] | str,
        *,
        name: str = "tcp",
        seed: int = 0,
        exchange: Exchange | None = None,
        patience: timedelta = 10 * SECOND,
    ) -> None:
        self.name = name
        self.seed = seed
        self._exchange = exchange
        self._patience = patience
        self._owner = ProxyOwner(upstream, name, seed, patience)
        self._installed = 0
        self._holding = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._owner.is_running:
                self._raise_troubles()
        finally:
            self.stop()

    def start(self) -> None:
        """Start the process; returns when the port listens."""
        self._owner.start()

    def stop(self) -> None:
        """End the process, and every connection with it. May be called twice."""
        self._owner.stop()

    @property
    def address(self) -> tuple[str, int]:
        """Where clients connect: host and port."""
        return self._owner.address

    @property
    def pid(self) -> int:
        """The proxy's process."""
        return self._owner.pid

    def connections(self) -> int:
        """How many connections are open through the proxy now."""
        return int(self._owner.ask("status")["connections"])

    @contextmanager
    def fault(self, fault: Fault, *, may_not_fire: bool = False) -> Iterator[HeldFault]:
        """Hold `fault` for the length of the ``with``.

        Entering returns when it holds for every open connection and for all to come. Leaving heals, however the body
        ends, and when no other fault is left on this path, a new connection to the upstream proves it.

        Args:
            fault: what shall go wrong.
            may_not_fire: allow that nothing passed the fault.

        Raises:
            FaultNeverFired: it took hold and never acted.
            FaultNotHealed: the path is still broken.
            InjectionError: the proxy failed.
        """
        with self._lock:
            self._installed += 1
            self._holding += 1
            held = HeldFault(fault, f"{self.name}/{self._installed}:{fault.kind}", self.seed, self._fired)
        try:
            self._owner.ask("install", fault_id=held.fault_id, fault=fault.to_json())
            yield held
        except BaseException as problem:
            try:
                self._heal(held)
            except InjectionError as second:  # what the body raised says more, and Ctrl-C must stay what it is
                problem.add_note(f"Beside that: {second}")
            raise
        self._heal(held)
        self._raise_troubles()
        if not held.fired and not may_not_fire:
            raise FaultNeverFired(_never_fired(held))

    def _fired(self, fault_id: str) -> int:
        return int(self._owner.ask("fired", fault_id=fault_id)["fired"])

    def _heal(self, held: HeldFault) -> None:
        try:
            answer = self._owner.ask("remove", fault_id=held.fault_id)
        except InjectionError as problem:
            held.close(0, [])
            raise FaultNotHealed(f"{held.fault_id} could not be taken off. {problem}") from problem
        except BaseException:  # Ctrl-C, perhaps before the question was out; to ask twice does no harm
            held.close(int(self._owner.ask("remove", fault_id=held.fault_id)["fired"]), [])
            raise
        finally:
            with self._lock:
                self._holding -= 1
                last = self._holding == 0
        held.close(int(answer["fired"]), [Entry(**entry) for entry in answer["journal"]])
        if last:
            self._prove_healed(held)

    def _prove_healed(self, held: HeldFault) -> None:
        deadline = time.monotonic() + self._patience / SECOND
        try:
            with socket.create_connection(self.address, self._patience / SECOND) as probe:
                self._await_link(probe, deadline)
                if self._exchange is not None:
                    self._exchange(probe)
        except OSError as problem:
            why = self._owner.ask("status")["upstream_error"]
            raise FaultNotHealed(
                f"{held.fault_id} was taken off, and a new connection through the path {self.name!r} fails: {problem}"
                f"{f' (the upstream: {why})' if why else ''}. "
                "Look whether the upstream still runs; if the check stopped it on purpose, start it again before the "
                "fault ends."
            ) from problem

    def _await_link(self, probe: socket.socket, deadline: float) -> None:
        client_port = probe.getsockname()[1]
        while time.monotonic() < deadline:
            if self._owner.ask("probe", client_port=client_port)["linked"]:
                return
            if _is_cut(probe):
                raise ConnectionError("it is cut")
            time.sleep(_LOOK_AGAIN)
        raise TimeoutError(f"no upstream within {in_words(self._patience)}")

    def _raise_troubles(self) -> None:
        troubles = self._owner.ask("troubles")["troubles"]
        if troubles:
            raise InjectionError(f"The proxy {self.name!r} had trouble of its own: {'; '.join(troubles)}.")


def _is_cut(probe: socket.socket) -> bool:
    patience = probe.gettimeout()
    probe.settimeout(0)
    try:
        return not probe.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    finally:
        probe.settimeout(patience)


def _never_fired(held: HeldFault) -> str:
    text = f"{held.fault_id} ({held.fault.describe()}) never fired: nothing passed it, so the check has shown nothing. "
    if isinstance(held.fault, Down):
        text += (
            "No connection was open to be cut, and refusals are the kernel's and go uncounted: if the check sees the "
            "refusal itself, say may_not_fire=True. "
        )
    elif isinstance(held.fault, AckLoss):
        text += "On an encrypted connection it cannot: connect with sslmode=disable gssencmode=disable. "
    return text + "Let traffic pass while the fault holds, or say may_not_fire=True."
