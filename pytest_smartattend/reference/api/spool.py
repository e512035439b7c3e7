"""The spool: keeps reports while the incident store is away, and brings each in exactly once when it is back.

Exactly once, because a report's id is decided before it is spooled and an id that the store knows is passed over: whoever
dies between storing and forgetting lets it be stored a second time, which does nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from pytest_smartattend.reference.api.problems import Problem
from pytest_smartattend.reference.domain.incident import Incident
from pytest_smartattend.reference.store.sessions import StoreUnreachable
from pytest_smartattend.reference.store.spool_file import Spooled, SpoolFile

log = logging.getLogger(__name__)

#: seconds between two attempts at a store that is away, while something waits for it
RETRY = 0.1
#: seconds between two looks for the files of workers that have died
LOOK = 1.0
#: reports that are brought in at the same time; others want connections too
AT_ONCE = 4


class Spool:
    """One worker's spool.

    Attributes:
        store_is_away: whether the last attempt at the store failed. Then reports are spooled without asking it.

    Args:
        folder: of the installation; None: there is no spool.
        bring_in: stores one report, unless its id is known.
    """

    def __init__(self, folder: Path | None, bring_in: Callable[[Spooled], Awaitable[Incident]]) -> None:
        self.store_is_away = False
        self._folder = folder
        self._bring_in = bring_in
        self._own: SpoolFile | None = None
        self._writing = asyncio.Lock()
        self._kept = asyncio.Event()

    @property
    def exists(self) -> bool:
        """Whether reports can be kept at all."""
        return self._folder is not None

    async def keep(self, entry: Spooled) -> None:
        """Have a report on disk before this returns.

        Raises:
            Problem: unavailable; the disk is full, or broken. Nothing of it is kept.
        """
        try:
            # shielded: a client that goes away in the middle must not leave half a line behind the lock's back
            await asyncio.shield(self._append(entry))
        except OSError as why:
            log.error("incident %s cannot be spooled: %s", entry.incident_id, why)
            raise Problem(
                "unavailable",
                "the incident store is away and this incident cannot be kept for it; report it again, and tell the operator",
                headers={"Retry-After": "1"},
                part="incident_spool",
            ) from why
        self.store_is_away = True
        self._kept.set()

    async def _append(self, entry: Spooled) -> None:
        assert self._folder is not None
        async with self._writing:
            if self._own is None:
                self._own = await asyncio.to_thread(SpoolFile.create, self._folder)
            await asyncio.to_thread(self.write, self._own, entry)

    def write(self, file: SpoolFile, entry: Spooled) -> None:
        """Append one line."""
        file.append(entry.line())

    def waiting(self, file: SpoolFile) -> tuple[list[Spooled], int, int]:
        """What waits in one file; see there."""
        return file.waiting()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Bring in what waits, for the length of the block; at its end once more."""
        if not self.exists:
            yield
            return
        task = asyncio.create_task(self._run(), name="spool")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})
            await self.look()
            if self._own is not None:
                self._own.close()
                self._own = None

    async def _run(self) -> None:
        while True:
            self._kept.clear()
            pause = LOOK if await self.look() else RETRY
            with contextlib.suppress(TimeoutError):
                # what is kept from now on is tried soon, not at once: the store has only just failed
                async with asyncio.timeout(pause):
                    await self._kept.wait()
                    await asyncio.sleep(RETRY)

    async def look(self) -> bool:
        """Bring in this worker's file and those of dead ones. Returns whether nothing waits any more."""
        assert self._folder is not None
        try:
            done = self._own is None or await self.empty(self._own)
            for file in await asyncio.to_thread(SpoolFile.abandoned, self._folder):
                try:
                    done &= await self.empty(file)
                finally:
                    file.close()
        except StoreUnreachable:
            self.store_is_away = True
            return False
        except Exception:
            log.exception("the spool cannot be brought in; it is tried again")
            return False
        if done:
            self.store_is_away = False
        return done

    async def empty(self, file: SpoolFile) -> bool:
        """Bring in what waits in one file. Returns whether all of it is in the store.

        Raises:
            StoreUnreachable: the store is still away.
        """
        async with self._writing:  # a line that is being written has an end already, and is not whole yet
            entries, end, unreadable = await asyncio.to_thread(self.waiting, file)
        for first in range(0, len(entries), AT_ONCE):
            stored = map(self._bring_in, entries[first : first + AT_ONCE])
            for outcome in await asyncio.gather(*stored, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome
            self.store_is_away = False
        if unreadable:
            await asyncio.to_thread(file.put_aside)
        async with self._writing:
            return await asyncio.to_thread(file.brought_in, end)
