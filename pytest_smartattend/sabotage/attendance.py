"""Defects of attendance: natural keys, idempotency, clocks, corrections, metrics."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import select, text, true

from pytest_smartattend.reference.domain.attendance import AttendanceState
from pytest_smartattend.reference.store.tables import metrics
from pytest_smartattend.sabotage.defect import Sabotage

#: seconds by which a commit comes too late
LATE = 0.5


def _allow_the_illegal(app: Any) -> None:  # noqa: ANN401
    states = app.state.platform.attendance.rules.states
    states[AttendanceState.REVOKED] = states[AttendanceState.REVOKED] | {AttendanceState.FLAGGED}


def _see_no_twin(app: Any) -> None:  # noqa: ANN401
    async def twin(*_: object) -> None:
        return None

    app.state.platform.attendance.rows.twin = twin


def _ignore_the_body(app: Any) -> None:  # noqa: ANN401
    app.state.platform.attendance.idempotency.same = lambda _kept, _key: True


def _share_keys(app: Any) -> None:  # noqa: ANN401
    app.state.platform.attendance.keys.owned = lambda _tenant_id: true()


def _replay_with_a_new_id(app: Any) -> None:  # noqa: ANN401
    desk = app.state.platform.attendance
    honest = desk.replay

    def replay(kept: Any) -> Any:  # noqa: ANN401
        answer = honest(kept)
        return replace(answer, body={**answer.body, "id": str(desk.new_id())})

    desk.replay = replay


class _Hasty:
    """A store that says that a transaction is over before it is committed."""

    def __init__(self, store: Any) -> None:  # noqa: ANN401
        self._store = store
        self.first = store.first
        self._late: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def transaction(self, scope: Any) -> AsyncIterator[Any]:  # noqa: ANN401
        under_way = self._store.transaction(scope)
        yield await under_way.__aenter__()
        task = asyncio.create_task(self._commit(under_way))
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _commit(self, under_way: Any) -> None:  # noqa: ANN401
        await asyncio.sleep(LATE)
        await under_way.__aexit__(None, None, None)


def _answer_before_the_commit(app: Any) -> None:  # noqa: ANN401
    desk = app.state.platform.attendance
    honest, store = desk.submit, desk.store

    async def submit(*given: Any) -> Any:  # noqa: ANN401
        desk.store = _Hasty(store)
        try:
            return await honest(*given)
        finally:
            desk.store = store

    desk.submit = submit


def _ignore_the_sign(app: Any) -> None:  # noqa: ANN401
    app.state.platform.attendance.drift.rules.size = lambda drift: drift


def _be_a_millisecond_late(app: Any) -> None:  # noqa: ANN401
    app.state.platform.attendance.drift.rules.size = lambda drift: abs(drift) - timedelta(milliseconds=1)


def _raise_every_alarm(app: Any) -> None:  # noqa: ANN401
    async def raised(*_: object, incident_id: object, **__: object) -> object:
        return incident_id

    app.state.platform.attendance.drift.alarms.raised = raised


def _submit_for_anybody(app: Any) -> None:  # noqa: ANN401
    app.state.platform.attendance.may_submit_for = lambda _caller, _person_id: True


def _overwrite(app: Any) -> None:  # noqa: ANN401
    rows = app.state.platform.corrections.rows
    honest = rows.append
    statement = text("update attendance set device_id = :device_id where id = :id")

    async def append(transaction: Any, tenant_id: object, correction: Any) -> None:  # noqa: ANN401
        await honest(transaction, tenant_id, correction)
        values = {"device_id": correction.corrected.get("device_id"), "id": correction.attendance_id}
        await transaction.execute(statement, values)

    rows.append = append


def _take_any_reason(app: Any) -> None:  # noqa: ANN401
    app.state.platform.corrections.rules.reason = lambda reason: (reason or "").ljust(10, ".")


def _never_recover(app: Any) -> None:  # noqa: ANN401
    rows = app.state.platform.metrics.rows
    honest = rows.weighed
    newest = select(metrics.c.at).where(metrics.c.status >= 400).order_by(metrics.c.at.desc()).limit(1)

    def weighed(*given: Any) -> Any:  # noqa: ANN401
        return honest(*given).where(metrics.c.at <= newest.scalar_subquery())

    rows.weighed = weighed


def _weigh_the_newest(app: Any) -> None:  # noqa: ANN401
    rows = app.state.platform.metrics.rows
    honest = rows.weighed

    def weighed(statement: Any, *given: Any) -> Any:  # noqa: ANN401
        newest = honest(select(metrics.c.id), *given).order_by(metrics.c.at.desc()).limit(1)
        return honest(statement, *given).where(metrics.c.id.in_(newest))

    rows.weighed = weighed


def _forget_errors(app: Any) -> None:  # noqa: ANN401
    log = app.state.platform.metric_log
    honest = log.note
    log.note = lambda metric: honest(metric) if metric.status < 400 else None


_DROP = "drop trigger {table}_append_only on {table}; drop trigger {table}_append_only_rows on {table}"

ATTENDANCE = (
    Sabotage("attendance-illegal-state-allowed", "a revoked record can be flagged", _allow_the_illegal),
    Sabotage(
        "natural-key-dropped",
        "the same attendance can be recorded twice",
        _see_no_twin,
        "alter table attendance drop constraint attendance_once_per_session;"
        " alter table attendance drop constraint attendance_once_per_shift",
    ),
    Sabotage("key-not-bound-to-body", "a key answers for another body too", _ignore_the_body),
    Sabotage(
        "key-not-bound-to-tenant",
        "a key that another tenant used is taken",
        _share_keys,
        "alter table idempotency_keys disable row level security",
    ),
    Sabotage("replay-with-new-id", "a replayed answer names a record that does not exist", _replay_with_a_new_id),
    Sabotage("answer-before-commit", "a submission is acknowledged before it is kept", _answer_before_the_commit),
    Sabotage("drift-sign-ignored", "a clock that is behind passes however far", _ignore_the_sign),
    Sabotage(
        "drift-limit-off-by-1ms", "every limit of a clock's drift is a millisecond too far", _be_a_millisecond_late
    ),
    Sabotage("drift-incident-each-time", "one device raises an incident with each submission", _raise_every_alarm),
    Sabotage("member-submits-for-others", "a member can submit another's attendance", _submit_for_anybody),
    Sabotage(
        "correction-overwrites",
        "a correction changes the record that it is about",
        _overwrite,
        f"{_DROP.format(table='attendance')}; grant update on attendance to smartattend_app",
    ),
    Sabotage("short-reason-accepted", "a correction needs no reason", _take_any_reason),
    Sabotage(
        "revert-accepted-twice",
        "a correction can be reverted again",
        apply_sql="alter table correction_reverts drop constraint correction_reverts_once",
    ),
    Sabotage("health-never-recovers", "successes after the last failure do not count", _never_recover),
    Sabotage("health-counts-newest-only", "a tenant's health follows its newest request alone", _weigh_the_newest),
    Sabotage("metrics-lost-on-errors", "requests that failed are not recorded", _forget_errors),
    Sabotage(
        "correction-triggers-dropped",
        "the owner of the database can rewrite corrections",
        apply_sql=_DROP.format(table="corrections"),
    ),
    Sabotage(
        "attendance-rls-off",
        "the database shows the application every tenant's attendance",
        apply_sql="alter table attendance disable row level security",
    ),
)
