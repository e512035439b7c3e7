"""Fresh databases, made ahead of the tests that take them."""

from __future__ import annotations

import itertools
import shutil
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_smartattend.errors import ServerError, ServerFailed
from pytest_smartattend.postgres.templates import quoted

if TYPE_CHECKING:
    import psycopg

_MOST_AHEAD = 4
_MOST_USED = 12  # databases of ended tests that may lie about before the oldest is dropped, beside the tests
_ROOM = 160 * 2**20  # bytes that must stay free before another database is made
_PATIENCE = 120.0  # seconds


@dataclass(frozen=True)
class Source:
    """What a pool needs to know of its server.

    Attributes:
        connect: opens a connection with autocommit to a database, as the user who makes databases.
        dsn: the URL of a database as a user; None means the one who makes databases.
        major: version of the server.
        superuser: whether that user is one.
        durable: whether the server waits for the disk; then copying through the log is cheaper than two checkpoints.
        place: the folder whose file system the databases fill; None where it cannot be seen.
    """

    connect: Callable[[str], psycopg.Connection]
    dsn: Callable[..., str]
    admin_database: str
    major: int
    superuser: bool
    durable: bool
    place: Path | None


@dataclass(frozen=True)
class Database:
    """One fresh database, nobody else's.

    Attributes:
        name: on its server.
        dsn: libpq URL, as the server's superuser (at a URL of yours: as its user).
    """

    name: str
    dsn: str
    _source: Source = field(repr=False, compare=False)

    def dsn_as(self, user: str) -> str:
        """The same database as another role."""
        return self._source.dsn(self.name, user=user)


class DatabasePool:
    """Copies of one template, made by a thread of this process. Take, use, give back; never used twice.

    The number made ahead grows from one to four as tests turn out to wait. Used ones are dropped beside the tests, the
    oldest first, so that a long run does not fill the memory.
    """

    def __init__(self, source: Source, template: str, prefix: str) -> None:
        self.template = template
        self._source = source
        self._prefix = prefix
        self._numbers = itertools.count(1)
        self._ahead = 1
        self._wanted = 0
        self._made: deque[Database] = deque()
        self._used: deque[str] = deque()
        self._failed: BaseException | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"smartattend-pool-{prefix}", daemon=True)
        self._thread.start()

    def take(self) -> Database:
        """A database that no test has seen.

        Raises:
            ServerFailed: it could not be made: the server went away, or there is no room.
        """
        with self._changed:
            if not self._made:
                self._ahead = min(_MOST_AHEAD, self._ahead + 1)
            self._wanted += 1
            self._changed.notify_all()
            try:
                arrived = self._changed.wait_for(lambda: self._made or self._failed or self._closed, _PATIENCE)
                if self._made:
                    return self._made.popleft()
            finally:
                self._wanted -= 1
                self._changed.notify_all()
        if self._failed is None:
            reason = "the pool was closed" if arrived else f"nothing came in {_PATIENCE:.0f} s"
            raise ServerFailed(f"No database could be made from {self.template}: {reason}. Is the machine overloaded?")
        if isinstance(self._failed, ServerError):
            raise self._failed
        raise ServerFailed(
            f"No database could be made from {self.template}: {self._failed} Did the server go away, or is its disk full?"
        ) from self._failed

    def give_back(self, database: Database) -> None:
        """Say that `database` is done with. It is not handed out again."""
        with self._changed:
            self._used.append(database.name)
            self._changed.notify_all()

    def close(self) -> None:
        """Stop making databases. Those that were taken stay usable."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(_PATIENCE)

    def _run(self) -> None:
        try:
            with self._source.connect(self._source.admin_database) as admin:
                clone = self._clone_words(admin)
                while (task := self._next_task()) is not None:
                    if task == "make":
                        self._make(admin, clone)
                    else:
                        self._drop(admin)
        except BaseException as problem:  # noqa: BLE001 - whoever takes next is told
            with self._changed:
                self._failed = problem
                self._changed.notify_all()

    def _next_task(self) -> str | None:
        def task() -> str | None:
            if self._closed:
                return "end"
            if self._used and (len(self._used) > _MOST_USED or not self._has_room()) and not self._wanted:
                return "drop"
            if len(self._made) < max(self._ahead, self._wanted):
                return "make"
            return None

        with self._changed:
            self._changed.wait_for(lambda: task() is not None)
            found = task()
            return None if found == "end" else found

    def _has_room(self) -> bool:
        return self._source.place is None or shutil.disk_usage(self._source.place).free > _ROOM

    def _clone_words(self, admin: psycopg.Connection) -> str:
        row = admin.execute(
            "SELECT pg_get_userbyid(datdba), datconnlimit FROM pg_database WHERE datname = %s", [self.template]
        ).fetchone()
        if row is None:
            raise ServerFailed(f"The template {self.template} is gone from the server. Run again.")
        words = f" TEMPLATE {quoted(self.template)}"
        if self._source.superuser:
            words += f" OWNER {quoted(row[0])} CONNECTION LIMIT {row[1]}"
        if self._source.major >= 15:
            words += f" STRATEGY {'WAL_LOG' if self._source.durable else 'FILE_COPY'}"
        return words

    def _make(self, admin: psycopg.Connection, clone: str) -> None:
        while not self._has_room():
            if not self._used:
                raise ServerFailed(
                    f"There is no room for another database in {self._source.place}: less than {_ROOM >> 20} MB are free. "
                    "Free some, or use fewer xdist workers."
                )
            self._drop(admin)
        name = f"{self._prefix}{next(self._numbers)}"
        admin.execute(f"CREATE DATABASE {quoted(name)}{clone}")
        if self._source.superuser:
            _copy_settings(admin, self.template, name)
        # The first connection to a copy builds its caches; it costs the test nothing when it is made here.
        self._source.connect(name).close()
        with self._changed:
            self._made.append(Database(name, self._source.dsn(name), self._source))
            self._changed.notify_all()

    def _drop(self, admin: psycopg.Connection) -> None:
        with self._changed:
            name = self._used.popleft()
        force = " WITH (FORCE)" if self._source.major >= 13 else ""
        admin.execute(f"DROP DATABASE IF EXISTS {quoted(name)}{force}")


def _copy_settings(admin: psycopg.Connection, template: str, name: str) -> None:
    """``ALTER DATABASE … SET`` and ``GRANT … ON DATABASE``, which ``CREATE DATABASE … TEMPLATE`` leaves behind."""
    admin.execute(
        "INSERT INTO pg_db_role_setting SELECT new.oid, setrole, setconfig FROM pg_db_role_setting"
        " JOIN pg_database old ON old.oid = setdatabase AND old.datname = %s, pg_database new WHERE new.datname = %s",
        [template, name],
    )
    if template != "template0":
        admin.execute(
            "UPDATE pg_database new SET datacl = old.datacl FROM pg_database old"
            " WHERE old.datname = %s AND new.datname = %s AND old.datacl IS DISTINCT FROM new.datacl",
            [template, name],
        )
