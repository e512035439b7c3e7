"""What a seed promises."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_smartattend.engine.dice import Stream, decide

KNOWN = (0.7497898351306086, 0.13322039572583488, 0.5067698439395246)


def test_known_draws_stay_as_they_are_so_that_old_seeds_keep_their_worth() -> None:
    assert decide(0, "", "", 0) == KNOWN[0]
    assert decide(20260302, "database/1:latency", "connection", 7) == KNOWN[1]
    assert decide(2**64 - 1, "störung", "POST /attendance", 10**6) == KNOWN[2]


@given(st.integers(0, 2**64 - 1), st.text(), st.text(), st.integers(0, 2**40))
def test_a_draw_lies_between_0_and_1_and_depends_on_its_arguments_alone(
    seed: int, fault: str, key: str, n: int
) -> None:
    draw = decide(seed, fault, key, n)
    assert 0 <= draw < 1
    assert draw == decide(seed, fault, key, n)


def test_the_order_of_arrival_does_not_change_a_draw() -> None:
    events = [(key, n) for key in ("a", "b", "c") for n in range(50)]
    shuffled = random.Random(3).sample(events, len(events))
    assert {event: decide(1, "f", *event) for event in events} == {event: decide(1, "f", *event) for event in shuffled}


def test_every_argument_counts_and_none_runs_into_the_next() -> None:
    asked = [
        (1, "ab", "c", 0),
        (1, "a", "bc", 0),
        (2, "ab", "c", 0),
        (1, "ab", "c", 1),
        (1, "ab|1", "c", 0),
        (1, "", "abc", 0),
    ]
    assert len({decide(*arguments) for arguments in asked}) == len(asked)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.9])
def test_the_share_of_hits_is_the_probability(share: float) -> None:
    count = 20_000
    hits = sum(decide(7, "share", "connection", n) < share for n in range(count))
    assert abs(hits / count - share) < 4 * (share * (1 - share) / count) ** 0.5


def test_a_stream_can_be_made_again_from_seed_and_name() -> None:
    first, second = Stream(5, "people"), Stream(5, "people")
    assert [first.uniform() for _ in range(20)] == [second.uniform() for _ in range(20)]
    assert first.drawn == 20
    assert Stream(5, "people").uniform() != Stream(5, "load").uniform()
    assert Stream(5, "people").uniform() != Stream(6, "people").uniform()


def test_a_stream_prefers_no_number_and_no_order() -> None:
    stream = Stream(11, "even")
    numbers = Counter(stream.below(6) for _ in range(6_000))
    assert set(numbers) == set(range(6))
    assert all(800 < seen < 1200 for seen in numbers.values())
    orders = Counter(tuple(stream.shuffled("abc")) for _ in range(6_000))
    assert len(orders) == 6
    assert all(800 < seen < 1200 for seen in orders.values())


def test_shuffling_and_picking_leave_the_items_alone() -> None:
    items = list(range(10))
    assert sorted(Stream(1, "s").shuffled(items)) == items == list(range(10))
    assert Stream(1, "p").pick(items) in items


@pytest.mark.parametrize("limit", [0, -1])
def test_nothing_is_drawn_below_nothing(limit: int) -> None:
    with pytest.raises(ValueError, match="give a limit of 1 or more"):
        Stream(1, "s").below(limit)
