"""Faults as values: what is accepted, what is refused and how, and the way to JSON and back."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_smartattend.engine import faults
from pytest_smartattend.engine.faults import KINDS, AckLoss, Down, Fault, Latency, Silence
from pytest_smartattend.engine.units import MILLISECOND, SECOND, in_words
from pytest_smartattend.errors import UsageError

_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "probability": st.floats(0, 1),
    "direction": st.sampled_from(["up", "down", "both"]),
    "delay": st.timedeltas(timedelta(0), timedelta(days=1)),
    "jitter": st.just(timedelta(0)),
    "after": st.timedeltas(timedelta(0), timedelta(days=1)),
    "bytes_per_second": st.integers(1, 10**12),
    "bytes": st.integers(1, 10**12),
    "commands": st.lists(st.sampled_from(["COMMIT", "INSERT", "UPDATE"]), min_size=1).map(tuple),
    "times": st.none() | st.integers(1, 100),
}


@st.composite
def _faults(draw: st.DrawFn) -> Fault:
    kind = draw(st.sampled_from(sorted(KINDS)))
    return KINDS[kind](**{field.name: draw(_VALUES[field.name]) for field in dataclasses.fields(KINDS[kind])})


@given(_faults())
def test_a_fault_survives_the_way_to_json_and_back(fault: Fault) -> None:
    assert faults.from_json(json.loads(json.dumps(fault.to_json()))) == fault


@given(_faults())
def test_a_fault_tells_itself_in_plain_words(fault: Fault) -> None:
    assert fault.describe()
    assert "<" not in fault.describe()


def test_what_reports_say_names_amount_direction_and_share() -> None:
    assert Latency(200 * MILLISECOND, 50 * MILLISECOND, direction="both", probability=0.3).describe() == (
        "latency of 200 ms ± 50 ms on bytes both ways, on 30 % of connections"
    )
    assert Silence(5 * SECOND).describe() == "silence, closed after 5 s on bytes both ways"
    assert AckLoss(("INSERT",), times=2, probability=0.5).describe() == (
        "loss of the answer to a committed INSERT, 50 % of them, at most 2"
    )


untyped: Any = faults  # the type checker would refuse these as well


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: untyped.Latency(5), "latency: delay cannot be 5. Give a timedelta"),
        (lambda: untyped.Latency(-SECOND), "delay cannot be"),
        (lambda: untyped.Latency(2 * timedelta(days=1)), "delay cannot be"),
        (lambda: untyped.Latency(SECOND, 2 * SECOND), "jitter 2 s exceeds delay 1 s"),
        (lambda: untyped.Latency(SECOND, probability=1.5), "probability cannot be 1.5. Give a share from 0 to 1"),
        (lambda: untyped.Latency(SECOND, probability=30), "0.3 for 30 %"),
        (lambda: untyped.Latency(SECOND, probability=float("nan")), "probability cannot be nan"),
        (lambda: untyped.Latency(SECOND, probability=True), "probability cannot be True"),
        (lambda: untyped.Latency(SECOND, direction="sideways"), "Give one of up, down, both"),
        (lambda: untyped.Bandwidth(0), "bytes_per_second cannot be 0. Give a whole number from 1"),
        (lambda: untyped.Slicer(True), "bytes cannot be True"),
        (lambda: untyped.LimitData(1.5), "bytes cannot be 1.5"),
        (lambda: untyped.Partition("north"), "partition: direction cannot be 'north'"),
        (lambda: untyped.Silence(3), "Give a timedelta from 0 to one day, such as 200 \\* MILLISECOND or .* or None"),
        (lambda: untyped.ResetPeer(None), "reset_peer: after cannot be None"),
        (lambda: untyped.AckLoss("COMMIT"), "commands cannot be 'COMMIT'. Give a tuple of command tags"),
        (lambda: untyped.AckLoss(("commit",)), "upper case"),
        (lambda: untyped.AckLoss(()), "commands cannot be"),
        (lambda: untyped.AckLoss(times=0), "times cannot be 0"),
    ],
)
def test_a_value_out_of_range_is_refused_naming_what_is_accepted(make: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "Give an object with a kind"),
        ({}, "of kind None. Give one of ack_loss, bandwidth"),
        ({"kind": "timeout"}, "of kind 'timeout'. Give one of"),
        ({"kind": ["down"]}, "Give one of"),
        ({"kind": "latency"}, "given are no values. Needed: delay_seconds"),
        ({"kind": "latency", "delay": 1}, "given are delay. Needed: delay_seconds; accepted: delay_seconds, direction"),
        ({"kind": "latency", "delay_seconds": "1"}, "Give a number of seconds"),
        ({"kind": "latency", "delay_seconds": True}, "Give a number of seconds"),
        ({"kind": "latency", "delay_seconds": float("inf")}, "Give a number of seconds"),
        ({"kind": "latency", "delay_seconds": 1, "toxicity": 1}, "given are delay_seconds, toxicity"),
        ({"kind": "down", "probability": 1}, "accepted: none"),
        ({"kind": "silence", "direction": ["up"]}, "Give one of up, down, both"),
    ],
)
def test_json_that_is_no_fault_is_refused_naming_what_is_accepted(data: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        faults.from_json(data)


def test_a_fault_is_a_value() -> None:
    assert Down() == Down()
    assert len({Latency(SECOND), Latency(SECOND), Latency(2 * SECOND)}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        Latency(SECOND).delay = SECOND  # type: ignore[misc]


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (timedelta(0), "0 ms"),
        (1.5 * MILLISECOND, "1.5 ms"),
        (SECOND, "1 s"),
        (90 * SECOND, "90 s"),
        (1.25 * SECOND, "1.25 s"),
    ],
)
def test_durations_are_told_without_needless_digits(duration: timedelta, words: str) -> None:
    assert in_words(duration) == words
