"""The fixtures `postgres` and `database` in a stranger's project."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def run(pytester: pytest.Pytester, *words: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *words)


def test_a_strangers_tests_get_fresh_databases_with_their_schema(pytester: pytest.Pytester) -> None:
    pytester.makeini(
        "[pytest]\nsmartattend_schema = db\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n"
    )
    (pytester.path / "db").mkdir()
    (pytester.path / "db" / "1.sql").write_text("CREATE TABLE person (name text)")
    pytester.makepyfile(
        """
        import psycopg, pytest

        @pytest.mark.parametrize("number", range(6))
        def test_fresh(database, number):
            with psycopg.connect(database.dsn) as connection:
                assert connection.execute("SELECT count(*) FROM person").fetchone() == (0,)
                connection.execute("INSERT INTO person VALUES ('Ada')")
        """
    )
    run(pytester).assert_outcomes(passed=6)
    run(pytester, "-n", "2").assert_outcomes(passed=6)


def test_all_workers_share_one_server(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os, pathlib, time
        def meet(database, postgres, name):
            pathlib.Path(name).write_text(f"{postgres.running().pid}")
            while len(list(pathlib.Path().glob("seen-*"))) < 2:
                time.sleep(0.01)
        def test_one(database, postgres): meet(database, postgres, "seen-1")
        def test_two(database, postgres): meet(database, postgres, "seen-2")
        """
    )
    run(pytester, "-n", "2").assert_outcomes(passed=2)
    assert len({path.read_text() for path in pytester.path.glob("seen-*")}) == 1


def test_fixtures_of_the_same_name_do_not_disturb_each_other(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        @pytest.fixture
        def postgres(): return "mine"
        def test_both(postgres, database):
            assert postgres == "mine"
            assert database.dsn.startswith("postgresql://")
        """
    )
    run(pytester).assert_outcomes(passed=1)


def test_a_failed_schema_is_the_tests_error_with_statement_and_advice(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nsmartattend_schema = wrong.sql\n")
    (pytester.path / "wrong.sql").write_text("CREATE TABLE t (a int);\nNONSENSE;\n")
    pytester.makepyfile(test_it="def test_a(database): pass\ndef test_b(database): pass")
    result = run(pytester)
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*wrong.sql, line 2: syntax error at or near*", "*NONSENSE*"])
    result.stdout.fnmatch_lines(["ERROR test_it.py::test_a - Failed: /*"])
    assert ".py:" not in str(result.stdout).replace("test_it.py::", "")  # no frames of ours


def test_which_server_was_taken_and_why_is_said(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_a(database): pass")
    for words in (("-v",), ("-v", "-n", "1")):
        result = run(pytester, *words)
        result.stdout.fnmatch_lines(["smartattend: PostgreSQL 18.* from embedded (the first that can be had), *"])


def test_a_project_that_uses_no_database_starts_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_a(postgres): assert not postgres.describe()["started"]
        def test_b(): pass
        """
    )
    result = run(pytester, "-v")
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("*smartattend: PostgreSQL*")


FAILING = """
    import psycopg, pytest
    @pytest.mark.parametrize("number", range(4))
    def test_fails(database, number):
        with psycopg.connect(database.dsn) as connection:
            connection.execute("CREATE TABLE seen AS SELECT %s::int AS number", [number])
            connection.execute(f"CREATE ROLE reader{number}; GRANT SELECT ON seen TO reader{number}")
        assert number == 9
    def test_passes(database): pass
"""


