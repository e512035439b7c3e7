"""Every request becomes a metric: noted in memory as it ends, written in batches, at the latest after a second.

A worker that is killed loses what it noted since its last batch, a second of requests at most. Drifts and mismatches are
not among it: they are written in the transaction of what they tell of. While the database is away the notes are kept,
up to `MOST`, and written when it is back.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from datetime import timedelta
from uuid import UUID

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as AsgiScope

from pytest_smartattend.reference.api.access import Access
from pytest_smartattend.reference.domain.actors import Scope
from pytest_smartattend.reference.domain.drift import milliseconds
from pytest_smartattend.reference.domain.ports import Clock
from pytest_smartattend.reference.store.metric_rows import REQUEST, Metric, MetricRows
from pytest_smartattend.reference.store.sessions import Store, StoreUnreachable

log = logging.getLogger(__name__)

#: seconds until what was noted is written
DELAY = 1.0
#: rows that are written at once
BATCH = 1000
#: rows that are kept while the database is away; beyond, the oldest go
MOST = 100_000
#: what is recorded where the client went away before it was answered
CLIENT_GONE = 499
#: what is recorded of a request to a path or method that does not exist
NOWHERE = "ANY /"


class MetricLog:
    """Notes and writes. The timer runs only while something waits to be written."""

    def __init__(self, store: Store, rows: MetricRows) -> None:
        self._store = store
        self._rows = rows
        self._waiting: deque[Metric] = deque(maxlen=MOST)
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    def note(self, metric: Metric) -> None:
        """Keep one row until it is written."""
        if len(self._waiting) == MOST:
            log.error("more than %s metrics wait for the database; the oldest are lost", MOST)
        self._waiting.append(metric)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(DELAY, self._due)

    async def flush(self) -> None:
        """Write all that was noted before the call, unless the database is away."""
        while self._writing is not None and not self._writing.done():
            await asyncio.wait({self._writing})
        if self._waiting:
            self._writing = asyncio.create_task(self._write())
            await asyncio.wait({self._writing})

    async def close(self) -> None:
        """Write what is left, and let the timer go."""
        await self.flush()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            log.error("%s metrics are lost: the database is away at the end", len(self._waiting))

    def _due(self) -> None:
        self._timer = None
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        else:
            self._timer = asyncio.get_running_loop().call_later(DELAY, self._due)

    async def _write(self) -> None:
        left = len(self._waiting)
        while left > 0:
            batch = [self._waiting.popleft() for _ in range(min(left, BATCH))]
            left -= len(batch)
            try:
                async with self._store.transaction(Scope(everywhere=True)) as transaction:
                    await self._rows.write(transaction, batch)
            except Exception as why:  # noqa: BLE001 - whatever it is, requests go on and the rows are tried again
                log.warning("metrics are not written yet: %s", why if isinstance(why, StoreUnreachable) else repr(why))
                self._waiting.extendleft(reversed(batch))
                if self._timer is None:
                    self._timer = asyncio.get_running_loop().call_later(DELAY, self._due)
                return


class Meter:
    """ASGI middleware outside the door: it sees the status that the client gets, whatever went wrong within."""

    def __init__(self, app: ASGIApp, metrics: MetricLog, access: Access, clock: Clock) -> None:
        self.app = app
        self.metrics = metrics
        self.access = access
        self.clock = clock

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Pass a request through and note it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope.setdefault("state", {})
        begun, status = self.clock.now(), CLIENT_GONE

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, answer)
        finally:
            at = self.clock.now()
            taken = milliseconds(max(at - begun, timedelta()))
            endpoint = scope["state"].get("endpoint", NOWHERE)
            self.metrics.note(Metric(self._tenant(scope, status), at, REQUEST, taken, endpoint, status))

    def _tenant(self, scope: AsgiScope, status: int) -> UUID | None:
        """Whose request it was; where it ended before the caller was known, by what the token says."""
        caller = scope["state"].get("caller")
        if caller is not None:
            tenant_id: UUID | None = caller.user.tenant_id
            return tenant_id
        return None if status == 401 else self.access.claimed_tenant(Headers(scope=scope).get("authorization"))
