"""Somebody's platform, started by its command on a throwaway database, behind our proxies, and ended with all its children."""

from __future__ import annotations

import random
import secrets
import shlex
import shutil
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import httpx
from psycopg.conninfo import conninfo_to_dict

from pytest_smartattend.errors import NotOffered, TargetFailed, UsageError
from pytest_smartattend.injectors.probes import http_answers, postgres_answers
from pytest_smartattend.injectors.tcp_proxy import TcpProxy
from pytest_smartattend.injectors.worker_processes import WorkerProcesses
from pytest_smartattend.postgres.schema import Command, EmptySchema, Schema
from pytest_smartattend.target.adapted import AdaptedPlatform
from pytest_smartattend.target.adapter import Adapter, fill
from pytest_smartattend.target.command_process import CommandProcess, handed_on
from pytest_smartattend.target.reference_platform import STORES
from pytest_smartattend.target.reference_schema import ReferenceSchema
from pytest_smartattend.target.translator import Translator

if TYPE_CHECKING:
    from pytest_smartattend.postgres.server import Database, Server

#: below the ports that systems hand out by themselves, so that nobody is given it between our question and its start
PORTS = range(20_000, 32_000)


class CommandPlatform(AdaptedPlatform):
    """A running command.

    Args:
        command: the program and its arguments; ``{port}`` in them is the port.
        adapter: how it is started and spoken to.
        server: the PostgreSQL server.
        database: a fresh database with its schema, or an empty one where it migrates itself.
        folder: where it runs.
        scratch: does not exist yet; made for its files, and gone when it stops.
        workers: what ``{workers}`` stands for.
        seed: the root of the proxies' random decisions.
        clock_door: the socket of the clock that it shall follow; empty for the wall's.
        translator: see `AdaptedPlatform`.

    Raises:
        UsageError: the command is no command.
        TargetFailed: it did not start; names the step, its last output, and what to do.
    """

    def __init__(
        self,
        command: str,
        adapter: Adapter,
        server: Server,
        database: Database,
        folder: Path,
        scratch: Path,
        *,
        workers: int = 2,
        seed: int = 0,
        clock_door: str = "",
        environment: Mapping[str, str] | None = None,
        translator: Translator | None = None,
    ) -> None:
        super().__init__(adapter, translator)
        self._words = words_of(command)
        self._database = database
        self._folder = folder
        self._scratch = scratch
        self._workers = workers
        self._clock_door = clock_door
        self._export_key = secrets.token_hex(32)
        self._extra = dict(environment or {})
        self._process: CommandProcess | None = None
        self._dsn = database.dsn
        self._dsn_as = database.dsn_as
        self._mark = 0
        self._seed = seed
        try:
            self._stores = {
                store: self._closing.enter_context(
                    TcpProxy(server.address, name=store, seed=seed, exchange=postgres_answers)
                )
                for store in STORES
            }
            self.paths |= self._stores
            scratch.mkdir()  # in the run's folder, which a run that was killed has lost, and must not get anew
            self._closing.callback(shutil.rmtree, scratch, ignore_errors=True)
            self._closing.callback(self._end)
            self._port = _free_port(self._closing)
            self.start()
            self._speak(f"http://127.0.0.1:{self._port}")
            self._stand_between()
        except BaseException:
            self._closing.close()
            raise

    def _stand_between(self) -> None:
        """Paths for faults between clients and the platform, and on its workers where it has some."""
        address = urlsplit(self.base_url)
        assert address.hostname is not None
        assert address.port is not None
        clients = self._closing.enter_context(
            TcpProxy((address.hostname, address.port), name="clients", seed=self._seed, exchange=http_answers)
        )
        self.clients_url = "http://{}:{}".format(*clients.address)
        self.paths["clients"] = clients
        if self.adapter.start.replaces_workers:
            self.paths["workers"] = WorkerProcesses(lambda: self.process.pid, self._answers, seed=self._seed)

    def _answers(self) -> None:
        with socket.create_connection(("127.0.0.1", self._port), timeout=1):
            pass

    @property
    def process(self) -> CommandProcess:
        """The process that runs now."""
        assert self._process is not None
        return self._process

    @property
    def export_key(self) -> bytes:
        """What it signs exported incidents with.

        Raises:
            NotOffered: it is told no key.
        """
        if not any("{export_key}" in text for text in self.adapter.start.environment.values()):
            raise NotOffered("a key of ours to sign its exports with ({export_key} in [start.environment])")
        return self._export_key.encode()

    def start(self) -> None:
        """Start the command and wait until its readiness probe is answered with 2xx.

        Raises:
            TargetFailed: it ended, or was not ready in time.
        """
        words = [word.replace("{port}", str(self._port)) for word in self._words]
        self._process = CommandProcess(words, self._environment(), self._folder)
        self._mark = 0
        self._await_ready()

    def kill(self) -> None:
        """End it and all its children at once, as a crash would; `start` starts it again at the same address."""
        self.process.kill()

    def restart(self) -> list[str]:
        """Ask it to end and start it again, at the same address; the names of what had to be killed."""
        left = self.process.stop()
        self.start()
        return left

    def _environment(self) -> dict[str, str]:
        role = self.adapter.start.database_role
        dsn = self._database.dsn_as(role) if role else self._database.dsn
        urls = {store: _through(dsn, proxy) for store, proxy in self._stores.items()}
        values = {
            **self.values(),
            "port": str(self._port),
            "database_url": urls["database"],
            "incidents_database_url": urls["incidents_database"],
            "workers": str(self._workers),
            "folder": str(self._folder),
            "scratch": str(self._scratch),
            "clock_door": self._clock_door,
            "export_key": self._export_key,
        }
        return {
            **handed_on(self.adapter.start.keep),
            "DATABASE_URL": urls["database"],
            "INCIDENTS_DATABASE_URL": urls["incidents_database"],
            "PORT": str(self._port),
            **{name: fill(text, values) for name, text in self.adapter.start.environment.items()},
            **self._extra,
        }

    def _await_ready(self) -> None:
        start = self.adapter.start
        url = f"http://127.0.0.1:{self._port}{start.ready}"
        began, last = time.monotonic(), "nothing answered"
        deadline = began + start.ready_within_s
        with httpx.Client(timeout=2.0, trust_env=False) as client:
            while (now := time.monotonic()) < deadline:
                status = self.process.ended()
                if status is not None:
                    raise self._failed(
                        f"it ended with status {status} after {now - began:.1f} s, before GET {url} was answered"
                    )
                try:
                    answer = client.get(url, timeout=max(0.05, min(2.0, deadline - now)))
                    if answer.is_success:
                        return
                    last = f"the last answer was {answer.status_code}: {answer.text[:200]!r}"
                except httpx.HTTPError as why:
                    last = f"the last try ended with {type(why).__name__}: {why}"
                self.process.ended(0.03)  # a moment, or less where it ends meanwhile
        raise self._failed(f"GET {url} was not answered with 2xx within {start.ready_within_s:g} s; {last}")

    def _failed(self, what: str) -> TargetFailed:
        left = self.process.stop(0)
        others = f"\nIt had started other processes, which were ended: {', '.join(left)}." if left else ""
        return TargetFailed(
            f"Starting the platform, {self.process.command!r} in {self._folder}: {what}.{others}\n"
            f"Its last output:\n{self.process.output.tail()}\n"
            "Let it stay in the foreground and listen on 127.0.0.1 at the port in PORT; [start] of the adapter sets its "
            "environment, its readiness probe (ready) and how long it may take (ready_within_s)."
        )

    def _end(self) -> None:
        if self._process is not None:
            self._process.stop()

    def describe(self) -> Mapping[str, object]:
        """What stands in the report about it."""
        return {**super().describe(), "command": shlex.join(self._words), "workers": self._workers}

    def mark_output(self) -> None:
        """A check begins: `log_tail` tells what is printed from here on."""
        self._mark = self.process.output.mark

    def log_tail(self, lines: int = 60) -> str:
        """The end of what it has printed since the check began, and whether it still runs."""
        status = self.process.ended()
        said = "\n".join(self.process.output.since(self._mark).splitlines()[-lines:]) or "(it printed nothing)"
        return said if status is None else f"{said}\n(it has ended with status {status})"


