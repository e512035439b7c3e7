"""The paths on which faults can be laid: between the platform and each of its stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pytest_smartattend.errors import UsageError

if TYPE_CHECKING:
    from pytest_smartattend.engine.faults import Fault
    from pytest_smartattend.injectors.tcp_proxy import HeldFault, TcpProxy


class Faults:
    """Lays faults on named paths for the length of a ``with``.

    Args:
        paths: name → the proxy that stands there.
        record: is told of every fault when it has healed.
    """

    def __init__(self, paths: Mapping[str, TcpProxy], record: Callable[..., None]) -> None:
        self._paths = paths
        self._record = record

    @contextmanager
    def on(self, path: str, fault: Fault, *, may_not_fire: bool = False) -> Iterator[HeldFault]:
        """Hold `fault` on `path` for existing and new connections; heal it, and prove that it healed.

        Args:
            path: ``database`` or ``incidents_database``.
            fault: what shall go wrong.
            may_not_fire: allow that nothing passed the fault, where the check sees its effect in another way.

        Raises:
            UsageError: no such path.
            FaultNeverFired: nothing passed the fault, so nothing was shown.
            FaultNotHealed: the path is still broken after the fault was taken off.
        """
        if path not in self._paths:
            raise UsageError(
                f"there is no path {path!r} to lay a fault on; there are: {', '.join(sorted(self._paths))}."
            )
        with self._paths[path].fault(fault, may_not_fire=may_not_fire) as held:
            yield held
        self._record(held.fault_id, held.seed, what=fault.describe(), path=path, fired=held.fired, healed=True)
