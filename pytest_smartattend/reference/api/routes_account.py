"""Health, and who is who."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request

from pytest_smartattend.reference.api.access import GuardedRoute, caller_of, platform_of
from pytest_smartattend.reference.api.openapi import BODY, refusals
from pytest_smartattend.reference.api.problems import Problem
from pytest_smartattend.reference.api.wire import Credentials, HealthView, Login, UserView

router = APIRouter(prefix="/api", route_class=GuardedRoute)


@router.get("/health", responses=refusals("GET /health", "unhealthy"))
async def health(request: Request) -> HealthView:
    """Whether the databases answer."""
    service = platform_of(request).health
    parts = await service.parts()
    if not service.healthy(parts):
        down = ", ".join(f"{part}: {answer}" for part, answer in parts.items() if answer != "ok")
        raise Problem("unhealthy", f"{down}; see the platform's log", parts=parts)
    return HealthView(parts=parts)


@router.post("/auth/login", responses=refusals("POST /auth/login", *BODY, "invalid_credentials", "unavailable"))
async def log_in(request: Request, body: Credentials) -> Login:
    """A bearer token for an email address and a password."""
    user, token = await platform_of(request).access.log_in(body.email, body.password)
    return Login(access_token=token.text, expires_at=token.expires_at, user=UserView.model_validate(user))


@router.get("/auth/me", responses=refusals("GET /auth/me"))
async def me(request: Request) -> UserView:
    """Who the token stands for."""
    return UserView.model_validate(caller_of(request).user)