def words_of(command: str) -> list[str]:
    """The program and its arguments.

    Raises:
        UsageError: there is none, or it is not as in a shell.
    """
    try:
        words = shlex.split(command)
    except ValueError as why:
        raise UsageError(f"--smartattend-command: {command!r}: {why}. Write it as in a shell.") from None
    if not words:
        raise UsageError("--smartattend-command names no program. Give one: --smartattend-command='node server.js'.")
    return words


def schema_of(migrate: str, adapter: Adapter, root: Path) -> Schema:
    """What a command's database is made with: the command `migrate`, else the reference's schema, else nothing."""
    if migrate:
        return Command(tuple(shlex.split(migrate)), root, name="migrate")
    return ReferenceSchema() if adapter.seed.kind == "reference" else EmptySchema()


def _through(dsn: str, proxy: TcpProxy) -> str:
    parts = conninfo_to_dict(dsn)
    who = quote(str(parts["user"]), safe="")
    if parts.get("password"):
        who += ":" + quote(str(parts["password"]), safe="")
    host, port = proxy.address
    return f"postgresql://{who}@{host}:{port}/{quote(str(parts['dbname']), safe='')}"


def _free_port(closing: ExitStack) -> int:
    """A port that nobody has, and that no other run of ours takes until `closing`: also while the command is down."""
    for port in random.SystemRandom().sample(PORTS, 200):
        with ExitStack() as claiming:
            try:
                if sys.platform == "linux":  # a name without a file, which goes with us however we end
                    claiming.enter_context(socket.socket(socket.AF_UNIX)).bind(f"\0smartattend-port-{port}")
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            closing.push(claiming.pop_all())
            return port
    raise TargetFailed(f"No port from {PORTS.start} to {PORTS.stop - 1} is free on 127.0.0.1. End what holds them.")
