from __future__ import annotations

from pathlib import Path

import pytest

from pytest_smartattend.errors import UsageError
from pytest_smartattend.readiness import requirements, scope

REQUIREMENTS = """version = "1"
[[groups.scenarios]]
id = "scenarios/a"
[[groups.scenarios]]
id = "scenarios/b"
plain = true
cells = ["z"]
products = [[["low", "high"], ["1", "2"]]]
without = ["low-2"]
"""


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.toml"
    path.write_text(REQUIREMENTS, "utf-8")
    return path


def test_cells_products_and_exceptions_expand_in_the_order_of_the_file(written: Path) -> None:
    cells = ["scenarios/b", "scenarios/b[z]", "scenarios/b[low-1]", "scenarios/b[high-1]", "scenarios/b[high-2]"]
    found = requirements.load(written)
    assert list(found.groups["scenarios"]) == ["scenarios/a", *cells]
    assert found.expand() == {"scenarios/a", *cells}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('version = "1"', "version = 1", ":1: `version` must be text"),
        ("plain = true", "plaim = true", ":6: `plaim` of scenarios/b is unknown"),
        ('id = "scenarios/a"', 'id = "storms/a"', ":3: every check of this group needs an id"),
        ('id = "scenarios/a"', 'id = "scenarios/b"', "required twice"),
        ('"low-2"', '"low-9"', ":9: `without` of scenarios/b names 'low-9'"),
        ('cells = ["z"]', "cells = 3", "`cells` of scenarios/b must be a list of texts"),
        ('[[["low", "high"], ["1", "2"]]]', "[3]", "list of lists of lists"),
        ("[[groups.scenarios]]", "[[group.scenarios]]", "`group` is unknown"),
        ('id = "scenarios/a"', "id = ", "not TOML"),
    ],
)
def test_a_mistake_is_named_with_file_and_line(written: Path, old: str, new: str, message: str) -> None:
    written.write_text(REQUIREMENTS.replace(old, new), "utf-8")
    with pytest.raises(UsageError) as caught:
        requirements.load(written)
    assert str(caught.value).startswith(str(written))
    assert message in str(caught.value)


SCOPE = """requirements = "1"
postgres = 17
required = ["scenarios/own"]
[[not_applicable]]
id = "scenarios/b"
reason = "one level only"
[[waivers]]
id = "scenarios/a"
reason = "ticket 1"
owner = "Ada"
expires = 2026-12-31
"""


def test_a_scope_says_what_is_required_left_out_and_waived(written: Path, tmp_path: Path) -> None:
    path = tmp_path / "readiness.toml"
    path.write_text(SCOPE, "utf-8")
    found = scope.load(path, requirements.load(written))
    assert (found.postgres, found.required) == (17, ("scenarios/own",))
    assert found.not_applicable[0]["id"] == "scenarios/b"
    assert found.waivers[0] == {"id": "scenarios/a", "reason": "ticket 1", "owner": "Ada", "expires": "2026-12-31"}
    assert len(found.digest) == 64


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('requirements = "1"', 'requirements = "0"', ":1: it pins requirements '0'"),
        ('requirements = "1"\n', "", "it pins requirements None"),
        ("postgres = 17", 'postgres = "17"', ":2: `postgres` must be a major version"),
        ("postgres = 17", "postgers = 17", ":2: `postgers` is unknown"),
        ('"scenarios/own"', '"Own"', ":3: 'Own' is no id"),
        ('id = "scenarios/b"', 'id = "scenarios/c"', ":5: scenarios/c in not_applicable is not required"),
        ('reason = "one level only"\n', "", ":5: scenarios/b in not_applicable lacks `reason`"),
        ('owner = "Ada"\n', "", ":8: scenarios/a in waivers lacks `owner`"),
        ('owner = "Ada"', 'owner = " "', "`owner` of scenarios/a is empty"),
        ("expires = 2026-12-31", 'expires = "2026-12-31"', "must be a day"),
        ("expires = 2026-12-31", "expires = 2026-12-31T00:00:00Z", "must be a day"),
        ("[[waivers]]", "[waivers]", "two brackets"),
        ('id = "scenarios/b"', 'id = "scenarios"', ":3: scenarios/own is required and, by scenarios, not applicable"),
        (
            'id = "scenarios/b"',
            'id = "scenarios/own"',
            "scenarios/own is required and, by scenarios/own, not applicable",
        ),
    ],
)
def test_a_mistake_in_a_scope_is_named_with_file_and_line(
    written: Path, tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = tmp_path / "readiness.toml"
    path.write_text(SCOPE.replace(old, new, 1), "utf-8")
    with pytest.raises(UsageError) as caught:
        scope.load(path, requirements.load(written))
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


TWO_GROUPS = REQUIREMENTS + '[[groups.storms]]\nid = "storms/c"\n'
BOTH = """requirements = "1"
postgres = 17
required = ["scenarios/own", "storms/own", "ours/own"]
[[not_applicable]]
id = "scenarios/b"
reason = "one \\"level\\" only \U0001f512\\u007f"
[[not_applicable]]
id = "storms/c"
reason = "no storms here"
[[waivers]]
id = "scenarios/own"
reason = "ticket 1"
owner = "Ada"
expires = 2026-12-31
[[waivers]]
id = "ours/own"
reason = "ticket 2"
owner = "Ada"
expires = 2026-12-31
[[sabotages]]
name = "twice"
breaks = "it"
plant = "true"
heal = "true"
"""


def test_a_scope_narrowed_to_a_group_keeps_what_speaks_of_that_group(tmp_path: Path) -> None:
    needed_in, path = tmp_path / "requirements.toml", tmp_path / "readiness.toml"
    needed_in.write_text(TWO_GROUPS, "utf-8")
    path.write_text(BOTH, "utf-8")
    needed = requirements.load(needed_in)
    whole = scope.load(path, needed)
    path.write_text(scope.narrowed(whole, "scenarios", needed), "utf-8")
    found = scope.load(path, needed)
    assert (found.postgres, found.required) == (17, ("scenarios/own",))
    others = {"id": "storms", "reason": "not asked for in this run"}
    assert found.not_applicable == (whole.not_applicable[0], others)
    assert found.not_applicable[0]["reason"] == 'one "level" only \U0001f512\x7f'
    assert found.waivers == whole.waivers[:1]
    path.write_text(scope.narrowed(scope.Scope(), "storms", needed), "utf-8")
    plain = scope.load(path, needed)
    assert (plain.postgres, plain.required, plain.waivers) == (None, (), ())
    assert plain.not_applicable == ({"id": "scenarios", "reason": "not asked for in this run"},)
