from __future__ import annotations

from pathlib import Path

import pytest

from pytest_smartattend.errors import SchemaFailed, UsageError
from pytest_smartattend.postgres import templates
from pytest_smartattend.postgres.schema import Command, EmptySchema, PythonFunction, SqlFiles, parse_schema


def test_no_text_is_the_empty_schema(tmp_path: Path) -> None:
    assert parse_schema("  ", tmp_path) == EmptySchema()
    assert templates.name_of(EmptySchema(), "x_") == "template0"


def test_files_are_taken_in_the_order_given_and_folders_by_name(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    for name in ("db/002.sql", "db/001.sql", "db/notes.txt", "seed.sql"):
        (tmp_path / name).write_text(name)
    schema = parse_schema("seed.sql, db", tmp_path)
    assert isinstance(schema, SqlFiles)
    assert [file.name for file in schema.files()] == ["seed.sql", "001.sql", "002.sql"]


def test_the_digest_of_files_follows_their_text_and_order_and_not_their_names(tmp_path: Path) -> None:
    one, two = tmp_path / "1.sql", tmp_path / "2.sql"
    one.write_text("a")
    two.write_text("b")
    first = SqlFiles((one, two)).digest()
    assert SqlFiles((two, one)).digest() != first
    assert SqlFiles((one.rename(tmp_path / "3.sql"), two)).digest() == first
    two.write_text("c")
    assert SqlFiles((tmp_path / "3.sql", two)).digest() != first


def test_bytes_cannot_move_between_two_files_unseen(tmp_path: Path) -> None:
    one, two = tmp_path / "1.sql", tmp_path / "2.sql"
    one.write_text("ab")
    two.write_text("c")
    first = SqlFiles((one, two)).digest()
    one.write_text("a")
    two.write_text("bc")
    assert SqlFiles((one, two)).digest() != first


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nowhere.sql", r"nowhere\.sql does not exist"),
        ("command:", "names no program"),
        ("python: module", r"is not 'python: package\.module:function'"),
        ("python: module:not a name", r"is not 'python: package\.module:function'"),
        ("empty", r"has no \.sql files"),
    ],
)
def test_a_wrong_schema_is_a_usage_error_that_says_what_is_accepted(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=said):
        parse_schema(text, tmp_path)


def test_a_commands_digest_follows_the_migrations_it_names_and_the_usual_ones(tmp_path: Path) -> None:
    (tmp_path / "changes").mkdir()
    (tmp_path / "migrations").mkdir()
    (tmp_path / "elsewhere").mkdir()
    schema = parse_schema("command: migrate --dir=changes", tmp_path)
    assert isinstance(schema, Command)
    digests = {schema.digest()}
    for name in ("changes/1.sql", "migrations/1.py"):
        (tmp_path / name).write_text("x")
        digests.add(schema.digest())
    assert len(digests) == 3
    (tmp_path / "elsewhere" / "note").write_text("x")
    (tmp_path / "migrations" / "__pycache__").mkdir()
    (tmp_path / "migrations" / "__pycache__" / "1.pyc").write_text("x")
    assert schema.digest() in digests


def test_a_command_gets_the_url_and_none_of_libpqs_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGDATABASE", "elsewhere")
    Command(("sh", "-c", 'echo "$DATABASE_URL/$PGDATABASE" > seen'), tmp_path).apply("postgresql://u@h/d")
    assert (tmp_path / "seen").read_text() == "postgresql://u@h/d/\n"


def test_a_failed_command_shows_the_end_of_its_output(tmp_path: Path) -> None:
    with pytest.raises(SchemaFailed, match=r"(?s)ended with 3:\nout\nerr.*Correct the migrations"):
        Command(("sh", "-c", "echo out; echo err >&2; exit 3"), tmp_path).apply("postgresql://u@h/d")


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(SchemaFailed, match="Is no-such-program installed and on PATH"):
        Command(("no-such-program",), tmp_path).apply("postgresql://u@h/d")


def test_a_python_function_may_be_async_and_gets_the_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "own_migrations_a.py"
    source.write_text("seen = []\nasync def upgrade(dsn): seen.append(dsn)\n")
    monkeypatch.syspath_prepend(tmp_path)
    schema = parse_schema("python: own_migrations_a:upgrade", tmp_path)
    schema.apply("postgresql://u@h/d")
    import own_migrations_a  # type: ignore[import-not-found]

    assert own_migrations_a.seen == ["postgresql://u@h/d"]
    before = schema.digest()
    source.write_text("def upgrade(dsn): pass\n")
    assert schema.digest() != before


def test_a_python_function_that_raises_is_a_failed_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_migrations_b.py").write_text("def upgrade(dsn): raise ValueError('no such column')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SchemaFailed, match="raised ValueError: no such column"):
        PythonFunction("own_migrations_b", "upgrade").apply("postgresql://u@h/d")


@pytest.mark.parametrize("module", ["own_migrations_c", "own_shop_c.migrations", "own_broken_c.migrations"])
def test_a_module_that_cannot_be_imported_is_told_with_the_reason_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    (tmp_path / "own_broken_c").mkdir()
    (tmp_path / "own_broken_c" / "__init__.py").write_text("import os; os.environ['NO_SUCH_VARIABLE']")
    monkeypatch.syspath_prepend(tmp_path)
    why = "KeyError: 'NO_SUCH_VARIABLE'" if "broken" in module else f"No module named '{module.partition('.')[0]}'"
    for attempt, error in (("digest", UsageError), ("apply", SchemaFailed)):
        with pytest.raises(error) as raised:
            getattr(PythonFunction(module, "upgrade"), attempt)(*["postgresql://u@h/d"][: attempt == "apply"])
        said = str(raised.value)
        assert said.startswith(f"The schema's module {module!r} cannot be imported: ")
        assert why in said
        assert said.endswith('pythonpath = ["."] in the pytest configuration, or install it.')


def test_a_function_that_is_not_in_its_module_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_migrations_d.py").write_text("def upgrade(dsn): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SchemaFailed, match="The schema's module 'own_migrations_d' has no function 'downgrade'"):
        PythonFunction("own_migrations_d", "downgrade").apply("postgresql://u@h/d")


def test_a_python_function_that_raises_shows_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_migrations_e.py").write_text("def upgrade(dsn):\n    raise ValueError('no')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SchemaFailed) as raised:
        PythonFunction("own_migrations_e", "upgrade").apply("postgresql://u@h/d")
    assert f'{tmp_path / "own_migrations_e.py"}", line 2, in upgrade' in str(raised.value)
    assert "schema.py" not in str(raised.value)
