"""Faults as values: what shall go wrong on a connection, how badly, and on which share of connections.

A value does nothing. `injectors` carries it out, and heals it when its ``with`` ends. The names are those of toxiproxy
where it has one (its ``timeout`` is `Silence` here); `Partition`, `SlowOpen` and `AckLoss` are added.

Words that every fault shares:

direction    bytes to the upstream are ``up``, bytes to the client are ``down``; ``both`` holds on each way, so that a
             latency on both is felt twice in a round trip.
probability  the share of connections that the fault takes hold of, 0 to 1. `engine.dice` decides it by the seed and
             the connection's ordinal under the fault. `AckLoss` alone decides for each acknowledgement.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from pytest_smartattend.engine.fault_fields import ACCEPTED, DURATIONS, Direction
from pytest_smartattend.engine.units import SECOND, in_words
from pytest_smartattend.errors import UsageError

_NOTHING = timedelta(0)
_WAYS: dict[str, str] = {"up": "bytes to the upstream", "down": "bytes to the client", "both": "bytes both ways"}


@dataclass(frozen=True)
class Fault:
    """The root of all faults. See the module's words for `direction` and `probability`.

    Raises:
        UsageError: a value is out of its range; names the field, what was given and what is accepted.
    """

    kind: ClassVar[str]

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            accepted, accepts = ACCEPTED[field.name]
            optional = field.default is None
            if not (value is None and optional) and not accepts(value):
                raise UsageError(
                    f"{self.kind}: {field.name} cannot be {value!r}. Give {accepted}{' or None' if optional else ''}."
                )
        delay, jitter = getattr(self, "delay", _NOTHING), getattr(self, "jitter", _NOTHING)
        if jitter > delay:  # something would have to arrive before it was sent
            raise UsageError(
                f"{self.kind}: jitter {in_words(jitter)} exceeds delay {in_words(delay)}. Give a jitter up to the delay."
            )

    def describe(self) -> str:
        """The fault in plain words, for reports and messages."""
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values: ``kind`` and every field; a duration is ``NAME_seconds``, in seconds."""
        data: dict[str, Any] = {"kind": self.kind}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in DURATIONS:
                data[f"{field.name}_seconds"] = None if value is None else value / SECOND
            else:
                data[field.name] = list(value) if isinstance(value, tuple) else value
        return data


@dataclass(frozen=True)
class ConnectionFault(Fault):
    """A fault that takes hold of some connections and leaves others alone."""

    probability: float = dataclasses.field(default=1.0, kw_only=True)

    def _share(self) -> str:
        return "" if self.probability == 1 else f", on {self.probability * 100:g} % of connections"


@dataclass(frozen=True)
class ByteFault(ConnectionFault):
    """A fault in the bytes of one direction, or of both."""

    direction: Direction = dataclasses.field(default="down", kw_only=True)

    def _where(self) -> str:
        return f"{_WAYS[self.direction]}{self._share()}"


@dataclass(frozen=True)
class Down(Fault):
    """The service is gone: open connections are reset, new ones refused.

    The kernel refuses, and tells no one: only the connections that were cut count as fired.
    """

    kind: ClassVar[str] = "down"

    def describe(self) -> str:
        """The fault in plain words."""
        return "down: open connections reset, new ones refused"


@dataclass(frozen=True)
class Latency(ByteFault):
    """Bytes arrive later, in order, by `delay` ± `jitter` (uniform; each piece read from the socket draws anew)."""

    kind: ClassVar[str] = "latency"
    delay: timedelta
    jitter: timedelta = _NOTHING

    def describe(self) -> str:
        """The fault in plain words."""
        jitter = f" ± {in_words(self.jitter)}" if self.jitter else ""
        return f"latency of {in_words(self.delay)}{jitter} on {self._where()}"


@dataclass(frozen=True)
class Bandwidth(ByteFault):
    """A narrow line: at most `bytes_per_second` of each connection get through, evenly."""

    kind: ClassVar[str] = "bandwidth"
    bytes_per_second: int

    def describe(self) -> str:
        """The fault in plain words."""
        return f"bandwidth of {self.bytes_per_second} bytes per second on {self._where()}"


@dataclass(frozen=True)
class Slicer(ByteFault):
    """Data arrives in slices of at most `bytes`, `delay` apart: for readers that believe one read is one message."""

    kind: ClassVar[str] = "slicer"
    bytes: int
    delay: timedelta = _NOTHING

    def describe(self) -> str:
        """The fault in plain words."""
        return f"slices of {self.bytes} bytes, {in_words(self.delay)} apart, on {self._where()}"


@dataclass(frozen=True)
class LimitData(ByteFault):
    """The connection closes when `bytes` have passed since the fault took hold; what is beyond them is lost."""

    kind: ClassVar[str] = "limit_data"
    bytes: int

    def describe(self) -> str:
        """The fault in plain words."""
        return f"closed after {self.bytes} bytes, on {self._where()}"


