"""Retries wait longer each time, not all alike, and never longer than said."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pytest_smartattend.engine.units import MILLISECOND, SECOND
from pytest_smartattend.errors import UsageError
from pytest_smartattend.trials.answers import Raw
from pytest_smartattend.trials.retries import NEVER, Retries
from pytest_smartattend.trials.wire import Reply

LOST = Reply("lost")


def answered(status: int, *headers: str) -> Reply:
    head = "\r\n".join([f"HTTP/1.1 {status} Text", *headers])
    return Reply("answered", Raw(status, head.encode(), b"", keeps=True))


def test_what_may_pass_is_sent_again_and_what_is_settled_is_not() -> None:
    retries = Retries(attempts=3)
    assert [retries.again(1, reply) for reply in (LOST, Reply("unsent"), answered(503), answered(429))] == [True] * 4
    assert [retries.again(1, answered(status)) for status in (200, 201, 404, 409, 422)] == [False] * 5
    assert not retries.again(3, LOST)
    assert not NEVER.again(1, LOST)


def test_waits_double_up_to_the_longest_less_up_to_a_half() -> None:
    retries = Retries(attempts=99, first=100 * MILLISECOND, longest=1 * SECOND)
    for attempt, full in [(1, 0.1), (2, 0.2), (3, 0.4), (4, 0.8), (5, 1.0), (98, 1.0)]:
        waits = {retries.pause(seed, "k", attempt, LOST) for seed in range(20)}
        assert all(full / 2 <= wait <= full for wait in waits)
        assert len(waits) == 20


def test_the_same_seed_waits_the_same() -> None:
    assert Retries().pause(7, "k", 1, LOST) == Retries().pause(7, "k", 1, LOST)


def test_retry_after_is_heeded_up_to_the_longest() -> None:
    retries = Retries(first=timedelta(0), longest=5 * SECOND)
    assert retries.pause(0, "k", 1, answered(503, "Retry-After: 2")) == 2
    assert retries.pause(0, "k", 1, answered(503, "Retry-After: 60")) == 5
    assert retries.pause(0, "k", 1, answered(503, "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT")) == 0


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"first": -SECOND}, {"longest": -SECOND}])
def test_retries_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="Give 1 attempt or more"):
        Retries(**wrong)  # type: ignore[arg-type]
