"""Every example of the how-tos is run as a reader would run it: a new folder, the files, pytest."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
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


@pytest.mark.parametrize(
    ("text", "broken", "status"),
    [
        ("", "", "ready"),
        ("seats, 120)", "seats, 121)", "not_ready"),
        ("@pytest.mark.scenario", "@pytest.mark.skip\n@pytest.mark.scenario", "incomplete"),
    ],
    ids=["as-it-is", "failing", "not-run"],
)
def test_the_scope_of_only_the_fixtures_gives_a_true_verdict(
    pytester: pytest.Pytester, text: str, broken: str, status: str
) -> None:
    for name, content in _files(HOW_TO / "only-the-fixtures.md").items():
        (pytester.path / name).write_text(content.replace(text, broken) if name.endswith(".py") and text else content)
    options = ("--smartattend-scope=readiness.toml", "--smartattend-report=reports")
    done = pytester.run(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *options)
    assert "asyncio_default_fixture_loop_scope" not in done.stdout.str() + done.stderr.str()
    assert json.loads((pytester.path / "reports" / "readiness.json").read_text())["status"] == status


@pytest.mark.parametrize("fitting", [True, False], ids=["with-pythonpath", "without"])
def test_the_module_of_a_python_schema_must_be_importable(pytester: pytest.Pytester, *, fitting: bool) -> None:
    files = _files(HOW_TO / "only-the-fixtures.md")
    settings = files["pyproject.toml"].replace('"schema.sql"', '"python: make_schema:make"')
    (pytester.path / "pyproject.toml").write_text(settings + 'pythonpath = ["."]\n' * fitting)
    (pytester.path / "schema.sql").write_text(files["schema.sql"])
    (pytester.path / "make_schema.py").write_text(
        "import pathlib, psycopg\n"
        "def make(url):\n"
        "    with psycopg.connect(url) as connection:\n"
        "        connection.execute(pathlib.Path(__file__).with_name('schema.sql').read_text())\n"
    )
    (pytester.path / "tests").mkdir()
    (pytester.path / "tests" / "test_rooms.py").write_text(files["test_rooms.py"])
    words = [str(Path(sys.executable).with_name("pytest")), "-p", "no:cacheprovider", "-q"]
    # not by pytester, which puts the folder on PYTHONPATH
    done = subprocess.run(words, cwd=pytester.path, capture_output=True, text=True)
    assert (done.returncode == 0) == fitting, done.stdout
    assert ("The schema's module 'make_schema' cannot be imported" in done.stdout) != fitting


@pytest.mark.skipif(shutil.which("psql") is None, reason="there is no psql here")
def test_what_only_psql_understands_goes_by_the_script(pytester: pytest.Pytester) -> None:
    for name, text in _files(HOW_TO / "only-the-fixtures.md").items():
        (pytester.path / name).write_text(text.replace('"schema.sql"', '"command: sh schema.sh schema.sql"'))
    with (pytester.path / "schema.sql").open("a") as file:
        file.write("\\echo made\ncreate index concurrently seats on rooms (seats);\n")
    done = pytester.run(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q")
    assert done.ret == 0
