"""Defects that show only when something is lost: a store, an instance, a page."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.conninfo import make_conninfo

from pytest_smartattend.sabotage.defect import Sabotage

#: seconds by which a commit, or a line on disk, comes after its answer
_LATE = 0.4


def _answer_first(app: Any) -> None:  # noqa: ANN401
    desk, store = app.state.platform.desk, app.state.platform.incidents_database
    bring_in_at_once, transaction_at_once = desk.bring_in, store.transaction
    under_way: set[asyncio.Task[object]] = set()

    @asynccontextmanager
    async def transaction(*scope: Any, **how: Any) -> AsyncIterator[object]:  # noqa: ANN401
        async with transaction_at_once(*scope, **how) as connection:
            yield connection
            if asyncio.current_task() in under_way:
                await asyncio.sleep(_LATE)

    async def bring_in(entry: Any, **how: Any) -> object:  # noqa: ANN401
        task = asyncio.create_task(bring_in_at_once(entry, **how))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        return desk.reported(entry).incident

    desk.bring_in, store.transaction = bring_in, transaction


def _look_up_once(app: Any) -> None:  # noqa: ANN401
    store = app.state.platform.database
    honest = store.connect

    async def connect() -> psycopg.AsyncConnection:
        connection: psycopg.AsyncConnection = await honest()
        store.dsn = make_conninfo(store.dsn, host=connection.info.host, port=connection.info.port)
        return connection

    store.connect = connect


def _drop_kept_connections(app: Any) -> None:  # noqa: ANN401
    app.state.platform.drain_idle = timedelta()


def _cut_long_requests(_app: Any) -> None:  # noqa: ANN401
    from pytest_smartattend.reference.serve import Worker  # only who serves has it in memory anyway

    Worker.CONFIG_KWARGS["timeout_graceful_shutdown"] = 1


def _ask_nobody_to_close(_app: Any) -> None:  # noqa: ANN401
    from pytest_smartattend.reference.serve import Draining  # only who serves has it in memory anyway

    honest = Draining.shutdown

    async def shutdown(self: Any, sockets: Any = None) -> None:  # noqa: ANN401
        self.server_state.default_headers = _Unwritten(self.server_state.default_headers)
        await honest(self, sockets)

    Draining.shutdown = shutdown  # type: ignore[method-assign]


class _Unwritten(list[tuple[bytes, bytes]]):
    def append(self, _header: object) -> None:
        """Leave the list as it is."""


def _forget_sessions(app: Any) -> None:  # noqa: ANN401
    platform = app.state.platform
    started = platform.clock.now().timestamp()
    # a token's second has ended before this instance began, so it is another's
    platform.tokens.expired = lambda payload: payload["iat"] + 1 <= started


def _send_no_alert(app: Any) -> None:  # noqa: ANN401
    async def tell(_alert: object) -> bool:
        return True

    app.state.platform.alerts.tell = tell


def _end_no_alert(app: Any) -> None:  # noqa: ANN401
    async def end(*_: object, **__: object) -> None:
        return None

    app.state.platform.alerts.rows.end = end


def _tell_once(app: Any) -> None:  # noqa: ANN401
    platform = app.state.platform
    told: set[str] = set()

    def notice(part: str, why: BaseException) -> None:
        if part not in told:
            told.add(part)
            platform.alerts.notice(part, why)

    platform.database.on_failure = platform.incidents_database.on_failure = notice


def _bring_in_nothing(app: Any) -> None:  # noqa: ANN401
    async def look() -> bool:
        spool.store_is_away = False
        return True

    spool = app.state.platform.desk.spool
    spool.look = look


def _write_later(app: Any) -> None:  # noqa: ANN401
    app.state.platform.desk.spool.write = lambda file, entry: threading.Timer(
        _LATE, file.append, [entry.line()]
    ).start()


def _bring_in_twice(app: Any) -> None:  # noqa: ANN401
    desk = app.state.platform.desk
    honest = desk.spool.empty

    async def empty(file: Any) -> bool:  # noqa: ANN401
        entries = file.waiting()[0]
        done = bool(await honest(file))
        for entry in entries:
            await desk.bring_in(replace(entry, incident_id=uuid4()))
        return done

    desk.spool.empty = empty


def _lose_a_line_before_a_torn_one(app: Any) -> None:  # noqa: ANN401
    spool = app.state.platform.desk.spool
    honest = spool.waiting

    def waiting(file: Any) -> tuple[list[Any], int, int]:  # noqa: ANN401
        entries, end, unreadable = honest(file)
        torn = not file.path.read_bytes().endswith(b"\n")
        return entries[:-1] if torn else entries, end, unreadable

    spool.waiting = waiting


def _forget_the_time(app: Any) -> None:  # noqa: ANN401
    platform = app.state.platform
    honest = platform.desk.spool.waiting

    def waiting(file: Any) -> tuple[list[Any], int, int]:  # noqa: ANN401
        entries, end, unreadable = honest(file)
        return [replace(entry, at=platform.clock.now()) for entry in entries], end, unreadable

    platform.desk.spool.waiting = waiting


def _pretend_on_a_full_disk(app: Any) -> None:  # noqa: ANN401
    spool = app.state.platform.desk.spool
    honest = spool.write

    def write(file: object, entry: object) -> None:
        try:
            honest(file, entry)
        except OSError:
            return

    spool.write = write


def _fence_nothing(operators: Any) -> None:  # noqa: ANN401
    operators.fence = lambda _node: None


def _stop_a_transaction_early(operators: Any) -> None:  # noqa: ANN401
    def target(asked: Any) -> Any:  # noqa: ANN401
        settings: Mapping[str, str] = asked.settings
        if "recovery_target_xid" not in settings:
            return asked
        earlier = str(int(settings["recovery_target_xid"]) - 1)
        return replace(asked, settings={**settings, "recovery_target_xid": earlier})

    operators.target = target


DRILLS = (
    Sabotage("answered-before-the-commit", "an incident is acknowledged before it is committed", _answer_first),
    Sabotage(
        "primary-looked-up-once", "the pool stays with the server that was the primary when it began", _look_up_once
    ),
    Sabotage("fence-skipped", "a primary that hangs is believed dead, and not killed", apply_operators=_fence_nothing),
    Sabotage("kept-connections-dropped", "an instance that stops closes idle connections", _drop_kept_connections),
    Sabotage("long-requests-cut", "an instance that stops gives what is under way a second", _cut_long_requests),
    Sabotage(
        "nobody-asked-to-close", "an instance that stops lets its clients keep their connections", _ask_nobody_to_close
    ),
    Sabotage("sessions-of-the-instance", "a token is good only while the instance lives", _forget_sessions),
    Sabotage(
        "checksums-ignored",
        "the platform reads on over damaged pages",
        apply_sql="alter role smartattend_app set ignore_checksum_failure = on",
    ),
    Sabotage(
        "restored-a-transaction-early",
        "a restore stops one transaction before the point that was asked for",
        apply_operators=_stop_a_transaction_early,
    ),
    Sabotage("alert-not-sent", "nobody is told of a lost or damaged store", _send_no_alert),
    Sabotage("alerted-once-only", "a store that is lost a second time is told to nobody", _tell_once),
    Sabotage("alert-never-ends", "an alert outlasts its cause, and hides the next loss", _end_no_alert),
    Sabotage("spool-never-brought-in", "what is spooled stays in the spool", _bring_in_nothing),
    Sabotage("spool-not-on-disk", "a spooled incident is answered before it is on disk", _write_later),
    Sabotage("spool-brought-in-twice", "a spooled incident is brought in again, as a new one", _bring_in_twice),
    Sabotage("line-lost-on-a-torn-tail", "a torn last line costs the line before it", _lose_a_line_before_a_torn_one),
    Sabotage("spool-forgets-the-time", "a spooled incident carries the time of its bringing in", _forget_the_time),
    Sabotage(
        "full-disk-not-told", "an incident that the disk has no room for is acknowledged", _pretend_on_a_full_disk
    ),
)