@dataclass(frozen=True)
class Silence(ByteFault):
    """A black hole: connections stay open and nothing passes; what was sent is lost.

    `after` closes a connection so long after the fault took hold of it; None leaves it open until healed. A connection
    that lost something is reset when the fault heals, for its stream has a hole; one that did not goes on.
    """

    kind: ClassVar[str] = "silence"
    after: timedelta | None = None
    direction: Direction = dataclasses.field(default="both", kw_only=True)

    def describe(self) -> str:
        """The fault in plain words."""
        closing = "" if self.after is None else f", closed after {in_words(self.after)}"
        return f"silence{closing} on {self._where()}"


@dataclass(frozen=True)
class Partition(ByteFault):
    """Nothing arrives until the fault heals, and then everything: a cut line whose ends send again."""

    kind: ClassVar[str] = "partition"
    direction: Direction = "both"

    def describe(self) -> str:
        """The fault in plain words."""
        return f"partition of {self._where()}"


@dataclass(frozen=True)
class ResetPeer(ConnectionFault):
    """Connections are reset (TCP RST, both ends) `after` the fault took hold of them; until then bytes pass."""

    kind: ClassVar[str] = "reset_peer"
    after: timedelta = _NOTHING

    def describe(self) -> str:
        """The fault in plain words."""
        return f"reset after {in_words(self.after)}{self._share()}"


@dataclass(frozen=True)
class SlowClose(ByteFault):
    """The end of a stream arrives `delay` late."""

    kind: ClassVar[str] = "slow_close"
    delay: timedelta

    def describe(self) -> str:
        """The fault in plain words."""
        return f"close delayed by {in_words(self.delay)} after {self._where()}"


@dataclass(frozen=True)
class SlowOpen(ConnectionFault):
    """A new connection reaches the upstream only after `delay`; open connections are not touched.

    The client's own connect succeeds at once, for the kernel answers it; it is the first answer that is late.
    """

    kind: ClassVar[str] = "slow_open"
    delay: timedelta

    def describe(self) -> str:
        """The fault in plain words."""
        return f"open delayed by {in_words(self.delay)}{self._share()}"


@dataclass(frozen=True)
class AckLoss(ConnectionFault):
    """PostgreSQL committed, and the answer is lost: the connection is reset before the acknowledgement passes.

    An acknowledgement is the end of a query cycle outside a transaction block (ReadyForQuery, idle) in which one of
    `commands` completed last of those that decide. Its `probability` is drawn for each of them, and with `times` no
    more than so many are lost, so that the client's retry comes through. On an encrypted connection nothing can be
    seen, so it never fires there: connect with ``sslmode=disable gssencmode=disable``.
    """

    kind: ClassVar[str] = "ack_loss"
    commands: tuple[str, ...] = ("COMMIT", "INSERT", "UPDATE", "DELETE")
    times: int | None = None

    def describe(self) -> str:
        """The fault in plain words."""
        share = "" if self.probability == 1 else f", {self.probability * 100:g} % of them"
        times = "" if self.times is None else f", at most {self.times}"
        return f"loss of the answer to a committed {' or '.join(self.commands)}{share}{times}"


KINDS: dict[str, type[Fault]] = {
    fault.kind: fault
    for fault in (
        Down, Silence, Latency, Bandwidth, Slicer, LimitData, Partition, ResetPeer, SlowClose, SlowOpen, AckLoss,
    )
}  # fmt: skip


def from_json(data: Any, kinds: Mapping[str, type[Fault]] = KINDS) -> Fault:  # noqa: ANN401
    """The fault that `Fault.to_json` wrote, or that a person did; one of `kinds`.

    Raises:
        UsageError: not an object, an unknown kind, an unknown or missing name, or a value out of its range.
    """
    if not isinstance(data, dict):
        raise UsageError(f"a fault cannot be {data!r}. Give an object with a kind, one of {', '.join(sorted(kinds))}.")
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        raise UsageError(f"a fault cannot be of kind {kind!r}. Give one of {', '.join(sorted(kinds))}.")
    fields = {_name_in_json(field.name): field for field in dataclasses.fields(kinds[kind])}
    names = set(data) - {"kind"}
    required = {name for name, field in fields.items() if field.default is dataclasses.MISSING}
    if names - set(fields) or required - names:
        raise UsageError(
            f"{kind}: given are {', '.join(sorted(map(str, names))) or 'no values'}. "
            f"Needed: {', '.join(sorted(required)) or 'none'}; accepted: {', '.join(sorted(fields)) or 'none'}."
        )
    return kinds[kind](**{fields[name].name: _from_plain(kind, name, fields[name].name, data[name]) for name in names})


def _name_in_json(name: str) -> str:
    return f"{name}_seconds" if name in DURATIONS else name


def _from_plain(kind: str, name: str, field: str, value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, list):
        return tuple(value)
    if field not in DURATIONS or value is None:
        return value
    try:
        if isinstance(value, bool):
            raise TypeError
        return timedelta(seconds=value)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"{kind}: {name} cannot be {value!r}. Give a number of seconds.") from None
