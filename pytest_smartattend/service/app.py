"""The platform with the validation endpoints on top, as one ASGI application."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from pytest_smartattend.reference.api.app import create_app
from pytest_smartattend.reference.api.platform import Platform
from pytest_smartattend.reference.settings import Settings
from pytest_smartattend.service.desk import Desk, Limits
from pytest_smartattend.service.endpoints import LEAST_ROLE
from pytest_smartattend.service.gate import Events, Outage
from pytest_smartattend.service.jobs import Jobs
from pytest_smartattend.service.problems import answer_http
from pytest_smartattend.service.routes import router, visible
from pytest_smartattend.service.runs import Runs


@dataclass(frozen=True)
class Service:
    """What an operator decides about the service.

    Attributes:
        platform: the platform's own settings.
        admin_dsn: libpq URL of its database, as a superuser; marked as disposable.
        state: the folder of results and jobs.
        runs: how the suites are run.
        limits: how long jobs may take.
        most_jobs: how many may run at once.
        log_bytes: how much of a job's output is kept.
    """

    platform: Settings
    admin_dsn: str = field(repr=False)
    state: Path
    runs: Runs = field(default_factory=Runs)
    limits: Limits = field(default_factory=Limits)
    most_jobs: int = 2
    log_bytes: int = 4 << 20


def create_service(service: Service, base_url: str = "") -> FastAPI:
    """The platform and the service as an ASGI application, whose lifespan must be run.

    ``app.state.validation.base_url`` must be where it answers before a simulation is asked for.
    """
    app = create_app(service.platform)
    platform: Platform = app.state.platform
    jobs = Jobs(service.state, most=service.most_jobs, log_bytes=service.log_bytes)
    app.state.validation = Desk(jobs, service.runs, service.limits, platform.tokens, service.admin_dsn, base_url)
    platform.access.least_role.update(LEAST_ROLE)
    app.router.routes.extend(router.routes)
    app.add_exception_handler(HTTPException, answer_http)
    # the innermost, so that the metrics see what it answers; the outermost, so that they do not see streams
    app.user_middleware.append(Middleware(Outage, jobs=jobs, access=platform.access))
    app.user_middleware.insert(0, Middleware(Events, jobs=jobs, access=platform.access, visible=visible))
    whole = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def lifespan(made: FastAPI) -> AsyncIterator[None]:
        jobs.recover()
        jobs.tidy()
        async with whole(made):
            try:
                yield
            finally:
                await jobs.close()

    app.router.lifespan_context = lifespan
    return app
