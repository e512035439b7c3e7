"""The data of a drill's picture."""

from __future__ import annotations

import json

from pytest_smartattend.engine.drill_chart import BINS, Phase, Picture, chart
from pytest_smartattend.engine.history import History, Operation
from pytest_smartattend.engine.recovery import recovery_of

SECOND = 10**9


def write(number: int, outcome: str, begin: float, end: float | None) -> Operation:
    ended = None if end is None else int(end * SECOND)
    return Operation(0, "write", f"k{number}", None, outcome, None, int(begin * SECOND), ended)  # type: ignore[arg-type]


HISTORY = History(
    [
        write(0, "ok", 100, 101),
        write(1, "ok", 102, 103),
        write(2, "failed", 104, 104.5),
        write(3, "unknown", 105, None),
        write(4, "ok", 107, 108),
    ]
)
FAULT = 103 * SECOND + 1
RECOVERY = recovery_of(HISTORY, {"k0", "k3", "k4"}, FAULT)
PHASES = [Phase("lost", "harness", 103 * SECOND, 104 * SECOND), Phase("back", "platform", 104 * SECOND, 110 * SECOND)]


def test_times_are_seconds_from_the_left_edge() -> None:
    drawn = chart(Picture("a drill", PHASES, rto_limit=600, floor=0.5), HISTORY, RECOVERY)
    assert (drawn["seconds"], drawn["fault"], drawn["control"]) == (10, 3, False)
    assert [(one["name"], one["from"], one["to"]) for one in drawn["phases"]] == [("lost", 3, 4), ("back", 4, 10)]
    assert drawn["outage"] == {"from": 3, "to": 8, "over": True}
    assert drawn["rto"] == {"seconds": 5, "limit": 600, "floor": 0.5}
    assert drawn["advice"].startswith("Of 5.000 s without an acknowledged write 'back', by the platform, took 4.000 s")
    assert drawn["rpo"] == {"rows": 1, "seconds": 0, "limit": None}
    assert drawn["counts"] == {"acknowledged": 3, "failed": 1, "unknown": 1, "unknown_stored": 1}


def test_every_write_stands_in_the_bin_of_its_end_and_a_lost_one_in_two() -> None:
    ticks = chart(Picture("a drill", PHASES), HISTORY, RECOVERY)["ticks"]
    at = {name: [round(place * ticks["width"]) for place, count in enumerate(ticks[name]) if count] for name in ticks if name != "width"}  # fmt: skip
    assert at == {"acknowledged": [1, 3, 8], "failed": [4], "unknown": [5], "lost": [3]}
    assert {len(ticks[name]) for name in at} == {BINS}


def test_ten_thousand_writes_fit_into_a_record_of_evidence() -> None:
    many = History(write(n, "ok", n / 1000, n / 1000 + 0.001) for n in range(10_000))
    drawn = chart(Picture("a drill", PHASES), many, recovery_of(many, set(many.keys), 5 * SECOND))
    assert sum(drawn["ticks"]["acknowledged"]) == 10_000
    assert len(drawn["ticks"]["lost"]) <= BINS
    assert len(json.dumps(drawn)) < 20_000
