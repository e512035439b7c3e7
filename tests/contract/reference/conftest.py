"""The reference platform over a real PostgreSQL: one fresh database per test, its clock in the test's hand."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import httpx
import psycopg
import pytest
import pytest_asyncio
from fastapi import FastAPI
from psycopg.rows import dict_row

from pytest_smartattend.postgres.server import Database, Server
from pytest_smartattend.reference.api.app import create_app
from pytest_smartattend.reference.api.passwords import hash_password
from pytest_smartattend.reference.api.platform import Platform
from pytest_smartattend.reference.domain.actors import Role, User
from pytest_smartattend.reference.settings import Settings
from pytest_smartattend.reference.store.seed import Account, Tenant, seed
from pytest_smartattend.target.reference_schema import ReferenceSchema
from tests.contract.reference.shift import Shift

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
PASSWORD = "correct horse"
SECRET = b"of the tests, 32 bytes and more" + b"!"
TELLING = {
    "root_cause": "the disk was full",
    "remediation_steps": "old logs were removed",
    "prevention_measures": "an alert was added",
}
WAY = {
    "open": [],
    "acknowledged": ["acknowledge"],
    "investigating": ["acknowledge", "investigate"],
    "mitigating": ["acknowledge", "investigate", "mitigate"],
    "resolved": ["acknowledge", "investigate", "mitigate", "resolve"],
}


class HandClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.instant = START

    def now(self) -> datetime:
        return self.instant

    def move(self, **by: float) -> None:
        self.instant += timedelta(**by)


@dataclass
class World:
    """A platform with two schools, `here` and `there`, and one person of each role in each."""

    database: Database
    settings: Settings
    clock: HandClock = field(default_factory=HandClock)
    people: dict[tuple[str, Role], User] = field(default_factory=dict)
    tenants: dict[str, uuid.UUID] = field(default_factory=dict)
    apps: list[FastAPI] = field(default_factory=list)
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    def __post_init__(self) -> None:
        password_hash = hash_password(PASSWORD, rounds=2)
        self.tenants = {name: uuid.uuid4() for name in ("here", "there")}
        for name, tenant_id in self.tenants.items():
            for role in Role:
                tenant = None if role is Role.SUPERADMIN else tenant_id
                self.people[name, role] = User(uuid.uuid4(), tenant, role, f"{role}@{name}.test", f"The {role}")
        seed(
            self.database.dsn,
            tenants=[Tenant(tenant_id, name, "school") for name, tenant_id in self.tenants.items()],
            accounts=[Account(user, password_hash) for user in self.people.values()],
            at=START,
        )
        self.start()

    def start(self, settings: Settings | None = None) -> FastAPI:
        """One more instance of the platform, in this process."""
        self.apps.append(create_app(settings or self.settings, clock=self.clock))
        return self.apps[-1]

    @property
    def platform(self) -> Platform:
        platform: Platform = self.apps[0].state.platform
        return platform

    def client(self, role: str | None = "admin", tenant: str = "here", app: FastAPI | None = None) -> httpx.AsyncClient:
        """Calls as that person; as nobody without a role."""
        headers = {}
        if role is not None:
            headers["Authorization"] = f"Bearer {self.platform.tokens.issue(self.people[tenant, Role(role)]).text}"
        transport = httpx.ASGITransport(app or self.apps[0])
        client = httpx.AsyncClient(transport=transport, base_url="http://platform/api", headers=headers)
        self.clients.append(client)
        return client

    async def incident(self, status: str = "open", severity: str = "low", tenant: str = "here") -> str:
        """A new incident in this status."""
        admin = self.client("admin", tenant)
        made = await admin.post("/incidents", json={"title": "It is down", "severity": severity})
        incident: str = made.json()["id"]
        for action in WAY[status]:
            done = await admin.post(f"/incidents/{incident}/{action}", json=TELLING if action == "resolve" else {})
            assert done.status_code == 200, done.text
        return incident

    @contextlib.contextmanager
    def sql(self, user: str | None = None) -> Iterator[psycopg.Connection[dict[str, Any]]]:
        """Past the platform: as the superuser, or as a role."""
        dsn = self.database.dsn_as(user) if user else self.database.dsn
        with psycopg.connect(dsn, autocommit=True, row_factory=dict_row) as connection:
            yield connection

    def rows(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        with self.sql() as connection:
            return connection.execute(query.encode(), parameters).fetchall()

    def everything(self) -> dict[str, list[dict[str, Any]]]:
        """All rows of all tables that a refusal must not touch."""
        tables = ("incidents", "timeline", "audit_heads", "escalations", "root_causes")
        return {table: self.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables}

    async def close(self) -> None:
        for client in self.clients:
            await client.aclose()
        for app in self.apps:
            await app.state.platform.close()


@pytest.fixture
def reference_database(postgres: Server) -> Database:
    return postgres.pool(ReferenceSchema()).take()


@pytest_asyncio.fixture
async def world(reference_database: Database) -> AsyncIterator[World]:
    dsn = reference_database.dsn_as("smartattend_app")
    made = World(reference_database, Settings(dsn, dsn, SECRET, token_ttl=timedelta(days=1)))
    yield made
    await made.close()


@pytest.fixture
def shift(world: World) -> Shift:
    return Shift(world)


#: generous: it only bounds how long a failure takes
PATIENCE = 30.0


class Served:
    """A running platform."""

    def __init__(self, database: Database, folder: Path, inherited: tuple[int, ...] = (), **environment: str) -> None:
        self.ready = folder / "ready"
        self.log = folder / "log"
        dsn = database.dsn_as("smartattend_app")
        given = {"DATABASE_URL": dsn, "TOKEN_SECRET": "s" * 32, "PORT": "0", "SMARTATTEND_READY_FILE": str(self.ready)}
        given["STOP_WITH_STDIN"] = "1"  # it outlives no killed run
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pytest_smartattend.reference.serve"],
                env={"PATH": os.environ["PATH"], **given, **environment},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=inherited,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()

    @property
    def url(self) -> str:
        self.until(lambda: self.ready.exists() and self.ready.read_text().endswith("\n"))
        told = json.loads(self.ready.read_text())
        assert told["pid"] == self.process.pid
        return f"http://{told['host']}:{told['port']}/api"

    def workers(self) -> list[int]:
        task = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in task.read_text().split()]

    def until(self, seen: Callable[[], object]) -> None:
        """Wait for what is to be seen."""
        deadline = time.monotonic() + PATIENCE
        while not seen():
            assert time.monotonic() < deadline, self.log.read_text()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=0.02)


@pytest.fixture(scope="session")
def serving() -> type[Served]:
    return Served


@pytest.fixture
def served(reference_database: Database, tmp_path: Path) -> Iterator[Served]:
    with Served(reference_database, tmp_path, WORKERS="2") as running:
        yield running
