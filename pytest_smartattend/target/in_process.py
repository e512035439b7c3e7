"""The reference platform in this process, on a clock that a check holds: hours pass in milliseconds.

Several workers, as in production each with its own connections and its own SLA monitor, over one real PostgreSQL. A
request runs the event loop until it is answered; between requests the loop stands still, and `sleep_until` lets the time
go by. So a check is plain code with the same client as for a served platform.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, ExitStack
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
from starlette.middleware import Middleware

from pytest_smartattend.injectors.asgi_faults import FaultMiddleware
from pytest_smartattend.injectors.http_faults import AsyncFaultTransport
from pytest_smartattend.injectors.http_switch import HttpFaults
from pytest_smartattend.injectors.node_clocks import NodeClocks
from pytest_smartattend.postgres.database_clock import DatabaseClock
from pytest_smartattend.reference.api.app import create_app
from pytest_smartattend.reference.domain.incident import Severity
from pytest_smartattend.reference.domain.sla import Promise
from pytest_smartattend.reference.settings import Settings
from pytest_smartattend.sabotage import catalogue
from pytest_smartattend.target.client import TIMEOUT, Operation
from pytest_smartattend.target.observer import Observer
from pytest_smartattend.target.paths import Path
from pytest_smartattend.target.people import Person, Tenant
from pytest_smartattend.target.seed import Seeder
from pytest_smartattend.target.tokens import SecretSigner

if TYPE_CHECKING:
    from fastapi import FastAPI

    from pytest_smartattend.loop.clock import LoopClock
    from pytest_smartattend.postgres.server import Database

T = TypeVar("T")

#: the longest sleep of a monitor. What a worker stores it watches itself, so that a long one does no harm where no worker
#: dies alone, and a simulated week asks the database a few hundred times in place of thousands.
SCAN = timedelta(hours=1)
#: after which every worker has written what it noted
REST = timedelta(seconds=2)
#: how long a transaction, a connection or a health check may really take, whatever the clock's pace
DEADLINE = timedelta(seconds=5)


class _Workers(httpx.AsyncBaseTransport):
    """Hands each request to the next worker.

    Attributes:
        apps: the workers.
    """

    def __init__(self) -> None:
        self.apps: list[FastAPI] = []
        self._workers: list[httpx.ASGITransport] = []
        self._turn = 0

    def add(self, app: FastAPI) -> None:
        """One worker more."""
        self.apps.append(app)
        self._workers.append(httpx.ASGITransport(app, raise_app_exceptions=False))

    def __len__(self) -> int:
        return len(self._workers)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._turn += 1
        return await self._workers[self._turn % len(self)].handle_async_request(request)


class _Standstill(httpx.BaseTransport):
    """Runs the loop until a request is answered, and no longer."""

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: httpx.AsyncBaseTransport) -> None:
        self._loop = loop
        self._transport = transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._loop.run_until_complete(self._answer(request))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        response = await self._transport.handle_async_request(request)
        return httpx.Response(response.status_code, headers=response.headers, content=await response.aread())


class InProcessPlatform:
    """A platform that runs while a check waits for it.

    Args:
        database: a fresh database with the reference schema.
        clock: its only source of time; no event loop may be moving it yet.
        workers: how many workers.
        sabotage: the name of a planted defect, or empty.
        seed: the root of the faults' random decisions.

    Attributes:
        name: how the report calls it.
        observer: reads its database past it.
        clock: as given.
        export_key: what it signs exported incidents with.
        database_clock: the database's, which follows `clock`.
        node_clocks: the clocks of the devices from which clients submit.
        paths: where faults can be laid. ``platform``: on requests that reach it, behind its own metrics; ``clients``: on
            their way to it and back; ``clocks``: on the devices' clocks. Delays pass on the clock.
    """

    def __init__(
        self, database: Database, clock: LoopClock, *, workers: int = 2, sabotage: str = "", seed: int = 0
    ) -> None:
        self.name = "reference, in process" + (f" (sabotaged: {sabotage})" if sabotage else "")
        self.clock = clock
        self._at_the_door = HttpFaults("platform", seed, now=self._seconds)
        self._on_the_way = HttpFaults("clients", seed, now=self._seconds)
        self.node_clocks = NodeClocks(clock.now, seed=seed)
        self.paths: dict[str, Path] = {
            "platform": self._at_the_door,
            "clients": self._on_the_way,
            "clocks": self.node_clocks,
        }
        self._workers = _Workers()
        self._sabotage = sabotage
        self._secret = secrets.token_hex(32)
        self.export_key = secrets.token_bytes(32)
        self._closing = ExitStack()
        try:
            self._start(database, workers)
        except BaseException:
            self._closing.close()
            raise

    def _start(self, database: Database, workers: int) -> None:
        self._database = database
        if self._sabotage:
            catalogue.plant_in_database(self._sabotage, database.dsn)
        self.observer = Observer(database.dsn)
        self._closing.callback(self.observer.close)
        self._seeder = Seeder(database.dsn)
        self._closing.callback(self._seeder.close)
        self.database_clock = self._closing.enter_context(DatabaseClock(database, self.clock).following())
        runner = self._closing.enter_context(asyncio.Runner(loop_factory=self.clock.new_loop))
        self._loop = runner.get_loop()
        self._running = AsyncExitStack()
        self._closing.callback(self.stop)
        for _ in range(workers):
            self.add_worker()
        self._transport = AsyncFaultTransport(self._workers, self._on_the_way)
        transport = _Standstill(self._loop, self._transport)
        self._http = self._closing.enter_context(
            httpx.Client(transport=transport, base_url="http://in-process", timeout=TIMEOUT)
        )

    def add_worker(self) -> None:
        """Start one worker more; requests go to it in its turn."""
        app = self._worker()
        self._loop.run_until_complete(self._running.enter_async_context(app.router.lifespan_context(app)))
        self._workers.add(app)

    def _worker(self) -> FastAPI:
        dsn = self._database.dsn_as("smartattend_app")
        patience = DEADLINE * self.clock.factor
        settings = Settings(
            dsn,
            dsn,
            self._secret.encode(),
            health_deadline=patience,
            connect_timeout=patience,
            store_deadline=patience,
            sla_scan=SCAN,
            export_key=self.export_key,
        )
        app = create_app(settings, clock=self.clock, alarm=self.clock)
        if self._sabotage and (plant := catalogue.by_name()[self._sabotage].apply_app) is not None:
            plant(app)
        # inside the platform's metrics, which are its outermost layer: it sees what its clients suffer
        app.user_middleware.insert(1, Middleware(FaultMiddleware, faults=self._at_the_door))
        return app

    def _seconds(self) -> float:
        return self.clock.elapsed_ns() / 1e9

    def describe(self) -> Mapping[str, Any]:
        """What stands in the report about it."""
        return {"name": self.name, "workers": len(self._workers), "sabotage": self._sabotage or None}

    def seed(self, kind: str, record: Callable[[Operation], None]) -> Tenant:
        """A new tenant of `kind` with one person of each role, whose operations are told to `record`."""
        tenant_id, accounts, roster = self._seeder.tenant(kind)
        signer = SecretSigner(self._secret, self.clock.now)
        return Tenant(tenant_id, kind, accounts, roster, signer, self._http, record)

    def cast(self, tenant_id: str, roles: Mapping[str, str], record: Callable[[Operation], None]) -> dict[str, Person]:
        """A person of the tenant's for each name in `roles`, in that role; superadmins are of no tenant."""
        signer = SecretSigner(self._secret, self.clock.now)
        accounts = {name: self._seeder.person(role, tenant_id) for name, role in roles.items()}
        return {name: Person(self._http, one, signer.token(one), record) for name, one in accounts.items()}

    def set_window(self, severity: str, promise: str, length: timedelta) -> None:
        """Promise something else for incidents of `severity`: ``acknowledge`` or ``resolve`` within `length`."""
        for app in self._workers.apps:
            app.state.platform.sla.windows[Severity(severity)][Promise(promise)] = length

    def sleep_until(self, moment: datetime) -> None:
        """Let time pass until `moment`, in front of whatever else is due then; the platform's own work goes on.

        Raises:
            ClockDeadlock, ClockStall: time could not move on.
        """
        self._loop.run_until_complete(self.clock.sleep_until(moment))

    def rest(self) -> None:
        """Let the platform end what it began, such as writing metrics: what is left open after that was left behind."""
        self.sleep_until(self.clock.now() + REST)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the platform's loop to its end.

        Raises:
            ClockDeadlock, ClockStall: time could not move on.
        """
        return self._loop.run_until_complete(work)

    def async_client(self) -> httpx.AsyncClient:
        """A client for coroutines that `run` runs; it waits ten seconds of the clock for an answer.

        Where the clock runs faster than the wall it waits as many times as long, as the platform's own deadlines do.
        """
        patience = TIMEOUT * self.clock.factor
        return httpx.AsyncClient(transport=self._transport, base_url="http://in-process", timeout=patience)

    def stop(self) -> None:
        """End the workers; the database stays readable by `observer`. Harmless when done twice."""
        self._loop.run_until_complete(self._running.aclose())

    def close(self) -> None:
        """End everything."""
        self._closing.close()
