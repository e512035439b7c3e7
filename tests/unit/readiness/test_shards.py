"""How a run is divided."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_smartattend.readiness import shards


@given(
    st.dictionaries(st.text(min_size=1), st.floats(0, 100), max_size=40),
    st.sets(st.text(min_size=1), max_size=10),
    st.integers(1, 12),
)
def test_every_check_falls_to_one_shard_and_none_carries_more_than_its_share_and_the_longest_check(
    seconds: dict[str, float], unknown: set[str], of: int
) -> None:
    checks = set(seconds) | unknown
    plan = shards.divide(checks, of, seconds)
    assert set(plan.part) == checks
    assert set(plan.part.values()) <= set(range(1, of + 1))
    assert len(plan.loads) == of
    heaviest = max((seconds.get(name, max(seconds.values(), default=1.0)) for name in checks), default=0.0)
    assert max(plan.loads) <= sum(plan.loads) / of + max(heaviest, 0.001) + 1e-6


def test_the_longest_checks_are_spread_first() -> None:
    plan = shards.divide(["a", "b", "c", "d", "e"], 2, {"a": 10, "b": 6, "c": 4, "d": 1, "e": 1})
    assert sorted(plan.loads) == [11, 11]
    assert plan.part["a"] != plan.part["b"]


def test_a_check_without_a_record_counts_as_the_median() -> None:
    plan = shards.divide(["new", "short", "usual", "long"], 1, {"short": 1, "usual": 5, "long": 30})
    assert plan.loads == [41]


def test_the_plan_does_not_depend_on_the_order_of_collection_and_its_digest_tells_two_plans_apart() -> None:
    names = [f"scenarios/{number}" for number in range(30)]
    recorded = {name: float(number % 7) for number, name in enumerate(names)}
    plan = shards.divide(names, 3, recorded)
    assert shards.divide(list(reversed(names)), 3, recorded).digest == plan.digest
    others = (shards.divide(names[1:], 3, recorded), shards.divide(names, 4, recorded), shards.divide(names, 3, {}))
    assert plan.digest not in {other.digest for other in others}


def test_absent_shards_are_named() -> None:
    assert shards.absent([]) == []
    assert shards.absent([{"number": 2, "of": 3}]) == ["1/3", "3/3"]
    assert shards.absent([{"number": 2, "of": 2}, {"number": 1, "of": 2}]) == []
