"""How fast the checkers read a million operations. Printed, never asserted; see ``docs/reference/benchmarks-storms.md``."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import pytest

from pytest_smartattend.engine.checkers import exactly_once, legal_order, nothing_invented, nothing_lost, same_id
from pytest_smartattend.engine.history import History, Operation
from pytest_smartattend.engine.linearizability import BUDGET, Register, linearizable, written_once
from pytest_smartattend.engine.verdicts import Judgement, Verdict

MILLION = 1_000_000
ROUNDS = 3


def timed(check: Callable[[], Judgement]) -> tuple[float, Judgement]:
    """The median of the rounds in seconds, and what the check said."""
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        judged = check()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken), judged


def submissions(count: int) -> History:
    history = History()
    for n in range(count):
        place = history.invoke(n % 50, "POST /school/attendance", f"key-{n // 10}", None, n)
        history.end(place, "ok", f"id-{n // 10}", n + 100)
    return history


def writes(count: int, for_each_key: int) -> History:
    """Writes of which two or three overlap at any time."""
    keys = (f"key-{n // for_each_key}" for n in range(count))
    return History(Operation(0, "write", key, n, "ok", None, n * 10, n * 10 + 25) for n, key in enumerate(keys))


def test_checkers(capsys: pytest.CaptureFixture[str]) -> None:
    began = time.perf_counter()
    history = submissions(MILLION)
    rows = [(f"key-{n}", f"id-{n}") for n in range(MILLION // 10)]
    lines = [("recording (invoke and end)", MILLION, time.perf_counter() - began)]
    reads = History(Operation(0, "read", "t", None, "ok", "healthy", n, n) for n in range(MILLION // 10))
    many, one = writes(MILLION // 10, 20), writes(MILLION // 100, MILLION)
    checks: dict[str, tuple[int, Callable[[], Judgement]]] = {
        "exactly once": (MILLION, lambda: exactly_once(history, rows)),
        "nothing acknowledged is lost": (MILLION, lambda: nothing_lost(history, rows)),
        "nothing appears that was not asked": (MILLION, lambda: nothing_invented(history, rows)),
        "the same id in every answer": (MILLION, lambda: same_id(history)),
        "written once": (MILLION, lambda: written_once(history)),
        "legal order of states": (len(reads), lambda: legal_order(reads)),
        "linearizable register, 20 operations a key": (len(many), lambda: linearizable(many, Register())),
        "linearizable register, one key": (len(one), lambda: linearizable(one, Register())),
    }
    for name, (count, check) in checks.items():
        seconds, judged = timed(check)
        assert judged.verdict is Verdict.TRUE, judged
        lines.append((name, count, seconds))
    crowd = [Operation(n, "write", "k", n, "ok", None, n, 1000) for n in range(40)]
    hard = History([*crowd, Operation(99, "read", "k", None, "ok", "nobody's", 1001, 1002)])
    seconds, judged = timed(lambda: linearizable(hard, Register()))
    with capsys.disabled():
        print("\n| check | operations | operations/s |\n| --- | ---: | ---: |")
        for name, count, taken in lines:
            print(f"| {name} | {count} | {count / taken / 1e6:.2f} million |")
        print(
            f"Forty writes at once and a read that none explains: {judged.verdict.name.lower()} after {seconds:.1f} s"
        )
        print(f"(a budget of {BUDGET} configurations).")
