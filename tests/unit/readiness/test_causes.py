"""What was not shown is told by its causes, in the terminal, the document and the page."""

from __future__ import annotations

from typing import Any

from pytest_smartattend.readiness import summary
from pytest_smartattend.readiness.page import render
from pytest_smartattend.readiness.reading import schema_faults
from tests.unit.readiness.documents import build, check

ROWS = "Skipped: not run: the target does not offer its [records]. Let the adapter offer it."
CLOCK = "Skipped: not run: the target does not offer a clock door. Let the adapter offer it."


def of_a_strangers_platform() -> dict[str, Any]:
    """Most was skipped for one cause, which is not the first by the alphabet."""
    drills = [check("drills/data-corruption", "skipped", reason="Skipped: not run: no instances")]
    made = [check(f"scenarios/rows[{n}]", "skipped", reason=ROWS) for n in range(58)]
    made += [check(f"scenarios/time[{n}]", "skipped", reason=CLOCK) for n in range(6)]
    made += [check(f"scenarios/up[{n}]", "error", reason=f"refused at port {4000 + n}\nmore") for n in range(3)]
    made += [check(f"scenarios/gone[{n}]", "missing") for n in range(9)]
    return build({"scenarios": made, "drills": drills})


def test_causes_are_told_most_frequent_first_with_number_and_example() -> None:
    lines = [line.strip() for line in summary.lines(of_a_strangers_platform())]
    at = next(place for place, line in enumerate(lines) if "check_skipped" in line)
    assert [line.partition(".")[0] for line in lines[at + 1 : at + 4]] == [
        "58 checks: the target does not offer its [records]",
        "6 checks: the target does not offer a clock door",
        "1 check: no instances (such as drills/data-corruption)",
    ]
    assert lines[at + 1].endswith("(such as scenarios/rows[0])")
    assert "3 checks: refused at port 4000 (such as scenarios/up[0])" in lines
    assert "9 checks: scenarios/gone (such as scenarios/gone[0])" in lines


def test_what_was_skipped_is_counted_beside_what_passed_or_failed() -> None:
    made = [check("scenarios/a"), check("scenarios/b", "failed"), check("scenarios/c", "skipped", reason=ROWS)]
    lines = list(summary.lines(build({"scenarios": made})))
    assert "  3 checks required, 2 passed or failed, 1 skipped, nothing lost" in lines


def test_many_causes_take_few_lines() -> None:
    made = [check(f"scenarios/x[{n}]", "skipped", reason=f"Skipped: {'abcdefghij'[n]} is away") for n in range(10)]
    lines = list(summary.lines(build({"scenarios": made})))
    assert len([line for line in lines if " (such as " in line]) == 4
    assert "      … and 6 more, for 6 other causes" in lines


def test_document_and_page_tell_the_causes_too() -> None:
    made = of_a_strangers_platform()
    assert schema_faults(made) == []
    assert any("58 checks: the target does not offer its [records]" in gap for gap in made["findings"]["gaps"])
    assert "58 checks: the target does not offer its [records]" in render.render(made).partition('id="integrity"')[0]
