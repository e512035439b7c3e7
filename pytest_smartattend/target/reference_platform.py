"""The reference platform, served by its own processes on a database of its own, behind proxies of ours."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from pytest_smartattend.errors import TargetFailed
from pytest_smartattend.injectors.probes import http_answers, postgres_answers
from pytest_smartattend.injectors.tcp_proxy import TcpProxy
from pytest_smartattend.injectors.worker_processes import WorkerProcesses
from pytest_smartattend.target.client import TIMEOUT, Operation, trusted
from pytest_smartattend.target.observer import Observer
from pytest_smartattend.target.paths import Path as FaultPath
from pytest_smartattend.target.people import Tenant
from pytest_smartattend.target.seed import Seeder
from pytest_smartattend.target.sql import RoleSession
from pytest_smartattend.target.tokens import SecretSigner

if TYPE_CHECKING:
    from pytest_smartattend.postgres.server import Database, Server

#: seconds that the platform may take from start to its first answer; loaded machines are slow
START_DEADLINE = 60.0
#: between platform and database, and between platform and incident store: two paths, so that one can break alone
STORES = ("database", "incidents_database")
#: connections that a worker keeps to each of its databases
POOL = 8
ROLES = {"app": "smartattend_app", "owner": "smartattend_owner"}


class ReferencePlatform:
    """A running reference platform.

    Args:
        server: the PostgreSQL server.
        database: a fresh database with the reference schema.
        folder: does not exist yet; made for the platform's files, and gone when it stops.
        workers: how many worker processes serve.
        seed: the root of the proxies' random decisions.
        sabotage: the name of a planted defect, or empty.

    Attributes:
        base_url: where it answers, without ``/api``.
        clients_url: the same through the path ``clients``, on which faults can be laid.
        connections_at_rest: how many connections to the databases its pools may keep while nothing goes on.
        paths: where faults can be laid: ``database``, ``incidents_database``, ``clients``, ``workers``.
    """

    def __init__(
        self, server: Server, database: Database, folder: Path, *, workers: int, seed: int, sabotage: str = ""
    ) -> None:
        self.name = f"reference (sabotaged: {sabotage})" if sabotage else "reference"
        self._database = database
        self._folder = folder
        self._log = folder / "platform.log"
        self._workers = workers
        self._seed = seed
        self._sabotage = sabotage
        self.connections_at_rest = workers * len(STORES) * POOL
        self._secret = secrets.token_hex(32)
        self._port = 0
        self._closing = ExitStack()
        try:
            self._start(server)
        except BaseException:
            self.stop()
            raise

    def _start(self, server: Server) -> None:
        if self._sabotage:
            from pytest_smartattend.sabotage.catalogue import plant_in_database  # it imports the whole platform

            plant_in_database(self._sabotage, self._database.dsn)
        self._stores = {
            store: self._closing.enter_context(
                TcpProxy(server.address, name=store, seed=self._seed, exchange=postgres_answers)
            )
            for store in STORES
        }
        self._folder.mkdir()
        self._closing.callback(shutil.rmtree, self._folder, ignore_errors=True)
        self.observer = Observer(self._database.dsn)
        self._closing.callback(self.observer.close)
        self.seeder = Seeder(self._database.dsn)
        self._closing.callback(self.seeder.close)
        self._process = self._spawn()
        self._closing.callback(self._end_process)
        self._port = port = self._await_port()
        self.base_url = f"http://127.0.0.1:{port}"
        clients = self._closing.enter_context(
            TcpProxy(("127.0.0.1", port), name="clients", seed=self._seed, exchange=http_answers)
        )
        self.clients_url = "http://{}:{}".format(*clients.address)
        workers = WorkerProcesses(lambda: self._process.pid, lambda: self._answers(port), seed=self._seed)
        self.paths: dict[str, FaultPath] = {**self._stores, "clients": clients, "workers": workers}
        self._http = self._closing.enter_context(
            httpx.Client(base_url=self.base_url, timeout=TIMEOUT, verify=trusted())
        )

    def start(self) -> None:
        """Start its processes again after `kill`, at the same address, and wait until they answer.

        Raises:
            TargetFailed: they ended, or did not answer in time.
        """
        (self._folder / "ready").unlink(missing_ok=True)
        self._process = self._spawn()
        self._await_port()

    def kill(self) -> None:
        """End all its processes at once, as a crash of the machine would; `start` starts them again."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._end_process()

    def _spawn(self) -> subprocess.Popen[bytes]:
        module = (
            ["pytest_smartattend.target.sabotaged", self._sabotage]
            if self._sabotage
            else ["pytest_smartattend.reference.serve"]
        )
        urls = {store: self._url_through(proxy) for store, proxy in self._stores.items()}
        environment = {
            **{
                name: os.environ[name]
                for name in ("PATH", "HOME", "LANG", "PYTHONPATH", "VIRTUAL_ENV")
                if name in os.environ
            },
            "DATABASE_URL": urls["database"],
            "INCIDENTS_DATABASE_URL": urls["incidents_database"],
            "PORT": str(self._port),
            "WORKERS": str(self._workers),
            "TOKEN_SECRET": self._secret,
            "SMARTATTEND_READY_FILE": str(self._folder / "ready"),
            "STOP_WITH_STDIN": "1",
            "SPOOL_FOLDER": str(self._folder / "spool"),
            "DB_POOL_SIZE": str(POOL),
        }
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", *module],
                env=environment,
                stdin=subprocess.PIPE,  # its end is the platform's end, however we end
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _url_through(self, proxy: TcpProxy) -> str:
        host, port = proxy.address
        return f"postgresql://{ROLES['app']}@{host}:{port}/{self._database.name}"

    def _await_port(self) -> int:
        ready = self._folder / "ready"
        deadline = time.monotonic() + START_DEADLINE
        while time.monotonic() < deadline:
            if ready.exists() and (text := ready.read_text()).endswith("\n"):
                return int(json.loads(text)["port"])
            try:
                status = self._process.wait(timeout=0.01)
            except subprocess.TimeoutExpired:
                continue
            raise TargetFailed(
                f"The reference platform ended with status {status} before it answered.\n{self.log_tail()}"
            )
        raise TargetFailed(f"The reference platform did not answer within {START_DEADLINE:g} s.\n{self.log_tail()}")

    def _answers(self, port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), TIMEOUT) as probe:
            http_answers(probe)

    def _end_process(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """End the platform's processes, its proxies and our connections."""
        self._closing.close()

    def describe(self) -> Mapping[str, object]:
        """What stands in the report about it."""
        return {"name": self.name, "workers": self._workers, "sabotage": self._sabotage or None}

    def seed(self, kind: str, record: Callable[[Operation], None]) -> Tenant:
        """A new tenant with one person of each role."""
        tenant_id, accounts, roster = self.seeder.tenant(kind)
        signer = SecretSigner(self._secret, lambda: datetime.now(UTC))  # noqa: TID251 - served: its clock is the wall's
        return Tenant(tenant_id, kind, accounts, roster, signer, self._http, record)

    def drift_limits(self, tenant_id: str, limits: Mapping[str, timedelta]) -> None:
        """Hold the clocks of a tenant's clients to limits of its own."""
        self.seeder.drift_limits(tenant_id, limits)

    @contextmanager
    def sql_as(self, role: str, tenant_id: str | None) -> Iterator[RoleSession]:
        """A connection as ``app`` or ``owner``, past platform and proxies."""
        session = RoleSession(self._database.dsn_as(ROLES[role]), tenant_id)
        try:
            yield session
        finally:
            session.close()

    def log_tail(self, lines: int = 60) -> str:
        """The end of what the platform printed."""
        text = self._log.read_text(errors="replace") if self._log.exists() else ""
        return "\n".join(text.splitlines()[-lines:]) or "(it printed nothing)"
