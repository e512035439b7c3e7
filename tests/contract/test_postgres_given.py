"""A server named by URL. A throwaway server plays the person's own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from pytest_smartattend.errors import SchemaFailed, ServerFailed, UnsafeTarget
from pytest_smartattend.postgres import given, kept
from pytest_smartattend.postgres.choosing import Wanted
from pytest_smartattend.postgres.database_command import restored
from pytest_smartattend.postgres.schema import EmptySchema, SqlFiles
from pytest_smartattend.postgres.server import Server
from pytest_smartattend.postgres.standalone import throwaway


@pytest.fixture(scope="module")
def theirs() -> Iterator[Server]:
    with throwaway(Wanted()) as server, server.connect() as connection:
        for name in ("marked", "unmarked"):
            connection.execute(f"CREATE DATABASE {name}")
        connection.execute(f"COMMENT ON DATABASE marked IS '{given.MARK}'")
        connection.execute("CREATE ROLE maker LOGIN CREATEDB; CREATE ROLE visitor LOGIN")
        yield server


def url(theirs: Server, database: str, user: str = "maker") -> str:
    address = theirs.address
    assert isinstance(address, str)
    return f"postgresql://{user}@{quote(str(Path(address).parent), safe='')}:5432/{database}"


def databases(theirs: Server) -> set[str]:
    with theirs.connect() as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database").fetchall()}


def test_an_unmarked_database_is_refused_with_the_command_that_marks_it(theirs: Server) -> None:
    before = databases(theirs)
    with throwaway(Wanted(postgres=url(theirs, "unmarked"))) as server:
        with pytest.raises(UnsafeTarget) as raised:
            server.pool(EmptySchema())
        assert "COMMENT ON DATABASE \"unmarked\" IS 'smartattend: disposable'" in str(raised.value)
    assert databases(theirs) == before


def test_databases_are_made_beside_the_marked_one_and_dropped_at_the_end(theirs: Server, tmp_path: Path) -> None:
    before = databases(theirs)
    (tmp_path / "a.sql").write_text("CREATE TABLE t AS SELECT 7 AS a")
    with throwaway(Wanted(postgres=url(theirs, "marked"))) as server:
        database = server.pool(SqlFiles((tmp_path / "a.sql",))).take()
        made = databases(theirs) - before
        assert database.name in made
        assert all(name.startswith(server.prefix) for name in made)
        with psycopg.connect(database.dsn) as connection:
            assert connection.execute("SELECT a, current_user FROM t").fetchone() == (7, "maker")
        assert not server.superuser
        assert server.describe()["provider"] == "url"
        assert databases(theirs) >= {"marked", "unmarked"}
    assert databases(theirs) == before


def test_databases_of_dead_runs_are_dropped_and_those_of_living_ones_are_not(theirs: Server) -> None:
    dead, alive = uuid.uuid4().hex[:12], uuid.uuid4().hex[:12]
    with theirs.connect("unmarked") as living, theirs.connect() as connection:
        given.lock(living, alive)  # held on another database of the server
        connection.execute("SET ROLE maker")
        for run in (dead, alive):
            connection.execute(f"CREATE DATABASE smartattend_{run}_main_1")
        connection.execute(f"ALTER DATABASE smartattend_{dead}_main_1 IS_TEMPLATE true ALLOW_CONNECTIONS false")
        with throwaway(Wanted(postgres=url(theirs, "marked"))) as server:
            server.dsn("marked")
            assert f"smartattend_{dead}_main_1" not in databases(theirs)
            assert f"smartattend_{alive}_main_1" in databases(theirs)
        connection.execute(f"DROP DATABASE smartattend_{alive}_main_1")


def test_a_kept_database_that_is_served_is_not_taken_for_a_dead_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with throwaway(Wanted()) as server:
        database = server.pool(EmptySchema()).take()
        one = kept.keep(kept.Subject(database.dsn, database.name, server.version, "it", tmp_path, 5))
    with restored(one) as served:
        with served.connect() as connection:
            connection.execute("CREATE DATABASE marked")
            connection.execute(f"COMMENT ON DATABASE marked IS '{given.MARK}'")
        with throwaway(Wanted(postgres=url(served, "marked", "postgres"))) as another:
            another.dsn("marked")
            assert one.database in databases(served)


def test_a_user_who_may_make_no_databases_is_told_what_to_do(theirs: Server) -> None:
    with (
        throwaway(Wanted(postgres=url(theirs, "marked", "visitor"))) as server,
        pytest.raises(ServerFailed, match="ALTER ROLE CURRENT_USER CREATEDB"),
    ):
        server.dsn("marked")


@pytest.mark.parametrize(
    ("wanted", "said"), [({"version": "==17"}, "not ==17"), ({"extensions": ("postgis",)}, "has no extension postgis")]
)
def test_a_server_that_is_not_what_was_asked_for_is_refused(theirs: Server, wanted: dict[str, str], said: str) -> None:
    with (
        throwaway(Wanted(postgres=url(theirs, "marked"), **wanted)) as server,  # type: ignore[arg-type]
        pytest.raises(ServerFailed, match=said),
    ):
        server.dsn("marked")


def test_an_unreachable_server_is_an_error_that_names_it_without_its_password() -> None:
    with throwaway(Wanted(postgres="postgresql://u:secret@127.0.0.1:1/d")) as server:
        with pytest.raises(ServerFailed, match=r"postgresql://u@127\.0\.0\.1:1/d.*does not answer") as raised:
            server.dsn("d")
        assert "secret" not in str(raised.value)
        assert str(raised.value).endswith("Is it started? Are address, user and password of the URL right?")
        assert "PostgreSQL 0" not in str(raised.value)


def test_a_database_that_is_not_there_is_told_with_how_to_make_it(theirs: Server) -> None:
    with throwaway(Wanted(postgres=url(theirs, "nowhere"))) as server, pytest.raises(ServerFailed) as raised:
        server.dsn("nowhere")
    assert str(raised.value).startswith("There is no database 'nowhere' at postgresql://maker@")
    assert 'CREATE DATABASE "nowhere"; COMMENT ON DATABASE "nowhere" IS' in str(raised.value)


def test_a_mark_that_is_nearly_right_is_shown_as_it_is(theirs: Server) -> None:
    with theirs.connect() as connection:
        connection.execute("CREATE DATABASE nearly")
        connection.execute("COMMENT ON DATABASE nearly IS 'smartattend: disposable;'")
    with throwaway(Wanted(postgres=url(theirs, "nearly"))) as server, pytest.raises(UnsafeTarget) as raised:
        server.dsn("nearly")
    assert str(raised.value).endswith("Its comment is now 'smartattend: disposable;'.")


def test_of_a_file_that_committed_its_first_half_nothing_untrue_is_said(theirs: Server, tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("begin; create table t (a int); commit; nonsense;")
    with throwaway(Wanted(postgres=url(theirs, "marked"))) as server, pytest.raises(SchemaFailed) as raised:
        server.pool(SqlFiles((tmp_path / "a.sql",)))
    assert "Nothing of this file" not in str(raised.value)
    assert str(raised.value).endswith("Correct it and run again.")
