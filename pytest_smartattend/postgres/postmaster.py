"""The process of one durable server of a drill: configured, started, asked, stopped, killed, frozen."""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pytest_smartattend.errors import ServerFailed, TargetNotReached, UsageError
from pytest_smartattend.evidence import stopwatch
from pytest_smartattend.postgres import durable, family, keeper
from pytest_smartattend.postgres.cluster import SUPERUSER, is_ready, tail
from pytest_smartattend.postgres.programs import Programs

if TYPE_CHECKING:
    import psycopg

#: seconds that a server is waited for; a loaded machine may take a thousand times what an idle one does
PATIENCE = 60.0
_LOOK = 0.001  # seconds between two looks


def _rows(connection: psycopg.Connection, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
    cursor = connection.execute(sql.encode(), parameters or None)
    return cursor.fetchall() if cursor.description else []


@dataclass(frozen=True)
class Ground:
    """Where the nodes of one drill stand.

    Attributes:
        programs: what they are run with.
        home: the folder of their data, logs and configurations.
        sockets: the folder of their sockets; the same, or one with a shorter path.
    """

    programs: Programs
    home: Path
    sockets: Path


class Postmaster:
    """A server with a data directory of its own. Its configuration lies outside it, where no copy overwrites it.

    Args:
        ground: where it stands.
        name: its own, also as a standby's ``application_name``.
        port: names its socket's file; no TCP port is opened.
        settings: over `durable.SETTINGS`.

    Attributes:
        pid: of the postmaster since the last start; 0 before the first.
    """

    def __init__(self, ground: Ground, name: str, port: int, settings: dict[str, str]) -> None:
        self.name = name
        self.port = port
        self.pid = 0
        self._ground = ground
        self._process: subprocess.Popen[bytes] | None = None
        self._admin: psycopg.Connection | None = None
        self._opening = threading.Lock()
        self._settings = {
            **durable.settings_for(ground.programs.binaries.major),
            "port": str(port),
            "unix_socket_directories": str(ground.sockets),
            "cluster_name": name,
            **settings,
        }

    @property
    def data(self) -> Path:
        """The data directory."""
        return self._ground.home / f"data-{self.name}"

    @property
    def log(self) -> Path:
        """What the server wrote to its standard error, over all its starts."""
        return self._ground.home / f"{self.name}.log"

    @property
    def configuration(self) -> Path:
        """The file with all of its settings."""
        return self._ground.home / f"{self.name}.conf"

    @property
    def programs(self) -> Programs:
        """What it is run with."""
        return self._ground.programs

    @property
    def running(self) -> bool:
        """Whether its postmaster has not ended. One that stands still runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def words(self) -> str:
        """How to connect, in words of libpq, without a database."""
        return f"host={self._ground.sockets} port={self.port} user={SUPERUSER}"

    def dsn(self, database: str = "postgres") -> str:
        """A libpq URL."""
        host = quote(str(self._ground.sockets))
        return f"postgresql://{SUPERUSER}@/{quote(database, safe='')}?host={host}&port={self.port}"

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """A connection with autocommit.

        Raises:
            ServerFailed: the server does not answer; carries the end of its log.
        """
        import psycopg

        try:
            return psycopg.connect(self.dsn(database), autocommit=True, connect_timeout=30)
        except psycopg.OperationalError as problem:
            raise ServerFailed(
                f"The node {self.name} does not answer: {problem}\n{self._said()}\nStart it, or ask another node."
            ) from problem

    def query(self, sql: str, parameters: Sequence[object] = (), database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement, in ``postgres`` on a connection that is kept. Returns its rows; none for one without."""
        if database == "postgres":
            return _rows(self._kept(), sql, parameters)
        with self.connect(database) as connection:
            return _rows(connection, sql, parameters)

    def _kept(self) -> psycopg.Connection:
        """The connection that is kept: opening one takes as long as what a drill asks by it, and counts as outage."""
        with self._opening:
            if self._admin is None or self._admin.closed:
                self._admin = self.connect()
            return self._admin

    def hang_up(self) -> None:
        """Close the connection that is kept; the next question opens another."""
        with self._opening:
            if self._admin is not None:
                self._admin.close()
                self._admin = None

    def wait_until(self, sql: str, what: str, parameters: Sequence[object] = (), patience: float = PATIENCE) -> None:
        """Wait until the first column of the first row of `sql` is true.

        Raises:
            ServerFailed: it is not so within `patience` seconds; says `what` was waited for.
        """
        deadline = time.monotonic() + patience
        while not ((rows := self.query(sql, parameters)) and rows[0][0]):
            if time.monotonic() > deadline:
                raise ServerFailed(
                    f"The node {self.name} was to {what} within {patience:g} s and did not.\n{self._said()}\n"
                    "Look at what the other nodes' logs say of the same time."
                )
            time.sleep(_LOOK)

    def set(self, **settings: str | None) -> None:
        """Change settings, None for the server's own default. A running server takes those that need no restart."""
        for name, value in settings.items():
            if value is None:
                self._settings.pop(name, None)
            else:
                self._settings[name] = value
        self._write()
        if self.running and self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    def start(self, patience: float = PATIENCE) -> int:
        """Start the server and wait until it accepts connections: a standby or a restore when it is consistent.

        Returns:
            the postmaster's process id.

        Raises:
            TargetNotReached: it was to recover to a point that its WAL does not reach.
            ServerFailed: it ended, or did not get ready; carries the end of its log.
        """
        if self.running:
            raise UsageError(f"The node {self.name} runs already, as process {self.pid}. Stop it first.")
        self.hang_up()
        self._write()
        self.log.touch()
        began = self.log.stat().st_size
        configuration = f"config_file={self.configuration}"
        process = self.programs.start("postgres", "-D", self.data, "-c", configuration, log=self.log)
        self._process, self.pid = process, process.pid
        deadline = time.monotonic() + patience
        while not is_ready(self.data, process.pid):
            if process.poll() is not None or time.monotonic() > deadline:
                self.stop(at_once=True)
                raise self._failure(began)
            time.sleep(_LOOK / 2)
        return process.pid

    def stop(self, *, at_once: bool = False) -> None:
        """End the server and wait: with a checkpoint and everything archived; or `at_once`, as after a crash.

        Raises:
            ServerFailed: it does not end.
        """
        if self._process is None or not self.running:
            return
        self.hang_up()
        self._process.send_signal(signal.SIGQUIT if at_once else signal.SIGINT)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired as problem:
            raise ServerFailed(
                f"The node {self.name} was told to stop and did not within {PATIENCE:g} s.\n{self._said()}\n"
                "Kill it, if it stands still."
            ) from problem

    def kill(self, number: signal.Signals = signal.SIGKILL) -> tuple[list[int], int]:
        """Send SIGKILL, SIGSTOP or SIGCONT to the postmaster and to all of its processes.

        Returns:
            the process ids, the postmaster's first, and the instant when it was done, in nanoseconds of
            `stopwatch.monotonic_ns`. After SIGKILL all are gone by then: nothing that begins later can be answered.

        Raises:
            ServerFailed: it is not running, or does not go.
        """
        if not self.running:  # its process id may be a stranger's by now
            raise ServerFailed(f"The node {self.name} is gone already: there is nothing to kill. Start it first.")
        pids = family.send(self.pid, number)
        done = stopwatch.monotonic_ns()
        if number == signal.SIGKILL and self._process is not None:
            self._process.wait(PATIENCE)
            self.hang_up()
        return pids, done

    def _write(self) -> None:
        named = {"hba_file": str(self.data / "pg_hba.conf"), "ident_file": str(self.data / "pg_ident.conf")}
        durable.write_configuration(self.configuration, {"data_directory": str(self.data), **named, **self._settings})

    def _said(self) -> str:
        return f"The end of its log:\n{tail(self.log)}"

    def _failure(self, began: int) -> ServerFailed | TargetNotReached:
        with self.log.open("rb") as log:
            log.seek(began)
            said = log.read().decode(errors="replace")
        if "recovery ended before configured recovery target was reached" in said:
            return TargetNotReached(
                f"The WAL of {self.name} ends before the point that it was to be restored to.\n{said[-1500:]}\n"
                "Give it the WAL that is missing, or restore to its end. A point at the very end of the WAL needs one "
                "committed record behind it."
            )
        return ServerFailed(
            f"The node {self.name} did not start in {self.data}. The end of its log:\n{said[-2000:]}\n"
            "Is its data whole, and is there room?"
        )

    def destroy(self) -> int:
        """Kill it, however it stands, and delete its files.

        Returns:
            the instant when its last process was gone, in nanoseconds of `stopwatch.monotonic_ns`.
        """
        gone = self.kill()[1] if self.running else stopwatch.monotonic_ns()
        keeper.release_memory(str(self.data))  # its id is in the files
        shutil.rmtree(self.data)
        return gone
