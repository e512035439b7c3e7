"""What a drill's picture is drawn from: writes in bins, phases, the outage; as ``readiness.json`` documents it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pytest_smartattend.engine.history import FAILED, OK, UNKNOWN, History
from pytest_smartattend.engine.recovery import Recovery

#: at most so many bins
BINS: Final = 300
_OUTCOMES: Final = {"acknowledged": OK, "failed": FAILED, "unknown": UNKNOWN}


@dataclass(frozen=True)
class Phase:
    """A step of the drill. `begin` and `end` are nanoseconds of the history's clock."""

    name: str
    actor: str
    begin: int
    end: int
    credited: bool = True


@dataclass(frozen=True)
class Picture:
    """What stands around the writes.

    Attributes:
        title: for people.
        phases: the drill's steps, in order.
        control: whether it was a way of recovering that must lose.
        rto_limit, rpo_limit: of the objectives, in seconds.
        floor: what this machine needed for the bare minimum, in seconds.
    """

    title: str
    phases: Sequence[Phase]
    control: bool = False
    rto_limit: float | None = None
    rpo_limit: float | None = None
    floor: float | None = None


def chart(picture: Picture, history: History, recovery: Recovery) -> dict[str, Any]:
    """The picture's data; seconds from its left edge, rounded to microseconds.

    Args:
        picture: what stands around the writes.
        history: of the probe.
        recovery: what the fault cost, by that history.
    """
    phases = picture.phases
    edges = [*history.begins, *(end for end in history.ends if end >= 0), *(one.begin for one in phases)]
    begin, end = min(edges), max([*edges, *(one.end for one in phases)])

    def at(moment: int) -> float:
        return round((moment - begin) / 1e9, 6)

    outage = recovery.outage
    return {
        "title": picture.title,
        "control": picture.control,
        "seconds": at(end),
        "fault": at(recovery.fault),
        "phases": [
            {"name": one.name, "actor": one.actor, "from": at(one.begin), "to": at(one.end), "credited": one.credited}
            for one in phases
        ],
        "ticks": _ticks(history, frozenset(recovery.lost), begin, end),
        "outage": {"from": at(outage.begin), "to": at(outage.end), "over": outage.over},
        "advice": _advice(phases, recovery),
        "rto": {"seconds": round(recovery.rto_seconds, 6), "limit": picture.rto_limit, "floor": picture.floor},
        "rpo": {"rows": recovery.rpo_rows, "seconds": round(recovery.lost_seconds, 6), "limit": picture.rpo_limit},
        "counts": {
            "acknowledged": recovery.acknowledged,
            "failed": recovery.refused,
            "unknown": recovery.unknown,
            "unknown_stored": recovery.unknown_stored,
        },
    }


def _advice(phases: Sequence[Phase], recovery: Recovery) -> str:
    """What to shorten first: the phase that took most of the outage; empty where no phase lies in it."""
    outage = recovery.outage
    inside = [
        (min(one.end, outage.end) - max(one.begin, outage.begin), one) for one in phases if one.begin >= recovery.fault
    ]
    seconds, longest = max(inside, key=lambda pair: pair[0], default=(0, None))
    if longest is None or seconds <= 0:
        return ""
    return (
        f"Of {outage.seconds:.3f} s without an acknowledged write {longest.name!r}, by the {longest.actor}, took "
        f"{seconds / 1e9:.3f} s: shorten that first."
    )


def _ticks(history: History, lost: frozenset[str], begin: int, end: int) -> dict[str, Any]:
    """The writes per bin, by the moment of their end; one that never ended counts where it began."""
    width = max(1, -(-(end - begin + 1) // BINS))
    bins: dict[str, list[int]] = {name: [0] * (-(-(end - begin + 1) // width)) for name in (*_OUTCOMES, "lost")}
    names = {code: name for name, code in _OUTCOMES.items()}
    for key, began, ended, code in zip(history.keys, history.begins, history.ends, history.outcomes, strict=True):
        place = ((ended if ended >= 0 else began) - begin) // width
        bins[names[code]][place] += 1
        if code == OK and key in lost:
            bins["lost"][place] += 1
    return {"width": round(width / 1e9, 9), **bins}
