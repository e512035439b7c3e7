"""Every example of the how-tos is run as a reader would run it: a new folder, the files, pytest."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
_BLOCK = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def _files(page: Path) -> dict[str, str]:
    return dict(_BLOCK.findall(page.read_text()))


WITH_TESTS = [page for page in sorted(HOW_TO.glob("*.md")) if any(name.endswith(".py") for name in _files(page))]


@pytest.mark.parametrize("arguments", [[], ["-n", "2"]], ids=["alone", "two-workers"])
@pytest.mark.parametrize("page", WITH_TESTS, ids=lambda page: page.stem)
def test_the_examples_of_a_how_to_pass(pytester: pytest.Pytester, page: Path, arguments: list[str]) -> None:
    for name, text in _files(page).items():
        (pytester.path / name).write_text(text)
    done = pytester.run(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *arguments)
    assert done.ret == 0
    done.stdout.fnmatch_lines(["*passed*"])
