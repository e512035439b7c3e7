"""The service on a real socket, over a real database, with small suites of its own to run."""

from __future__ import annotations

import json
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from pytest_smartattend.postgres.server import Database, Server
from pytest_smartattend.reference.settings import Settings
from pytest_smartattend.sabotage import catalogue
from pytest_smartattend.service import command
from pytest_smartattend.service.app import Service, create_service
from pytest_smartattend.service.desk import Limits
from pytest_smartattend.service.runs import Runs
from pytest_smartattend.target.people import Account
from pytest_smartattend.target.reference_schema import ReferenceSchema
from pytest_smartattend.target.seed import Seeder

SECRET = b"of the service's tests, 32 bytes and more"
#: generous: it only bounds how long a failure takes
PATIENCE = 120.0
REQUIREMENTS = """
version = "test"
[[groups.scenarios]]
id = "scenarios/one"
[[groups.simulations]]
id = "simulations/one"
"""
HONEST = """
import pytest

@pytest.mark.scenario("scenarios/one")
def test_one(evidence):
    evidence.expect("one and one", 1 + 1, 2)

@pytest.mark.simulation("simulations/one")
def test_two(evidence):
    evidence.invariant("it holds", True)
"""


@dataclass
class Running:
    """A service that answers.

    Attributes:
        people: tenant's number and role → an account; the superadmin is of every tenant.
        suites: the folder with the checks that it runs.
    """

    app: FastAPI
    base_url: str
    people: dict[tuple[int, str], Account]
    tenants: list[str]
    suites: Path
    state: Path
    database: Database

    def http(self, role: str = "superadmin", tenant: int = 0) -> httpx.Client:
        """A client as somebody; ``nobody`` has no token."""
        headers = {}
        if role != "nobody":
            account = self.people[tenant, role]
            seen = httpx.post(
                f"{self.base_url}/api/auth/login",
                json={"email": account.email, "password": account.password},
                timeout=PATIENCE,
            ).raise_for_status()
            headers = {"Authorization": f"Bearer {seen.json()['access_token']}"}
        return httpx.Client(base_url=f"{self.base_url}/api", headers=headers, timeout=PATIENCE)

    def checks(self, text: str) -> None:
        """Let the runs run these checks."""
        (self.suites / "test_checks.py").write_text(textwrap.dedent(text))

    def start(self, path: str, role: str = "superadmin", tenant: int = 0, body: object = None) -> str:
        """Ask for a job; its id."""
        with self.http(role, tenant) as http:
            answer = http.post(path, json=body) if body is not None else http.post(path)
            assert answer.status_code == 202, answer.text
            job_id = str(answer.json()["job"]["id"])
            assert answer.headers["location"] == f"/api/validation/jobs/{job_id}"
        return job_id

    def events(self, job_id: str) -> list[dict[str, Any]]:
        """All events of a job, up to its result."""
        found = []
        with self.http() as http, http.stream("GET", f"/validation/jobs/{job_id}/events") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            for line in stream.iter_lines():
                found += [json.loads(line[6:])] if line.startswith("data: ") else []
        return found

    def outcome(self, job_id: str) -> dict[str, Any]:
        """What a job came to, once it has ended."""
        self.events(job_id)
        with self.http() as http:
            job = http.get(f"/validation/jobs/{job_id}").raise_for_status().json()["job"]
        assert job["state"] == "ended"
        return dict(job["outcome"])

    def latest(self) -> dict[str, Any]:
        with self.http() as http:
            return dict(http.get("/validation/platform-readiness/latest").raise_for_status().json())


Serve = Callable[..., Running]


@pytest.fixture
def serve(_smartattend_postgres: Server, tmp_path: Path) -> Iterator[Serve]:
    """Start a service: ``serve(limits=…, most_jobs=…, sabotage=…, scope=…)``."""
    with ExitStack() as closing:

        def start(*, sabotage: str = "", scope: str = "", database: Database | None = None, **more: Any) -> Running:
            database = database or _smartattend_postgres.pool(ReferenceSchema()).take()
            suites, state = tmp_path / "suites", tmp_path / "state"
            suites.mkdir(exist_ok=True)
            (tmp_path / "requirements.toml").write_text(REQUIREMENTS)
            if sabotage:
                catalogue.plant_in_database(sabotage, database.dsn)
            dsn = database.dsn_as("smartattend_app")
            theirs = tmp_path / "readiness.toml"
            theirs.write_text(scope)
            quiet = ("-p", "no:schemathesis")
            runs = Runs("reference", str(suites), tmp_path / "requirements.toml", theirs if scope else None, 0, quiet)
            options = {"limits": Limits(60, 120), **more}
            app = create_service(Service(Settings(dsn, dsn, SECRET), database.dsn, state, runs, **options))
            if sabotage and (plant := catalogue.by_name()[sabotage].apply_app) is not None:
                plant(app)
            seeder = Seeder(database.dsn)
            closing.callback(seeder.close)
            people, tenants = {}, []
            for number, kind in enumerate(("school", "corporate")):
                tenant_id, accounts, _ = seeder.tenant(kind)
                tenants.append(tenant_id)
                people.update({(number, role): account for role, account in accounts.items()})
            running = Running(app, closing.enter_context(_serving(app)), people, tenants, suites, state, database)
            running.checks(HONEST)
            return running

        yield start


class _serving:  # noqa: N801 - a context manager
    """The application on a port of its own, in a thread."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def __enter__(self) -> str:
        self._listener = command._listener(0)
        url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._app.state.validation.base_url = url
        self._server = uvicorn.Server(uvicorn.Config(self._app, log_level="warning", access_log=False, lifespan="on"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]})
        self._thread.start()
        deadline = time.monotonic() + PATIENCE
        while not self._server.started:
            assert self._thread.is_alive()
            assert time.monotonic() < deadline
            threading.Event().wait(0.01)
        return url

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(PATIENCE)
        self._listener.close()
        assert not self._thread.is_alive()
