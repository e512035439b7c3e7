"""The run's one server, as any of its processes sees it. The first that needs it starts it; the others attach."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pytest_smartattend.errors import SchemaFailed, ServerFailed
from pytest_smartattend.postgres import choosing, given, keeper, templates, watch
from pytest_smartattend.postgres.choosing import Choice, Wanted
from pytest_smartattend.postgres.pool import Database as Database
from pytest_smartattend.postgres.pool import DatabasePool, Source
from pytest_smartattend.postgres.schema import Schema

if TYPE_CHECKING:
    import psycopg

    from pytest_smartattend.postgres.keeping import KeepingThread


@dataclass(frozen=True)
class Running:
    """What a process must know to attach to the run's server; kept as JSON in the run's folder.

    Attributes:
        provider, version, why: which, and for which reason it was taken.
        where: the folder, container or URL, for people.
        host, port, user, password: how to connect; `host` is a folder for a Unix socket.
        url: of a server that the person named, else empty.
        runs: as whom the server runs, where that is ours to say.
        place: the folder whose file system the databases fill, else empty.
        template: the template that came with the cluster, else empty.
        origin: how the cluster came about: ``ready copy``, ``archive``, ``new``, ….
        notes: what was not as it should be.
        pid: the server's process, else 0.
        superuser: whether `user` is one.
        settings: durability as the running server says it.
    """

    provider: str
    version: str
    why: str
    where: str
    host: str
    port: int
    user: str
    password: str = ""
    url: str = ""
    runs: str = ""
    place: str = ""
    template: str = ""
    origin: str = ""
    notes: tuple[str, ...] = ()
    pid: int = 0
    superuser: bool = True
    settings: dict[str, str] = field(default_factory=dict)

    def dsn(self, database: str, *, user: str | None = None) -> str:
        """A libpq URL."""
        if self.url:
            return given.dsn(self.url, database, user)
        who = quote(user or self.user, safe="")
        if self.password and user in {None, self.user}:
            who += f":{quote(self.password, safe='')}"
        if self.host.startswith("/"):
            return f"postgresql://{who}@/{quote(database, safe='')}?host={quote(self.host)}&port={self.port}"
        return f"postgresql://{who}@{self.host}:{self.port}/{quote(database, safe='')}"


class Server:
    """The throwaway server of a run. Making this object is cheap and starts nothing.

    Args:
        wanted: what the person asked for.
        run_id: of this run; its first twelve characters are part of every database's name.
        worker: this process's name in the run.
        folders: of the run, made and owned by its controller, the fastest first.

    Raises:
        NoServerFound, UsageError, UnsafeTarget: see `choosing.choose` and `given.check`.
    """

    def __init__(self, wanted: Wanted, *, run_id: str, worker: str, folders: Sequence[Path]) -> None:
        given.refuse_redirection()
        if wanted.is_url:
            given.check(wanted.postgres, wanted.allow_host)
        self._wanted = wanted
        self._run = run_id[:12]
        self._worker = worker
        self._folders = tuple(folder for folder in folders if (folder / "alive").exists())
        self._running = attached(self._folders)
        self._choice: Choice | None = None if self._running else choosing.choose(wanted)
        self._pools: dict[str, DatabasePool] = {}
        self._failed: dict[str, SchemaFailed] = {}
        self._guard: psycopg.Connection | None = None
        self._keeping: KeepingThread | None = None

    @property
    def prefix(self) -> str:
        """With which the name of every database of this run begins."""
        return f"smartattend_{self._run}_"

    @property
    def superuser(self) -> bool:
        """Whether we are one on this server."""
        return self.running().superuser

    @property
    def version(self) -> str:
        """As in ``18.6``."""
        return self.running().version

    @property
    def major(self) -> int:
        """As in 18."""
        return int(self.version.split(".")[0])

    @property
    def address(self) -> tuple[str, int] | str:
        """What a TCP proxy connects to: host and port, or the path of the Unix socket."""
        running = self.running()
        if running.host.startswith("/"):
            return f"{running.host}/.s.PGSQL.{running.port}"
        return running.host, running.port

    def dsn(self, database: str, *, user: str | None = None) -> str:
        """A libpq URL of a database, by default as the superuser (at a URL of yours: as its user)."""
        return self.running().dsn(database, user=user)

    def connect(self, database: str | None = None) -> psycopg.Connection:
        """A connection with autocommit, as the user who makes databases.

        Raises:
            ServerFailed: the server does not answer.
        """
        return connect(self.running(), database)

    def pool(self, schema: Schema) -> DatabasePool:
        """Fresh databases with `schema`. Its template is made once in a run, or comes with the cached cluster.

        Raises:
            SchemaFailed: the migrations did not apply; the same error again when asked again.
            ServerFailed: the server did not start, or went away.
        """
        key = templates.key_of(schema)
        if key in self._failed:
            raise self._failed[key]
        if key not in self._pools:
            try:
                running = self.running(schema)
                template = self._template(schema, running)
            except SchemaFailed as problem:
                self._failed[key] = problem
                raise
            number = f"{len(self._pools)}_" if self._pools else ""
            source = Source(
                connect=self.connect,
                dsn=self.dsn,
                admin_database=admin_database(running),
                major=self.major,
                superuser=running.superuser,
                durable=running.settings.get("fsync") == "on",
                place=Path(running.place) if running.place else None,
            )
            self._pools[key] = DatabasePool(source, template, f"{self.prefix}{self._worker}_{number}")
        return self._pools[key]

    def keep(self, database: Database, *, check: str, project: Path, most: int, done: Callable[[], None]) -> None:
        """Keep what `database` holds now under the check's id, beside what follows; see `kept.keep`.

        Args:
            database: of this server.
            check: the check's id, or the test's.
            project: the folder of the project; it has `most` kept databases at the most.
            most: the oldest beyond this go.
            done: called, from another thread, when the database is no longer needed for it.
        """
        from pytest_smartattend.postgres import keeping, kept

        if self._keeping is None:
            self._keeping = keeping.KeepingThread(self._choice.binaries if self._choice else None)
        subject = kept.Subject(database.dsn, database.name, self.version, check, project, most)
        self._keeping.add(subject, done)

    def describe(self) -> dict[str, object]:
        """Provider, version, why, where, durability and whether we are superuser, for reports. Starts nothing."""
        running = self._running or attached(self._folders)
        if running is None:
            return {"provider": self._choice.provider if self._choice else "", "started": False}
        return description(running)

    def close(self) -> list[str]:
        """End what this process has: its pools and its connection. The server goes on for the others.

        Returns:
            what could not be kept, and why.
        """
        problems = []
        if self._keeping is not None:
            self._keeping.close()
            problems, self._keeping = self._keeping.problems, None
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()
        if self._guard is not None:
            self._guard.close()
            self._guard = None
        return problems

    def running(self, schema: Schema | None = None) -> Running:
        """Attach to the run's server; start it, with `schema` already in it where that can be, if nobody has yet."""
        if self._running is None:
            with self._lock("server"):
                self._running = attached(self._folders) or self._start(schema)
        if self._running.url and self._guard is None:
            self._guard = connect(self._running)
            given.lock(self._guard, self._run)
        return self._running

    def _start(self, schema: Schema | None) -> Running:
        from pytest_smartattend.postgres import starting

        assert self._choice is not None
        start = starting.Start(self._choice, self._wanted, self._run, self._folders)
        running = start.running(schema)
        control = self._folders[-1]
        made = control / f".server.{os.getpid()}"
        try:
            made.write_text(json.dumps(asdict(running)))
            made.chmod(0o600)
            made.rename(control / "server.json")
        except OSError as problem:
            raise ServerFailed(
                f"The run's folder {control} cannot be written to: {problem}. Free some space there."
            ) from problem
        return running

    def _template(self, schema: Schema, running: Running) -> str:
        name = templates.name_of(schema, self.prefix if running.url else "smartattend_")
        if name in {running.template, "template0"}:
            return name
        with self._lock("templates"), self.connect() as admin:
            if not templates.exists(admin, name):
                templates.make(admin, self.dsn, schema, name)
        return name

    @contextlib.contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        """One process of the run at a time."""
        if not self._folders:
            raise ServerFailed("No folder for this run could be made. Set TMPDIR to a folder that can be written to.")
        try:
            lock = (self._folders[-1] / f"{name}.lock").open("ab")
        except OSError as problem:
            raise ServerFailed(
                f"The run's folder is gone or full: {problem}. Run again; set TMPDIR if it is full."
            ) from problem
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def attached(folders: Sequence[Path]) -> Running | None:
    """The run's server, if one was started."""
    for folder in reversed(folders):
        with contextlib.suppress(OSError):
            told: dict[str, Any] = json.loads((folder / "server.json").read_text())
            return Running(**{**told, "notes": tuple(told["notes"])})
    return None


