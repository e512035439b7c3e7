"""Defects of attendance that the suites of their day let through. Each has the check that was missing."""

from __future__ import annotations

import copy
import dataclasses
import re
from datetime import timedelta
from typing import Any
from unittest.mock import ANY

from pytest_smartattend.reference.domain.actors import Scope
from pytest_smartattend.reference.domain.attendance import Kind, Submission
from pytest_smartattend.reference.domain.drift import Thresholds
from pytest_smartattend.reference.domain.idempotency import digest
from pytest_smartattend.sabotage.defect import Sabotage


def _bind_keys_to_people(app: Any) -> None:  # noqa: ANN401
    desk = app.state.platform.attendance
    honest = desk.submit

    async def submit(caller: Any, submission: Submission, key: Any) -> Any:  # noqa: ANN401
        bound = dataclasses.replace(key, digest=digest(str(caller.user.id), key.digest)) if key else None
        return await honest(caller, submission, bound)

    desk.submit = submit


def _judge_clocks_first(app: Any) -> None:  # noqa: ANN401
    desk = app.state.platform.attendance
    honest = desk.decide

    async def decide(transaction: Any, tenant_id: Any, caller: Any, submission: Submission) -> Any:  # noqa: ANN401
        judged = await desk.drift.judge(transaction, tenant_id, submission, at=desk.clock.now())
        if judged.problem is None:
            return await honest(transaction, tenant_id, caller, submission)
        return _Refused(judged.problem.body)

    desk.decide = decide


def _take_no_value_away(app: Any) -> None:  # noqa: ANN401
    rules = app.state.platform.corrections.rules
    honest = rules.effective

    def effective(submitted: Any, corrections: Any) -> Any:  # noqa: ANN401
        kept = [
            dataclasses.replace(
                one, corrected={name: value for name, value in one.corrected.items() if value is not None}
            )
            for one in corrections
        ]
        return honest(submitted, kept)

    rules.effective = effective


@dataclasses.dataclass(frozen=True)
class _Refused:
    """The answer to a clock that is refused."""

    body: dict[str, Any]
    status: int = 422
    replayed: bool = False


class _DeafToOffsets:
    """ASGI middleware that takes the client's wall time for UTC, wherever the client is."""

    _TIME = re.compile(rb'("client_time"\s*:\s*"[^"]*?)[+-][0-9]{2}:[0-9]{2}"')

    def __init__(self, app: Any) -> None:  # noqa: ANN401
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401
        if scope["type"] != "http" or scope["path"] not in {"/api/school/attendance", "/api/corporate/checkins"}:
            await self._app(scope, receive, send)
            return
        body, message = b"", dict[str, Any](more_body=True)
        while message.get("more_body"):
            message = await receive()
            body += message.get("body", b"")
        body = self._TIME.sub(rb'\1Z"', body)
        left = [{**message, "body": body}]

        async def changed() -> Any:  # noqa: ANN401
            return left.pop() if left else await receive()

        headers = [pair for pair in scope["headers"] if pair[0] != b"content-length"]
        length = (b"content-length", str(len(body)).encode())
        await self._app({**scope, "headers": [*headers, length]}, changed, send)


def _lock_no_record(app: Any) -> None:  # noqa: ANN401
    app.state.platform.attendance.rows.for_update = lambda statement: statement


def _place_corrected_checkins_anywhere(app: Any) -> None:  # noqa: ANN401
    desk = _desk_of_corrections(app)
    honest = desk.placed

    async def placed(transaction: Any, scope: Scope, submission: Submission) -> Any:  # noqa: ANN401
        return ANY if submission.kind is Kind.CORPORATE else await honest(transaction, scope, submission)

    desk.placed = placed


def _place_corrected_records_in_any_tenant(app: Any) -> None:  # noqa: ANN401
    desk = _desk_of_corrections(app)
    honest = desk.placed

    async def placed(*given: Any) -> Any:  # noqa: ANN401
        await honest(*given)
        return ANY

    desk.placed = placed


def _desk_of_corrections(app: Any) -> Any:  # noqa: ANN401
    """An attendance desk for corrections alone: what is planted in it does nothing to submissions."""
    corrections = app.state.platform.corrections
    corrections.attendance = copy.copy(corrections.attendance)
    return corrections.attendance


