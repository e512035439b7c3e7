"""The server, its templates and its pool, on a real PostgreSQL."""

from __future__ import annotations

import os
import shutil
import signal
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pytest_smartattend.errors import SchemaFailed, ServerFailed
from pytest_smartattend.evidence import run_directory
from pytest_smartattend.postgres import cache, keeper, pool
from pytest_smartattend.postgres.choosing import Wanted
from pytest_smartattend.postgres.schema import EmptySchema, SqlFiles
from pytest_smartattend.postgres.server import Server
from pytest_smartattend.postgres.standalone import throwaway


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where ready copies of this test lie: a folder of its own where servers run."""
    # Two levels down: a keeper that comes to its work after the test makes the two folders it needs, never their parent.
    home = Path(tempfile.mkdtemp(prefix=".test-", dir=run_directory.make_user_folder(run_directory.bases()[0])))
    home.chmod(0o711)
    folder = home / "user" / "ready"
    folder.mkdir(parents=True)
    made = cache.ClusterCache.__init__

    def isolated(self: cache.ClusterCache, home: Path | None, _ready: Path) -> None:
        made(self, home, folder)

    monkeypatch.setattr(cache.ClusterCache, "__init__", isolated)
    yield folder
    while home.exists():  # the last run's successor may still be unpacked into it
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ready: Path) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pytest-smartattend" / "clusters"


def wait_for_ready_copy(ready: Path) -> None:
    """The keeper unpacks it when the run is over."""
    deadline = time.monotonic() + 60
    while not [path for path in ready.iterdir() if not path.name.startswith(".")]:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def sql(folder: Path, text: str, name: str = "schema.sql") -> SqlFiles:
    (folder / name).write_text(text)
    return SqlFiles((folder / name,))


def rows(server: Server, database: str, query: str) -> list[tuple[object, ...]]:
    with server.connect(database) as connection:
        return connection.execute(query).fetchall()


def origin(wanted: Wanted, schema: SqlFiles) -> str:
    with throwaway(wanted) as server:
        database = server.pool(schema).take()
        assert rows(server, database.name, "SELECT a FROM t") == [(7,)]
        return str(server.describe()["cluster"])


def test_the_first_run_builds_and_later_runs_do_not_migrate(own_cache: Path, tmp_path: Path) -> None:
    applied = tmp_path / "applied"
    schema = sql(tmp_path, f"CREATE TABLE t AS SELECT 7 AS a; COPY (SELECT 1) TO PROGRAM 'cat >> {applied}';")
    assert origin(Wanted(), schema) == "new"
    assert origin(Wanted(), schema) in {"archive", "ready copy"}
    assert applied.read_text() == "1\n"
    assert len(list(own_cache.glob("*.tar"))) == 2  # without and with the schema


def test_a_ready_copy_is_made_after_a_run_and_taken_by_the_next(own_cache: Path, ready: Path, tmp_path: Path) -> None:
    schema = sql(tmp_path, "CREATE TABLE t AS SELECT 7 AS a")
    origin(Wanted(), schema)
    wait_for_ready_copy(ready)
    assert origin(Wanted(), schema) == "ready copy"
    assert own_cache.exists()


def test_a_damaged_ready_copy_gives_way_to_the_archive(own_cache: Path, ready: Path, tmp_path: Path) -> None:
    schema = sql(tmp_path, "CREATE TABLE t AS SELECT 7 AS a")
    origin(Wanted(), schema)
    wait_for_ready_copy(ready)
    next(ready.glob("*/global/pg_control")).write_bytes(b"")
    assert origin(Wanted(), schema) == "archive"
    assert len(list(own_cache.glob("*.tar"))) == 2


@pytest.mark.parametrize("damage", ["cut", "empty", "not an archive", "damaged inside"])
def test_a_damaged_archive_is_rebuilt(damage: str, own_cache: Path, ready: Path, tmp_path: Path) -> None:
    schema = sql(tmp_path, "CREATE TABLE t AS SELECT 7 AS a")
    origin(Wanted(), schema)
    wait_for_ready_copy(ready)
    shutil.rmtree(next(ready.iterdir()))
    for archive in own_cache.glob("*.tar"):
        if damage == "damaged inside":
            with tarfile.open(archive) as opened:
                opened.extraction_filter = lambda member, _: member  # Python before 3.11.4 has no argument for it
                opened.extractall(tmp_path / archive.stem)
            (tmp_path / archive.stem / "global" / "pg_control").write_bytes(b"")
            with tarfile.open(archive, "w") as opened:
                opened.add(tmp_path / archive.stem, ".")
        else:
            whole = archive.read_bytes()
            archive.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "not an archive": b"x" * 4096}[damage])
    assert origin(Wanted(), schema) == "new"
    assert origin(Wanted(), schema) in {"archive", "ready copy"}


def test_a_cache_that_cannot_be_written_to_is_done_without(own_cache: Path, tmp_path: Path) -> None:
    own_cache.parent.mkdir(parents=True)
    own_cache.write_text("a file where the folder should be")
    assert origin(Wanted(), sql(tmp_path, "CREATE TABLE t AS SELECT 7 AS a")) == "new"


def test_the_cache_is_bounded(own_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cache, "MOST_ARCHIVES", 2)
    for number in range(3):
        origin(Wanted(), sql(tmp_path, f"CREATE TABLE t AS SELECT 7 AS a, {number} AS b"))
    assert len(list(own_cache.glob("*.tar"))) == 2


def test_a_failed_schema_shows_file_line_and_words_and_leaves_no_server(tmp_path: Path, own_cache: Path) -> None:
    schema = sql(tmp_path, "CREATE TABLE t (a int);\nCREATE TABLE u (b nothing);\n")
    with throwaway(Wanted()) as server:
        for _ in range(2):
            with pytest.raises(
                SchemaFailed, match=r'(?s)schema\.sql, line 2: type "nothing" does not exist.*Correct it'
            ):
                server.pool(schema)
        assert server.describe()["started"] is False
        database = server.pool(EmptySchema()).take()  # the server itself is well
        assert rows(server, database.name, "SELECT 1") == [(1,)]
    assert len(list(own_cache.glob("*.tar"))) == 1


def test_databases_are_fresh_and_apart(tmp_path: Path) -> None:
    with throwaway(Wanted()) as server:
        databases = server.pool(sql(tmp_path, "CREATE TABLE t AS SELECT 7 AS a"))
        first, second = databases.take(), databases.take()
        assert first.name != second.name
        rows(server, first.name, "DELETE FROM t RETURNING a")
        assert rows(server, second.name, "SELECT a FROM t") == [(7,)]


def test_a_second_schema_is_served_by_the_same_server(tmp_path: Path) -> None:
    with throwaway(Wanted()) as server:
        one = server.pool(sql(tmp_path, "CREATE TABLE t AS SELECT 1 AS a", "1.sql")).take()
        two = server.pool(sql(tmp_path, "CREATE TABLE t AS SELECT 2 AS a", "2.sql")).take()
        assert rows(server, one.name, "SELECT a FROM t") == [(1,)]
        assert rows(server, two.name, "SELECT a FROM t") == [(2,)]
        with pytest.raises(SchemaFailed):
            server.pool(sql(tmp_path, "NONSENSE", "3.sql"))
        assert not [
            name for (name,) in rows(server, "postgres", "SELECT datname FROM pg_database") if "tpl_" in str(name)
        ][2:]


def test_a_copy_has_its_templates_owner_settings_and_grants(tmp_path: Path) -> None:
    migrations = """
        CREATE ROLE app LOGIN; CREATE ROLE owning;
        DO $$ BEGIN
            EXECUTE format('ALTER DATABASE %I OWNER TO owning', current_database());
            EXECUTE format('ALTER DATABASE %I SET search_path TO app, public', current_database());
            EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC', current_database());
        END $$;
    """
    with throwaway(Wanted()) as server:
        database = server.pool(sql(tmp_path, migrations)).take()
        query = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
        assert rows(server, database.name, query) == [("owning",)]
        assert rows(server, database.name, "SHOW search_path") == [("app, public",)]
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(database.dsn_as("app"))


def test_used_databases_are_dropped_beside_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_MOST_USED", 2)
    with throwaway(Wanted()) as server:
        databases = server.pool(EmptySchema())
        for _ in range(8):
            databases.give_back(databases.take())
        count = f"SELECT count(*) FROM pg_database WHERE datname LIKE '{server.prefix}%'"
        deadline = time.monotonic() + 60
        while rows(server, "postgres", count)[0][0] > 2 + pool._MOST_AHEAD:  # type: ignore[operator]
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_no_room_for_another_database_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with throwaway(Wanted()) as server:
        server.dsn("postgres")
        monkeypatch.setattr(pool, "_ROOM", 2**60)
        with pytest.raises(ServerFailed, match="There is no room for another database"):
            server.pool(EmptySchema()).take()


def take_all_made_ahead(databases: pool.DatabasePool) -> None:
    for _ in range(pool._MOST_AHEAD + 1):
        databases.take()


def test_a_server_that_went_away_is_said_with_its_log() -> None:
    with throwaway(Wanted()) as server:
        databases = server.pool(EmptySchema())
        databases.take()
        os.kill(server.running().pid, signal.SIGQUIT)
        while keeper.is_running(server.running().pid):  # so that no more are made than were made ahead
            time.sleep(0.01)
        with pytest.raises(ServerFailed, match=r"(?s)immediate shutdown request|server go away"):
            take_all_made_ahead(databases)
        with pytest.raises(ServerFailed, match=r"(?s)does not answer.*run again"):
            server.connect()


def test_the_description_says_what_durability_the_server_has() -> None:
    with throwaway(Wanted()) as server:
        assert server.describe() == {"provider": "embedded", "started": False}
        server.dsn("postgres")
        said = server.describe()
        assert said["version"] == server.version
        assert server.major == 18
        assert server.superuser
        assert isinstance(said["durability"], dict)
        assert said["durability"]["fsync"] == "off"
        assert str(said["where"]).startswith(tuple(str(base) for base in run_directory.bases()))


def test_no_tcp_port_is_opened() -> None:
    with throwaway(Wanted()) as server:
        assert rows(server, "postgres", "SHOW listen_addresses") == [("",)]
        assert isinstance(server.address, str)
        assert Path(server.address).is_socket()
        assert Path(server.address).parent.stat().st_mode & 0o077 == 0
