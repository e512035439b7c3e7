"""Plans of faults: what is read, and what is refused with file, line and what is accepted."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from pytest_smartattend.engine.http_faults import Reset
from pytest_smartattend.engine.node_faults import Kill
from pytest_smartattend.errors import UsageError
from pytest_smartattend.trials.plans import load_plan, read_plan, shipped_plan

PLAN = """title = "Two phases"

[[phases]]
name = "first"
[[phases.faults]]
path = "clients"
kind = "reset"
lost = "answer"
probability = 0.3

[[phases]]
name = "second"
[[phases.faults]]
path = "workers"
kind = "kill"
[[phases.faults]]
path = "database"
kind = "latency"
delay_seconds = 0.5
"""


def test_a_plan_is_read_as_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(PLAN)
    first, second = load_plan(tmp_path / "mine.toml").phases
    assert first.faults == (("clients", Reset("answer", probability=0.3)),)
    assert second.faults[0] == ("workers", Kill())
    assert second.faults[1][1].to_json()["delay_seconds"] == timedelta(seconds=0.5).total_seconds()


@pytest.mark.parametrize("name", ["comprehensive", "stress"])
def test_a_shipped_plan_is_one(name: str) -> None:
    assert shipped_plan(name).phases


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("0.5", "-0.5", r"mine, line 16: latency: delay cannot be .*Give"),
        ('"kill"', '"kil"', r"mine, line 13: .*'kil'.*Give one of"),
        ('path = "database"', 'path = "databse"', r"mine, line 17: .*databse"),
        ("0.3", "30", r"mine, line 5: reset: probability cannot be 30. Give a share"),
        ('name = "first"\n', "", r"mine, line 3: .*name"),
        ('title = "Two phases"', "title = 3", r"mine, line 1: .*string"),
        ("[[phases]]", "[[phases", r"mine: .*line 3"),
    ],
)
def test_what_is_no_plan_is_refused_with_its_line(old: str, new: str, said: str) -> None:
    assert old in PLAN
    with pytest.raises(UsageError, match=said):
        read_plan(PLAN.replace(old, new, 1), "mine")


def test_a_plan_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.toml"):
        load_plan(tmp_path / "none.toml")
    with pytest.raises(UsageError, match="comprehensive, stress"):
        shipped_plan("none")
