"""Defects that only load and faults bring to light: races, lost acknowledgements, what a failure leaves behind."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.dialects.postgresql import insert as insert_or_leave

from pytest_smartattend.reference.domain.tenant_health import HealthStatus
from pytest_smartattend.reference.store.sessions import StoreUnreachable
from pytest_smartattend.reference.store.tables import idempotency_keys
from pytest_smartattend.sabotage.defect import Sabotage

#: connections that one failure leaves open: so many that a few failures are more than all pools may keep at rest
_LEAKED = 6
_NO_CONSTRAINTS = (
    "alter table attendance drop constraint attendance_once_per_session;"
    " alter table attendance drop constraint attendance_once_per_shift"
)


def _hold_no_key(app: Any) -> None:  # noqa: ANN401
    async def hold(*_: object) -> None:
        return None

    app.state.platform.attendance.keys.hold = hold


def _look_the_key_up_first(app: Any) -> None:  # noqa: ANN401
    """As middleware does that knows headers only: the key is looked up before the body is there."""
    platform = app.state.platform
    desk, keys = platform.attendance, platform.attendance.keys
    looked_up: ContextVar[Any] = ContextVar("looked_up")
    honest = keys.find

    async def find(transaction: Any, tenant_id: object, key: Any) -> Any:  # noqa: ANN401
        try:
            return looked_up.get()
        except LookupError:
            return await honest(transaction, tenant_id, key)

    async def keep(transaction: Any, tenant_id: object, key: Any, answer: Any, *, at: datetime) -> None:  # noqa: ANN401
        values = {"tenant_id": tenant_id, "key": key.text, "digest": answer.digest, "status": answer.status}
        statement = insert_or_leave(idempotency_keys).values({**values, "answer": dict(answer.body), "at": at})
        await transaction.execute(statement.on_conflict_do_nothing())

    class Early:
        def __init__(self, app: Any) -> None:  # noqa: ANN401
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401
            headers = dict(scope.get("headers", ()))
            text, token = headers.get(b"idempotency-key"), headers.get(b"authorization", b"").decode()
            tenant_id = platform.access.claimed_tenant(token) if text else None
            if tenant_id is not None and text is not None:
                async with desk.store.transaction(_everywhere()) as transaction:
                    looked_up.set(await honest(transaction, tenant_id, _Text(text.decode())))
            await self.app(scope, receive, send)

    async def look(*_: object) -> Any:  # noqa: ANN401
        return looked_up.get(None)

    _hold_no_key(app)
    keys.find, keys.keep, keys.look = find, keep, look
    app.add_middleware(Early)


class _Text:
    """A key of which no more is known than its header."""

    def __init__(self, text: str) -> None:
        self.text = text


def _everywhere() -> Any:  # noqa: ANN401
    from pytest_smartattend.reference.domain.actors import Scope

    return Scope(everywhere=True)


def _keep_the_key_afterwards(app: Any) -> None:  # noqa: ANN401
    desk = app.state.platform.attendance
    honest, owed = desk.keys.keep, ContextVar[list[Any]]("owed")
    submit = desk.submit

    async def keep(_transaction: object, *given: Any, **more: Any) -> None:  # noqa: ANN401
        owed.get().append((given, more))

    async def submitted(caller: Any, *given: Any) -> Any:  # noqa: ANN401
        owed.set([])
        answer = await submit(caller, *given)
        for told, more in owed.get():
            async with desk.store.transaction(caller.scope) as transaction:
                await honest(transaction, *told, **more)
        return answer

    desk.keys.keep, desk.submit = keep, submitted


def _keep_the_key_before(app: Any) -> None:  # noqa: ANN401
    desk = app.state.platform.attendance
    honest = desk.keys.keep

    async def keep(_transaction: object, *given: Any, **more: Any) -> None:  # noqa: ANN401
        async with desk.store.transaction(_everywhere()) as transaction:
            await honest(transaction, *given, **more)

    desk.keys.keep = keep


def _try_again_without_the_key(app: Any) -> None:  # noqa: ANN401
    desk = app.state.platform.attendance
    honest = desk.submit

    async def submit(caller: Any, submission: Any, key: Any) -> Any:  # noqa: ANN401
        try:
            return await honest(caller, submission, key)
        except StoreUnreachable:
            return await honest(caller, submission, None)

    desk.submit = submit


def _leak_a_connection(app: Any) -> None:  # noqa: ANN401
    store = app.state.platform.database
    honest, leaked = store.transaction, []

    @contextlib.asynccontextmanager
    async def transaction(*given: Any, **more: Any) -> AsyncIterator[Any]:  # noqa: ANN401
        try:
            async with honest(*given, **more) as connection:
                yield connection
        except StoreUnreachable:
            with contextlib.suppress(Exception):
                for _ in range(_LEAKED):
                    leaked.append(await store.connect())  # noqa: PERF401 - those before one that is refused stay open too
            raise

    store.transaction = transaction


def _limit_the_rate_at(rate: float) -> Any:  # noqa: ANN401
    def plant(app: Any) -> None:  # noqa: ANN401
        app.state.platform.metrics.rules.limits[HealthStatus.DEGRADED] = (rate, 5_000.0)

    return plant


def _ignore_latency(app: Any) -> None:  # noqa: ANN401
    limits = app.state.platform.metrics.rules.limits
    limits |= {status: (rate, float("inf")) for status, (rate, _) in limits.items()}


def _look_back_two_hours(app: Any) -> None:  # noqa: ANN401
    app.state.platform.metrics.rules.since = lambda now: now - timedelta(hours=2)


STORMS = (
    Sabotage(
        "select-then-insert",
        "two that submit the same at the same moment both find no record, and both make one",
        apply_sql=_NO_CONSTRAINTS,
    ),
    Sabotage("key-not-held", "two requests with one key work at the same moment", _hold_no_key),
    Sabotage("key-before-body", "a key is looked up before the body is read", _look_the_key_up_first),
    Sabotage(
        "key-after-commit", "the answer under a key is kept after the record is committed", _keep_the_key_afterwards
    ),
    Sabotage("key-before-record", "the answer under a key is kept before its record is", _keep_the_key_before),
    Sabotage(
        "retry-without-key",
        "what the database did not acknowledge is tried again as if new",
        _try_again_without_the_key,
    ),
    Sabotage("connection-leaked", "each transaction that fails leaves connections open", _leak_a_connection),
    Sabotage("health-limit-too-high", "a tenant is degraded from 6 % of failures on", _limit_the_rate_at(0.06)),
    Sabotage("health-ignores-latency", "a tenant is healthy however late its answers are", _ignore_latency),
    Sabotage("health-window-too-long", "a tenant's health looks back two hours", _look_back_two_hours),
)
