"""Superadmins are told when a store is lost or damaged: in a table, and where a webhook is set, there too.

A transaction that failed is only a hint, for one slow statement fails too. So the store is asked again, on a connection of
its own, and told of when it does not answer then either. Of several workers that notice the same, the one that stores the
alert posts it; while the table itself is away each of them does, for twice is better than not at all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime

import httpx

from pytest_smartattend.reference.domain.actors import Scope
from pytest_smartattend.reference.domain.ports import Clock, NewId, write_instant
from pytest_smartattend.reference.store.alert_rows import DAMAGED, UNREACHABLE, Alert, AlertRows
from pytest_smartattend.reference.store.sessions import DAMAGE, Store, StoreUnreachable

log = logging.getLogger(__name__)

#: seconds between two looks at a store that is away
LOOK = 0.5
#: seconds that a webhook may take, and how often it is tried
POST_DEADLINE, POST_ATTEMPTS = 5.0, 5
_EVERYWHERE = Scope(everywhere=True)


class Alerts:
    """Notices, tells, and notes the end.

    Args:
        store: where the table is.
        probe: part → whether it answers now.
        clock: gives the times of alerts.
        new_id: gives their ids.
        webhook: is told of each alert by a POST of JSON; empty for none.
    """

    def __init__(
        self, store: Store, probe: Callable[[str], Awaitable[bool]], clock: Clock, new_id: NewId, webhook: str
    ) -> None:
        self.rows = AlertRows()
        self._store = store
        self._probe = probe
        self._clock = clock
        self._new_id = new_id
        self._webhook = webhook
        # read now: when a store is lost, every request that is served waits for whoever reads certificates
        self._trusted = httpx.create_ssl_context() if webhook else False
        self._watching: dict[tuple[str, str], asyncio.Task[None]] = {}

    def notice(self, part: str, why: BaseException) -> None:
        """A transaction on `part` failed. Harmless while the same is being looked into."""
        damaged = isinstance(why, DAMAGE)
        kind, detail = (DAMAGED, str(why).strip()) if damaged else (UNREACHABLE, f"{part} does not answer")
        task = self._watching.get((kind, detail))
        if task is None or (task.done() and not damaged):
            alert = Alert(self._new_id(), kind, part, detail[:1000], self._clock.now())
            self._watching[kind, detail] = asyncio.create_task(self._watch(alert), name=f"alert-{part}")

    async def _watch(self, alert: Alert) -> None:
        if alert.kind == UNREACHABLE and await self._probe(alert.part):
            return
        told = await self.tell(alert)
        if alert.kind == DAMAGED:
            return  # it lasts until a person has restored it
        while not await self._probe(alert.part):  # noqa: ASYNC110 - nobody tells when a server is back
            await asyncio.sleep(LOOK)
        await self._end(alert, self._clock.now(), told=told)

    async def tell(self, alert: Alert) -> bool:
        """Store an alert and post it. Returns whether the table has it, from this worker or another."""
        log.error("%s: %s", alert.kind, alert.detail)
        first, stored = True, True
        try:
            async with self._store.transaction(_EVERYWHERE) as transaction:
                first = await self.rows.open(transaction, alert)
        except StoreUnreachable:
            stored = False
        if first and self._webhook:
            await self._post(alert)
        return stored

    async def _end(self, alert: Alert, at: datetime, *, told: bool) -> None:
        try:
            async with self._store.transaction(_EVERYWHERE) as transaction:
                if not told:
                    await self.rows.open(transaction, alert)
                await self.rows.end(transaction, alert, at)
        except StoreUnreachable:
            log.error("the end of alert %s about %s is not stored: its table is away", alert.id, alert.part)

    async def _post(self, alert: Alert) -> None:
        body = {**asdict(alert), "id": str(alert.id), "at": write_instant(alert.at), "ended_at": None}
        async with httpx.AsyncClient(timeout=POST_DEADLINE, verify=self._trusted) as client:
            for attempt in range(1, POST_ATTEMPTS + 1):
                try:
                    (await client.post(self._webhook, json=body)).raise_for_status()
                except httpx.HTTPError as why:
                    log.warning("alert %s is not posted, attempt %s: %s", alert.id, attempt, type(why).__name__)
                    await asyncio.sleep(LOOK * attempt)
                else:
                    return
        log.error("alert %s about %s could not be posted; see to the webhook", alert.id, alert.part)

    async def close(self) -> None:
        """Stop looking."""
        tasks = [task for task in self._watching.values() if not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
