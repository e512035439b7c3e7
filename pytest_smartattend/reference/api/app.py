"""The application: services, routes, refusals, and the document that describes them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from functools import partial

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from pytest_smartattend.reference.api import (
    openapi,
    problems,
    routes_account,
    routes_attendance,
    routes_exports,
    routes_handoff,
    routes_incidents,
    routes_metrics,
)
from pytest_smartattend.reference.api.door import Door
from pytest_smartattend.reference.api.metric_log import Meter
from pytest_smartattend.reference.api.platform import Platform
from pytest_smartattend.reference.domain.ports import Alarm, Clock, NewId
from pytest_smartattend.reference.domain.refusals import Refusal
from pytest_smartattend.reference.settings import Settings
from pytest_smartattend.reference.store.sessions import StoreUnreachable
from pytest_smartattend.reference.wall_clock import WallClock, new_id


def create_app(
    settings: Settings, *, clock: Clock | None = None, alarm: Alarm | None = None, new_id: NewId = new_id
) -> FastAPI:
    """SmartAttend as an ASGI application.

    Nothing connects before the first request, so that it may be made before a fork. Without a server that runs the
    lifespan, await ``app.state.platform.close()`` at the end.

    Args:
        settings: what the operator decided.
        clock: the platform's only source of time; the wall clock if none is given.
        alarm: what its SLA monitor waits on while the lifespan runs; the wall clock if none is given.
        new_id: the platform's only source of identifiers.
    """
    platform = Platform(settings, clock or WallClock(), new_id)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with platform.running(alarm or WallClock()):
            yield
        await platform.close()

    app = FastAPI(
        title="SmartAttend",
        version="1.0.0",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.platform = platform
    for routes in (routes_account, routes_incidents, routes_exports, routes_attendance, routes_metrics, routes_handoff):
        # as they are: what `include_router` makes of them would be worked out anew by each application's first requests
        app.router.routes.extend(routes.router.routes)
    app.add_exception_handler(problems.Problem, problems.answer_problem)
    app.add_exception_handler(Refusal, problems.answer_refusal)
    app.add_exception_handler(StoreUnreachable, problems.answer_unreachable)
    app.add_exception_handler(RequestValidationError, problems.answer_invalid)
    app.add_exception_handler(HTTPException, problems.answer_http)
    app.openapi = partial(openapi.document, app)  # type: ignore[method-assign]
    app.add_middleware(Door)
    app.add_middleware(Meter, metrics=platform.metric_log, access=platform.access, clock=platform.clock)
    return app
