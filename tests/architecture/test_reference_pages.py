"""The generated pages say what the tables say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from pytest_smartattend.reference.domain.problems import PROBLEMS
from pytest_smartattend.target.operations import OPERATIONS

ROOT = Path(__file__).parents[2]


def test_the_generated_pages_are_up_to_date() -> None:
    done = subprocess.run([sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_page_of_the_contract_names_every_operation_and_problem_and_links_to_what_it_has() -> None:
    page = (ROOT / "docs" / "reference" / "contract.md").read_text("utf-8")
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    assert [one for one in OPERATIONS if one.replace(" ", " /api") not in headings] == []
    assert [code for code in PROBLEMS if f"| `{code}` | {PROBLEMS[code].status} |" not in page] == []
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) - anchors == set()


def test_the_page_of_fixtures_says_how_each_is_used() -> None:
    page = (ROOT / "docs" / "reference" / "fixtures.md").read_text("utf-8")
    for said in ("expect(name: str, seen: object, expected: object) -> None", "dsn_as(user: str) -> str", "dsn"):
        assert f"| `{said}` | " in page
    assert "on(path: str, fault: Fault, *, may_not_fire: bool=False) -> ContextManager[Held]" in page
