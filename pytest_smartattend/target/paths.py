"""The paths on which faults can be laid: between the platform and each of its stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pytest_smartattend.errors import UsageError

if TYPE_CHECKING:
    from pytest_smartattend.engine.faults import Fault
    from pytest_smartattend.injectors.tcp_proxy import TcpProxy


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
    def on(self, path: str, fault: Fault) -> Iterator[Any]:
        """Hold `fault` on `path` for existing and new connections; heal it, and prove that it healed.

        Raises:
            UsageError: no such path.
            FaultNeverFired: nothing passed the fault, so nothing was shown.
            FaultNotHealed: the path is still broken after the fault was taken off.
        """
        if path not in self._paths:
            raise UsageError(
                f"there is no path {path!r} to lay a fault on; there are: {', '.join(sorted(self._paths))}."
            )
        with self._paths[path].fault(fault) as held:
            yield held
        self._record(path=path, fault=fault, fired=held.fired)
