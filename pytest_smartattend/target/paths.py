"""The paths on which faults can be laid: between platform, stores and clients, and on what runs the platform."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from pytest_smartattend.engine.faults import Fault
from pytest_smartattend.errors import NotOffered, UsageError


class Held(Protocol):
    """A fault while it holds, and what is known of it afterwards: its name, the seed, and how often it acted."""

    fault_id: str
    seed: int

    @property
    def fired(self) -> int:
        """How often it has acted so far."""
        ...

    @property
    def replayable(self) -> Sequence[object]:
        """What the same seed and the same traffic give again, as plain JSON values; whole when the fault has healed."""
        ...


class Path(Protocol):
    """Carries out the faults of its kinds."""

    @property
    def carries(self) -> type[Fault] | tuple[type[Fault], ...]:
        """The kinds of faults that make sense here."""
        ...

    def fault(self, fault: Any, *, may_not_fire: bool = False) -> AbstractContextManager[Held]:  # noqa: ANN401
        """Hold `fault` for the length of the ``with``; heal it, and prove that it healed."""
        ...


class Faults:
    """Lays faults on named paths for the length of a ``with``.

    Args:
        paths: name → what stands there and carries faults out.
        record: is told of every fault when it has healed.
        adopted: whether the platform is an adopter's, which may lack paths.
    """

    def __init__(self, paths: Mapping[str, Path], record: Callable[..., None], *, adopted: bool = False) -> None:
        self._paths = paths
        self._adopted = adopted
        self._record = record

    @contextmanager
    def on(self, path: str, fault: Fault, *, may_not_fire: bool = False) -> Iterator[Held]:
        """Hold `fault` on `path`; heal it, and prove that it healed. What it did is recorded with the seed.

        Args:
            path: ``database``, ``incidents_database``, ``clients``, ``workers``; in process ``platform``, ``clients``
                or ``clocks``.
            fault: what shall go wrong.
            may_not_fire: allow that nothing passed the fault, where the check sees its effect in another way.

        Raises:
            NotOffered: the platform is an adopter's, and that path to it is not ours, or carries no such fault.
            UsageError: no such path, or no fault for it.
            FaultNeverFired: nothing passed the fault, so nothing was shown.
            FaultNotHealed: the path is still broken after the fault was taken off.
        """
        if path not in self._paths:
            if self._adopted:
                raise NotOffered(f"a path {path!r} on which a fault could be laid")
            raise UsageError(
                f"there is no path {path!r} to lay a fault on; there are: {', '.join(sorted(self._paths))}."
            )
        carries = self._paths[path].carries
        if not isinstance(fault, carries):
            if self._adopted:
                raise NotOffered(f"a fault of kind {fault.kind!r} on the path {path!r}")
            raise UsageError(
                f"the path {path!r} does not carry a fault of kind {fault.kind!r}. Lay it on another: "
                f"{', '.join(sorted(name for name, each in self._paths.items() if isinstance(fault, each.carries))) or 'none does'}."
            )
        with self._paths[path].fault(fault, may_not_fire=may_not_fire) as held:
            yield held
        journal = held.replayable
        self._record(
            held.fault_id,
            held.seed,
            what=fault.describe(),
            path=path,
            fault=fault.to_json(),
            fired=held.fired,
            healed=True,
            decisions=len(journal),
            journal=hashlib.sha256(json.dumps(journal).encode()).hexdigest(),
        )