def _let_the_newest_alone_hold(app: Any) -> None:  # noqa: ANN401
    rules = app.state.platform.corrections.rules
    honest = rules.effective

    def effective(submitted: Any, corrections: Any) -> Any:  # noqa: ANN401
        return honest(submitted, [each for each in corrections if each.reverted is None][-1:])

    rules.effective = effective


def _list_as_if_nothing_were_reverted(app: Any) -> None:  # noqa: ANN401
    desk = app.state.platform.corrections
    honest = desk.history

    async def history(*given: Any) -> Any:  # noqa: ANN401
        shown, corrections = await honest(*given)
        standing = [dataclasses.replace(each, reverted=None) for each in corrections]
        return {**shown, "effective": desk.rules.effective(shown["submitted"], standing)}, corrections

    desk.history = history


def _count_no_failed_checkin(app: Any) -> None:  # noqa: ANN401
    log = app.state.platform.metric_log
    honest = log.note

    def note(metric: Any) -> None:  # noqa: ANN401
        refused = metric.endpoint == "POST /corporate/checkins" and 400 <= metric.status < 500
        honest(dataclasses.replace(metric, status=200) if refused else metric)

    log.note = note


def _widen_no_threshold(app: Any) -> None:  # noqa: ANN401
    rosters = app.state.platform.attendance.rosters
    honest = rosters.thresholds

    async def thresholds(*given: Any) -> Thresholds:  # noqa: ANN401
        usual, theirs = dataclasses.asdict(Thresholds()), dataclasses.asdict(await honest(*given))
        narrow: dict[str, timedelta] = {name: min(limit, usual[name]) for name, limit in theirs.items()}
        return Thresholds(**narrow)

    rosters.thresholds = thresholds


_BESIDE = ("class_sessions", "shifts", "tenant_settings", "drift_alarms", "tenants")
_WRITABLE = ("attendance", "attendance_history", "corrections", "correction_reverts", "attendance_refusals")

OVERLOOKED_ATTENDANCE = (
    Sabotage("key-bound-to-person", "a colleague's retry under the same key is refused", _bind_keys_to_people),
    Sabotage("clock-before-duplicate", "a duplicate is refused for the client's clock", _judge_clocks_first),
    Sabotage(
        "client-offset-ignored",
        "a client's time is read as UTC, whatever offset it has",
        lambda app: app.add_middleware(_DeafToOffsets),
    ),
    Sabotage(
        "attendance-states-unlocked", "of many who change a record's state at once some break it", _lock_no_record
    ),
    Sabotage(
        "corporate-corrections-unvalidated",
        "a check-in is corrected to a day without a shift, or to a stranger",
        _place_corrected_checkins_anywhere,
    ),
    Sabotage(
        "superadmin-corrects-across",
        "a superadmin's correction moves a record into another tenant",
        _place_corrected_records_in_any_tenant,
    ),
    Sabotage(
        "newest-correction-only",
        "a correction of one value takes back those of the others",
        _let_the_newest_alone_hold,
    ),
    Sabotage(
        "reverts-overlooked-in-history",
        "the list of corrections tells as holding what was reverted",
        _list_as_if_nothing_were_reverted,
    ),
    Sabotage("correction-to-nothing-ignored", "a correction cannot take a value away", _take_no_value_away),
    Sabotage("failed-checkins-not-counted", "check-ins that are refused count as successes", _count_no_failed_checkin),
    Sabotage(
        "metrics-rls-off",
        "the database shows the application every tenant's metrics",
        apply_sql="alter table metrics disable row level security",
    ),
    Sabotage(
        "rosters-rls-off",
        "the database shows the application every tenant's rosters and alarms",
        apply_sql="; ".join(f"alter table {table} disable row level security" for table in _BESIDE),
    ),
    Sabotage(
        "attendance-rls-write-open",
        "the application can write attendance into other tenants",
        apply_sql="; ".join(f"create policy leak on {table} for insert with check (true)" for table in _WRITABLE),
    ),
    Sabotage(
        "wider-thresholds-ignored",
        "a tenant that grants its clients' clocks more is not heeded",
        _widen_no_threshold,
    ),
)
