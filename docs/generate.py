"""Writes what follows from tables in the code: reference pages, and the version of the requirements in examples.

``--check`` only says whether they are up to date.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from contract_page import contract_page
from members import class_of, members

from pytest_smartattend import marks, options, plugin
from pytest_smartattend.readiness import reasons, requirements

REFERENCE = Path(__file__).parent / "reference"
_ROOT = REFERENCE.parents[1]
#: examples of a scope, which pins the version of the requirements that are in force
_PINNING = (
    "docs/how-to/only-the-fixtures.md",
    "docs/how-to/release-gate.md",
    "docs/reference/readiness-json.md",
    "pytest_smartattend/readiness/scope.py",
)
_OFFERS = ("| attribute or method | what it is |", "| --- | --- |")
_SQLALCHEMY = (
    "`dsn` is a libpq URL: psycopg takes it as it is. SQLAlchemy must be told the driver:",
    '`create_engine(database.dsn.replace("postgresql://", "postgresql+psycopg://", 1))`, and the same for',
    "`create_async_engine`; see [an example](../how-to/only-the-fixtures.md#with-sqlalchemy).",
    "",
)
_PIN = re.compile(r'^( *requirements = )"[^"]*"( *#)', re.MULTILINE)


def options_page() -> str:
    """The page of all options."""
    rows = [
        f"| `{o.command_line}` | `{o.environment}` | `{o.ini}` | {_shown(o.default)} | {o.accepts} | {o.help} |"
        for o in options.OPTIONS
    ]
    return "\n".join(
        [
            "# Options",
            "",
            "Generated from the table in `pytest_smartattend/options.py`. What is said on the command line holds; else the",
            "environment; else the ini file; else the default. A value that cannot be read is an error that names its source.",
            "",
            "| command line | environment | ini | default | accepts | what it is |",
            "| --- | --- | --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def _shown(default: object) -> str:
    return "none" if default in ("", (), None) else f"`{default}`"


def marks_page() -> str:
    """The page of all marks."""
    rows = [f"| `@pytest.mark.{mark}(id)` | {group} | {marks.HELP[mark]} |" for mark, group in marks.GROUPS.items()]
    return "\n".join(
        [
            "# Marks",
            "",
            "Generated from the table in `pytest_smartattend/marks.py`. A test with one of these marks is a check; its id is",
            'lower case with one slash: `@pytest.mark.scenario("scenarios/security-breach")`. A cell of a parametrised check',
            "has its cell in brackets behind it.",
            "",
            "| mark | group | what it is |",
            "| --- | --- | --- |",
            *rows,
            "",
            "`@pytest.mark.detects(*sabotages)` names the planted defects that a check must catch; `smartattend prove` holds",
            "it to that.",
            "",
        ]
    )


def fixtures_page() -> str:
    """The page of all fixtures."""
    rows, offers = [], {}
    for room in plugin.WIRING:
        tree = ast.parse((REFERENCE.parents[1] / "pytest_smartattend" / "wiring" / f"{room}.py").read_text("utf-8"))
        for node in tree.body:
            scope = _fixture_scope(node)
            if scope and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
                kind = ast.unparse(node.returns) if node.returns else ""
                for wrapper in ("Iterator", "Generator", "AsyncIterator"):
                    kind = re.sub(rf"^{wrapper}\[([^,]*)(,.*)?\]$", r"\1", kind)
                told = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
                given = class_of(kind, f"pytest_smartattend.wiring.{room}", tree)
                if given is not None:
                    offers[node.name] = ["", f"## {node.name}: {kind}", "", *_OFFERS, *members(given)]
                kind = kind.replace("|", "\\|")
                rows.append(f"| `{node.name}` | {scope} | `{kind}` | {told} |")
    return "\n".join(
        [
            "# Fixtures",
            "",
            "Generated from `pytest_smartattend/wiring/`. Of the types, `pytest_smartattend` exports what annotations need. Those that act on a",
            "platform need `--smartattend-target`; the others need nothing. Suites use private names of the same things, so that a",
            "fixture of yours with one of these names changes no shipped check.",
            "",
            "| fixture | scope | gives | what it is |",
            "| --- | --- | --- | --- |",
            *sorted(rows),
            *(line for name in sorted(offers) for line in offers[name]),
            "",
            *_SQLALCHEMY,
        ]
    )


def _fixture_scope(node: ast.stmt) -> str:
    """The scope of a function that is a fixture; empty for everything else."""
    for decorator in getattr(node, "decorator_list", []):
        if ast.unparse(decorator).startswith("pytest.fixture"):
            words = getattr(decorator, "keywords", [])
            return next((ast.literal_eval(word.value) for word in words if word.arg == "scope"), "function")
    return ""


def exit_codes_page() -> str:
    """The page of exit codes, with its table of reasons anew; what stands before the table is written by hand."""
    text = _text(REFERENCE / "exit-codes.md")
    head = text[: text.index("| code | status |")]
    rows = [f"| `{code}` | {row.status} | {row.says} | {row.advice} |" for code, row in reasons.CODES.items()]
    return head + "\n".join(["| code | status | what it says | what to do |", "| --- | --- | --- | --- |", *rows, ""])


def _pinned(path: Path) -> str:
    """The text with the version in force in its example, which there must be."""
    text, found = _PIN.subn(rf'\g<1>"{requirements.load().version}"\g<2>', _text(path))
    assert found, f"{path} shows no scope; take it from _PINNING"
    return text


PAGES: dict[Path, Callable[[], str]] = {
    REFERENCE / "options.md": options_page,
    REFERENCE / "marks.md": marks_page,
    REFERENCE / "fixtures.md": fixtures_page,
    REFERENCE / "exit-codes.md": exit_codes_page,
    REFERENCE / "contract.md": contract_page,
    **{_ROOT / name: partial(_pinned, _ROOT / name) for name in _PINNING},
}


def main() -> int:
    """Write or check every page; 1 when one is out of date."""
    stale = [path for path, page in PAGES.items() if _text(path) != page()]
    if "--check" in sys.argv:
        if stale:
            sys.stderr.write(f"out of date: {', '.join(path.name for path in stale)}. Run: python docs/generate.py\n")
        return 1 if stale else 0
    REFERENCE.mkdir(exist_ok=True)
    for path in stale:
        path.write_text(PAGES[path]())
    return 0


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
