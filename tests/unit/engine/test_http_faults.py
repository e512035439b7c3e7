"""Faults of requests: what they accept, which requests they hit, and that a seed decides it."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_smartattend.engine.faults import from_json
from pytest_smartattend.engine.http_faults import (
    HTTP_KINDS,
    Abort,
    Delay,
    Duplicate,
    HttpFault,
    RateLimit,
    Reset,
    Timeout,
    Truncate,
)
from pytest_smartattend.engine.http_rules import HttpRule
from pytest_smartattend.engine.units import MILLISECOND, SECOND
from pytest_smartattend.errors import UsageError

EVERY_KIND: list[HttpFault] = [
    Abort(503, retry_after=2 * SECOND, match="POST /school/attendance", probability=0.3),
    Delay(5 * SECOND, 100 * MILLISECOND, first=2),
    Timeout(5 * SECOND, "request", every=3, by="key"),
    Reset("answer", nth=4),
    Truncate(10, match="* /incidents/{id}/**"),
    Duplicate(2, match="GET /a/*", by="match"),
    RateLimit(10, 1 * SECOND),
]


@pytest.mark.parametrize("fault", EVERY_KIND, ids=lambda fault: fault.kind)
def test_a_fault_comes_back_from_json(fault: HttpFault) -> None:
    assert from_json(fault.to_json(), HTTP_KINDS) == fault
    assert fault.match in fault.describe()


def test_every_kind_is_tried_here() -> None:
    assert {fault.kind for fault in EVERY_KIND} == set(HTTP_KINDS)


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (Abort, {"status": 99}, "status cannot be 99. Give an HTTP status from 200 to 599"),
        (Abort, {"status": 600}, "200 to 599"),
        (Abort, {"probability": 1.01}, "Give a share from 0 to 1, 0.3 for 30 %"),
        (Abort, {"probability": 30}, "Give a share from 0 to 1"),
        (Abort, {"retry_after": timedelta(seconds=-1)}, "retry_after cannot be"),
        (Abort, {"first": 0}, "first cannot be 0. Give a whole number from 1"),
        (Abort, {"first": 1, "nth": 2}, "first and nth exclude each other"),
        (Abort, {"by": "colour"}, "Give one of path, match, key"),
        (Abort, {"match": "/incidents"}, "Give a method and a path"),
        (Abort, {"match": "post /incidents"}, "Give a method and a path"),
        (Abort, {"match": "POST incidents"}, "Give a method and a path"),
        (Abort, {"match": "POST /**/close"}, "Give a method and a path"),
        (Abort, {"match": "POST /a{id}"}, "Give a method and a path"),
        (Delay, {"delay": timedelta(seconds=-1)}, "delay cannot be"),
        (Delay, {"delay": 5}, "Give a timedelta from 0 to one day"),
        (Delay, {"delay": SECOND, "jitter": 2 * SECOND}, "jitter 2 s exceeds delay 1 s"),
        (Reset, {"lost": "both"}, "Give one of request, answer"),
        (RateLimit, {"requests": 1, "per": timedelta(0)}, "Give a timedelta above 0"),
        (Truncate, {"bytes": True}, "Give a whole number from 1"),
    ],
)
def test_what_is_not_accepted_is_named(kind: type[HttpFault], values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        kind(**values)
    assert message in str(caught.value)


def test_an_unknown_kind_names_those_of_requests() -> None:
    with pytest.raises(UsageError, match="one of abort, delay, duplicate"):
        from_json({"kind": "latency"}, HTTP_KINDS)


def hit_paths(match: str, *requests: str) -> list[str]:
    rule = HttpRule(Abort(match=match), "t/1:abort", 0)
    return [request for request in requests if rule.hit(*request.split(" "), None)]  # type: ignore[call-arg]


def test_a_pattern_matches_its_endpoint_and_no_other() -> None:
    requests = ("POST /a", "GET /a", "POST /a/1", "POST /a/1/close", "POST /ab", "POST /a/1/close/now", "POST /a/")
    assert hit_paths("POST /a", *requests) == ["POST /a"]
    assert hit_paths("* /a", *requests) == ["POST /a", "GET /a"]
    assert hit_paths("POST /a/{id}", *requests) == ["POST /a/1"]
    assert hit_paths("POST /a/*/close", *requests) == ["POST /a/1/close"]
    assert hit_paths("POST /a/**", *requests) == [each for each in requests if each not in ("GET /a", "POST /ab")]
    assert hit_paths("* /**", *requests) == list(requests)
    assert hit_paths("POST /a.b", "POST /a.b", "POST /axb") == ["POST /a.b"]


def places_hit(fault: HttpFault, *, requests: int = 10) -> list[int]:
    rule = HttpRule(fault, "t/1", 3)
    return [n for n in range(1, requests + 1) if rule.hit("POST", "/a", None)]


def test_first_every_and_nth_choose_by_count() -> None:
    assert places_hit(Reset(first=2)) == [1, 2]
    assert places_hit(Reset(every=3)) == [3, 6, 9]
    assert places_hit(Reset(nth=4)) == [4]
    assert places_hit(Reset()) == list(range(1, 11))
    assert places_hit(Reset(probability=0)) == []


def test_a_share_of_the_requests_is_hit() -> None:
    assert 250 < len(places_hit(Reset(probability=0.3), requests=1000)) < 350


def test_requests_are_counted_for_each_path_for_the_match_or_for_each_key() -> None:
    def hits(by: str) -> list[bool]:
        rule = HttpRule(Reset(first=1, match="* /**", by=by), "t/1", 0)  # type: ignore[arg-type]
        return [rule.hit("POST", path, key) is not None for path, key in [("/a", "1"), ("/b", "1"), ("/a", "2")]]

    assert hits("path") == [True, True, False]
    assert hits("match") == [True, False, False]
    assert hits("key") == [True, False, True]


@given(st.integers(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_no_decision(seed: int, shuffle: random.Random) -> None:
    requests = [f"key-{n % 7}" for n in range(40)]

    def journal() -> list[Any]:
        rule = HttpRule(Abort(probability=0.4, by="key"), "t/1:abort", seed)
        for key in requests:
            rule.hit("POST", "/a", key)
        return rule.journal()

    first = journal()
    shuffle.shuffle(requests)
    assert journal() == first
    assert {entry.event for entry in first} <= {"hit", "spared"}


def test_two_seeds_and_two_faults_decide_apart() -> None:
    def hits(seed: int, fault_id: str) -> list[bool]:
        rule = HttpRule(Abort(probability=0.5), fault_id, seed)
        return [rule.hit("GET", "/a", None) is not None for _ in range(64)]

    assert len({tuple(hits(1, "t/1")), tuple(hits(2, "t/1")), tuple(hits(1, "t/2"))}) == 3


def test_a_rate_limit_frees_its_places_as_time_passes() -> None:
    rule = HttpRule(RateLimit(2, 10 * SECOND), "t/1", 0)
    assert [rule.wait_at(now) for now in (0.0, 4.0, 5.0, 10.0, 11.0, 14.0)] == [None, None, 5.0, None, 3.0, None]


def test_a_delay_stays_within_its_jitter_and_is_drawn_for_each_request() -> None:
    rule = HttpRule(Delay(SECOND, 200 * MILLISECOND), "t/1", 0)
    late = [hit.late() for _ in range(100) if (hit := rule.hit("GET", "/a", None))]
    assert all(0.8 <= seconds < 1.2 for seconds in late)
    assert len(set(late)) == 100
