"""Whether the databases answer, asked afresh each time and never for longer than the deadline."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta

import psycopg

from pytest_smartattend.reference.store.sessions import Store, cut

log = logging.getLogger(__name__)

OK, UNREACHABLE, TIMEOUT = "ok", "unreachable", "timeout"


class Health:
    """Asks each database over a connection of its own, so that a used-up pool does not look like an outage.

    Requests that come while a check is under way share its answer: a storm of health checks is one.
    """

    def __init__(self, stores: Mapping[str, Store], deadline: timedelta) -> None:
        self._stores = stores
        self._deadline = deadline
        self._check: asyncio.Task[dict[str, str]] | None = None

    async def parts(self) -> dict[str, str]:
        """Part → ``ok``, ``unreachable`` or ``timeout``."""
        if self._check is None or self._check.done():
            self._check = asyncio.create_task(self._ask_all())
        return await asyncio.shield(self._check)

    def healthy(self, parts: Mapping[str, str]) -> bool:
        """The verdict."""
        return all(answer == OK for answer in parts.values())

    async def answers(self, part: str) -> bool:
        """Whether one part answers, at the deadline at the latest."""
        return await self.probe(self._stores[part]) == OK

    async def probe(self, store: Store) -> str:
        """One database's answer, at the deadline at the latest."""
        held: list[psycopg.AsyncConnection] = []
        asking = asyncio.create_task(_ask(store, held))
        done, _ = await asyncio.wait({asking}, timeout=self._deadline.total_seconds())
        if done:
            return asking.result()
        for connection in held:
            cut(connection)
        if not held:  # still connecting: nothing to cut, and safe to cancel
            asking.cancel()
        return TIMEOUT

    async def _ask_all(self) -> dict[str, str]:
        distinct = list(dict.fromkeys(self._stores.values()))
        answers = dict(zip(distinct, await asyncio.gather(*map(self.probe, distinct)), strict=True))
        return {part: answers[store] for part, store in self._stores.items()}


async def _ask(store: Store, held: list[psycopg.AsyncConnection]) -> str:
    try:
        connection = await store.connect()
        held.append(connection)
        try:
            await connection.execute("SELECT 1")
        finally:  # also of a check that was ended with the platform
            await connection.close()
    except TimeoutError:
        return TIMEOUT
    except (psycopg.Error, OSError) as why:
        log.warning("health: %s: %s", store.part, why)
        return UNREACHABLE
    return OK
