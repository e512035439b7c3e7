"""Defects at the doors: tokens, roles, tenants, health, and what errors tell."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import jwt

from pytest_smartattend.reference.api.problems import Problem
from pytest_smartattend.reference.domain.actors import Role, Scope
from pytest_smartattend.sabotage.defect import Sabotage

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def _see_everything(endpoint: str) -> Callable[[Any], None]:
    def plant(app: Any) -> None:  # noqa: ANN401
        access = app.state.platform.access
        honest = access.scope
        access.scope = lambda asked, user: Scope(everywhere=True) if asked == endpoint else honest(asked, user)

    return plant


def _let_staff_mitigate(app: Any) -> None:  # noqa: ANN401
    app.state.platform.access.least_role["POST /incidents/{id}/mitigate"] = Role.STAFF


def _let_staff_read_metrics(app: Any) -> None:  # noqa: ANN401
    app.state.platform.access.least_role["GET /metrics/health-status"] = Role.STAFF


def _say_forbidden(app: Any) -> None:  # noqa: ANN401
    app.state.platform.desk.absent = lambda: Problem("forbidden", "this incident is another tenant's")


def _accept_unsigned(app: Any) -> None:  # noqa: ANN401
    tokens = app.state.platform.tokens
    honest = tokens.verify

    def verify(text: str) -> Mapping[str, Any]:
        if jwt.get_unverified_header(text)["alg"] == "none":
            claims: Mapping[str, Any] = jwt.decode(text, options={"verify_signature": False})
            return claims
        return dict(honest(text))

    tokens.verify = verify


def _accept_any_signature(app: Any) -> None:  # noqa: ANN401
    app.state.platform.tokens.verify = lambda text: jwt.decode(text, options={"verify_signature": False})


def _never_expire(app: Any) -> None:  # noqa: ANN401
    app.state.platform.tokens.expired = lambda _payload: False


def _grant_half_a_minute(app: Any) -> None:  # noqa: ANN401
    tokens = app.state.platform.tokens
    honest = tokens.expired
    tokens.expired = lambda payload: honest({**payload, "exp": payload["exp"] + 30})


def _accept_any_password(app: Any) -> None:  # noqa: ANN401
    async def matches(_password: str, stored: str | None) -> bool:
        return stored is not None

    app.state.platform.passwords.matches = matches


def _always_healthy(app: Any) -> None:  # noqa: ANN401
    app.state.platform.health.healthy = lambda _parts: True


#: the frames of a stack as Python writes them, without the heading; and a query as a driver logs it
_FRAMES = '  File "desk.py", line 1, in report\n    incident = rows.insert(body)'
_QUERY = "INSERT INTO incidents (id, title) VALUES ($1, $2)"


class _Debugging:
    """ASGI middleware that adds `told` to every refusal, as a forgotten debug switch would."""

    def __init__(self, app: Any, told: str) -> None:  # noqa: ANN401
        self._app = app
        self._told = told

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        started: list[Message] = []

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start" and 400 <= message["status"] < 500:
                started.append(message)
            elif message["type"] == "http.response.body" and started:
                body = json.dumps({**json.loads(message["body"]), "debug": [self._told]}).encode()
                start = started.pop()
                kept = [pair for pair in start["headers"] if pair[0].lower() != b"content-length"]
                await send({**start, "headers": [*kept, (b"content-length", str(len(body)).encode())]})
                await send({**message, "body": body})
            else:
                await send(message)

        await self._app(scope, receive, tell)


class _Lenient:
    """ASGI middleware that silently drops an unknown field of a report, in place of refusing it."""

    def __init__(self, app: Any) -> None:  # noqa: ANN401
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (scope["method"], scope["path"]) != ("POST", "/api/incidents"):
            await self._app(scope, receive, send)
            return
        message = await receive()
        body = message.get("body", b"").replace(b', "status": "closed"', b"")
        headers = [pair for pair in scope["headers"] if pair[0] != b"content-length"]

        async def changed() -> Message:
            return {**message, "body": body} if message else await receive()

        await self._app({**scope, "headers": [*headers, (b"content-length", str(len(body)).encode())]}, changed, send)


def _debug(told: str) -> Callable[[Any], None]:
    return lambda app: app.add_middleware(_Debugging, told=told)


DOORS = (
    Sabotage(
        "tenant-filter-off",
        "one endpoint shows other tenants' timelines",
        _see_everything("GET /incidents/{id}/timeline"),
    ),
    Sabotage(
        "attendance-filter-off",
        "one endpoint shows other tenants' attendance",
        _see_everything("GET /attendance/{id}"),
    ),
    Sabotage("metrics-for-staff", "staff can read how the tenant fares", _let_staff_read_metrics),
    Sabotage("list-filter-off", "the list of incidents holds other tenants' rows", _see_everything("GET /incidents")),
    Sabotage("wrong-role-accepted", "staff can mitigate", _let_staff_mitigate),
    Sabotage("forbidden-instead-of-not-found", "a 403 tells that a foreign incident exists", _say_forbidden),
    Sabotage("unsigned-token-accepted", "a token without a signature is believed", _accept_unsigned),
    Sabotage("any-signature-accepted", "a token signed by anybody is believed", _accept_any_signature),
    Sabotage("expired-token-accepted", "a token is good for ever", _never_expire),
    Sabotage("token-leeway", "a token is good for half a minute after it has expired", _grant_half_a_minute),
    Sabotage("any-password-accepted", "an address is enough to log in", _accept_any_password),
    Sabotage("health-always-ok", "health answers 200 while the database is down", _always_healthy),
    Sabotage("innards-shown", "a refusal carries the frames of a stack", _debug(_FRAMES)),
    Sabotage("query-shown", "a refusal carries the query that was refused", _debug(_QUERY)),
    Sabotage(
        "unknown-field-ignored",
        "a report with a field that does not exist is accepted",
        lambda app: app.add_middleware(_Lenient),
    ),
)