def test_a_failed_tests_database_is_kept_within_bounds_and_opens_again(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=FAILING)
    result = run(pytester, "--smartattend-keep=2")
    result.assert_outcomes(failed=4, passed=1)
    result.stdout.fnmatch_lines(["smartattend db open 'test_it.py::test_fails[[]3[]]'"])
    listed = command("list")
    assert re.findall(r"test_it\S+", listed) == ["test_it.py::test_fails[3]", "test_it.py::test_fails[2]"]
    opened = subprocess.Popen(
        [sys.executable, "-m", "pytest_smartattend.cli", "db", "open", "test_it.py::test_fails[3]"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert opened.stdout is not None
    shown = next(line for line in opened.stdout if "postgresql://" in line)
    dsn = shown.split()[-1].strip("'")
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT number FROM seen").fetchone() == (3,)
        assert connection.execute("SELECT has_table_privilege('reader3', 'seen', 'SELECT')").fetchone() == (True,)
    folder = Path(re.findall(r"host=([^&]+)", dsn)[0])
    assert folder.is_dir()
    opened.send_signal(signal.SIGINT)
    assert opened.wait(120) == 0
    opened.stdout.close()
    assert not folder.exists()
    assert "removed test_it.py::test_fails[3]" in command("remove", "fails[3]")
    assert "removed test_it.py::test_fails[2]" in command("remove", "--all")
    assert "Nothing is kept" in command("list")


def test_an_opened_database_that_is_killed_leaves_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=FAILING)
    run(pytester, "--smartattend-keep=1")
    opened = subprocess.Popen(
        [sys.executable, "-m", "pytest_smartattend.cli", "db", "open", "fails"], stdout=subprocess.PIPE, text=True
    )
    assert opened.stdout is not None
    shown = next(line for line in opened.stdout if "postgresql://" in line)
    folder = Path(re.findall(r"host=([^&]+)", shown)[0])
    opened.kill()
    opened.wait()
    opened.stdout.close()
    deadline = time.monotonic() + 120
    while folder.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_printed_command_opens_this_projects_database_though_anothers_is_newer(pytester: pytest.Pytester) -> None:
    for project in ("one", "two"):
        folder = pytester.mkdir(project)
        (folder / "pytest.ini").touch()
        (folder / "test_it.py").write_text("def test_it(database): assert database is None")
    for words in (["one"], ["-n", "1", "one"], ["two"]):
        said = re.findall(
            r"smartattend db open (test_it.py::test_it) --project=(.*)", str(run(pytester, *words).stdout)
        )
        assert said == [("test_it.py::test_it", str(pytester.path / words[-1]))]
    assert command("remove", "test_it", f"--project={pytester.path / 'one'}").endswith(f"of {pytester.path / 'one'}\n")
    assert str(pytester.path / "two") in command("list")


def test_nothing_is_kept_when_nothing_should_be(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=FAILING)
    result = run(pytester, "--smartattend-keep=0")
    result.stdout.no_fnmatch_line("*smartattend db open*")
    assert "Nothing is kept" in command("list")


def test_an_unknown_check_is_answered_with_what_there_is(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=FAILING)
    run(pytester, "--smartattend-keep=2")
    for words, said in (
        (("open", "nowhere"), "No database of 'nowhere' is kept"),
        (("open", "fails"), "may mean several"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "pytest_smartattend.cli", "db", *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert said in done.stderr
        assert "test_it.py::test_fails[3]" in done.stderr


@pytest.mark.parametrize("words", [(), ("-n", "1")])
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("postgres=mysql", "--smartattend-postgres: cannot read 'mysql' *. Give auto, embedded*"),
        ("postgres=postgresql://u@127.0.0.1", "postgresql://u@127.0.0.1 must name one user*"),
        (
            "postgres=postgresql://u@db.example.org/d",
            "*is not on this machine*--smartattend-allow-host=db.example.org*",
        ),
        ("schema=none.sql", "The schema's file *none.sql does not exist. Give SQL files*"),
        ("schema=command: a 'b", "The schema * cannot be read: No closing quotation*"),
    ],
)
def test_what_is_wrong_without_a_server_is_said_once_and_no_test_runs(
    pytester: pytest.Pytester, wrong: str, said: str, words: tuple[str, ...]
) -> None:
    pytester.makepyfile("def test_a(database): pass\ndef test_b(database): pass")
    result = run(pytester, f"--smartattend-{wrong}", *words)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {said}"])
    assert "Traceback" not in str(result.stderr)


def test_a_mistake_that_shows_only_with_a_server_is_the_whole_message_of_each_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it="def test_a(database): pass\ndef test_b(database): pass")
    for wrong, said in (
        ("postgres_version=99", "No PostgreSQL with version 99 can be had here"),
        ("schema=python: own_shop.up:up", "The schema's module 'own_shop.up' cannot be imported"),
    ):
        result = run(pytester, f"--smartattend-{wrong.replace('_version', '-version')}")
        result.assert_outcomes(errors=2)
        shown = str(result.stdout)
        assert re.search(rf"^{said}", shown, re.MULTILINE)
        assert re.search(r"^ERROR .*::test_a - Failed: (No|The) ", shown, re.MULTILINE)
        assert ".py:" not in shown.replace("test_it.py::", "")


def command(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pytest_smartattend.cli", "db", *words],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
