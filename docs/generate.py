"""Writes the reference pages that follow from tables in the code. ``--check`` only says whether they are up to date."""

from __future__ import annotations

import sys
from pathlib import Path

from pytest_smartattend import marks, options

REFERENCE = Path(__file__).parent / "reference"


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


PAGES = {"options.md": options_page, "marks.md": marks_page}


def main() -> int:
    """Write or check every page; 1 when one is out of date."""
    stale = [name for name, page in PAGES.items() if _text(REFERENCE / name) != page()]
    if "--check" in sys.argv:
        if stale:
            sys.stderr.write(f"out of date: {', '.join(stale)}. Run: python docs/generate.py\n")
        return 1 if stale else 0
    REFERENCE.mkdir(exist_ok=True)
    for name in stale:
        (REFERENCE / name).write_text(PAGES[name]())
    return 0


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