def admin_database(running: Running) -> str:
    """The database from which others are made."""
    return given.database_of(running.url) if running.url else "postgres"


def connect(running: Running, database: str | None = None) -> psycopg.Connection:
    """A connection with autocommit.

    Raises:
        ServerFailed: the server does not answer; carries the end of its log.
    """
    import psycopg

    from pytest_smartattend.postgres.cluster import tail

    try:
        return psycopg.connect(running.dsn(database or admin_database(running)), autocommit=True, connect_timeout=30)
    except psycopg.OperationalError as problem:
        if running.url and not running.port:  # nothing of it was reached yet
            raise ServerFailed(given.unreachable(running.url, problem)) from problem
        log = tail(Path(running.place) / "pg" / "log") if running.place else ""
        raise ServerFailed(
            f"PostgreSQL {running.version} ({running.where}) does not answer: {problem}\n"
            + (f"The end of its log:\n{log}\n" if log else "")
            + "If something ended it, run again."
        ) from problem


def description(running: Running) -> dict[str, object]:
    """What a report says of the server."""
    return {
        "provider": running.provider,
        "started": True,
        "version": running.version,
        "why": running.why,
        "where": running.where,
        "runs": running.runs,
        "cluster": running.origin,
        "durability": dict(running.settings),
        "superuser": running.superuser,
        "notes": list(running.notes),
    }


def end(folders: Sequence[Path], run_id: str) -> None:
    """End the run's server and whatever else runs in its folders. For the controller, after its workers are gone."""
    running = attached(folders)
    if running is not None and running.url:
        with contextlib.suppress(ServerFailed), connect(running) as connection:
            given.drop(connection, run_id[:12])
    for folder in folders:
        keeper.end_container(str(folder))
        if running is not None:
            keeper.end_servers(str(folder))
    watch.hand_over(folders)
    if running is not None and running.pid:
        keeper.is_running(running.pid)  # collects it, where it is this process's child
