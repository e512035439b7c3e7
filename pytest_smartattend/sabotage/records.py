"""Defects in what is kept: timeline, chain, heads, refusals, and the database's own guards."""

from __future__ import annotations

import dataclasses
from typing import Any

from pytest_smartattend.reference.domain.incident import Incident, Kind
from pytest_smartattend.reference.domain.lifecycle import Change
from pytest_smartattend.reference.domain.timeline import GENESIS
from pytest_smartattend.sabotage.defect import Sabotage


def _lose_a_row(app: Any) -> None:  # noqa: ANN401
    timeline = app.state.platform.desk.timeline
    honest = timeline.record

    async def record(transaction: object, change: Change, actor: str) -> object:
        return None if change.kind is Kind.MITIGATING else await honest(transaction, change, actor)

    timeline.record = record


def _skip_a_number(app: Any) -> None:  # noqa: ANN401
    app.state.platform.desk.timeline.next_seq = lambda position: position.seq + (2 if position.seq == 2 else 1)


def _bind_to_nothing(app: Any) -> None:  # noqa: ANN401
    app.state.platform.desk.timeline.previous = lambda _position: GENESIS


def _keep_no_heads(app: Any) -> None:  # noqa: ANN401
    async def advance(*_: object) -> None:
        return None

    app.state.platform.desk.heads.advance = advance


def _forget_refusals(app: Any) -> None:  # noqa: ANN401
    async def refuse(*_: object) -> None:
        return None

    app.state.platform.desk.refuse = refuse


def _touch_when_refusing(app: Any) -> None:  # noqa: ANN401
    desk, store = app.state.platform.desk, app.state.platform.incidents_database
    honest = desk.refuse

    async def refuse(scope: Any, incident: Incident, refusal: object, asked: dict[str, Any]) -> None:  # noqa: ANN401
        await honest(scope, incident, refusal, asked)
        async with store.transaction(scope) as transaction:
            await desk.rows.update(transaction, dataclasses.replace(incident, updated_at=asked["at"]))

    desk.refuse = refuse


def _take_no_lock(app: Any) -> None:  # noqa: ANN401
    app.state.platform.desk.rows.for_update = lambda statement: statement


RECORDS = (
    Sabotage("timeline-row-lost", "a mitigation leaves no event in the timeline", _lose_a_row),
    Sabotage(
        "sequence-gap",
        "the third event of an incident carries the number four",
        _skip_a_number,
        "drop trigger audit_heads_only_forward on audit_heads",
    ),
    Sabotage("chain-not-bound", "an event is not bound to the hash of the one before", _bind_to_nothing),
    Sabotage("heads-not-kept", "the newest hash is kept nowhere, so a cut tail goes unseen", _keep_no_heads),
    Sabotage("refusal-not-recorded", "who was refused what is not kept", _forget_refusals),
    Sabotage("refusal-changes-the-incident", "a refusal moves the time of the last change", _touch_when_refusing),
    Sabotage("concurrent-transitions", "two people can make the same transition at the same moment", _take_no_lock),
    Sabotage(
        "audit-triggers-dropped",
        "the owner of the database can rewrite the timeline",
        apply_sql="drop trigger timeline_append_only on timeline; drop trigger timeline_append_only_rows on timeline",
    ),
    Sabotage(
        "truncate-left-open",
        "the owner of the database can empty the refusals",
        apply_sql="drop trigger refusals_no_truncate on refusals",
    ),
    Sabotage(
        "rls-off",
        "the database shows the application every tenant's root causes",
        apply_sql="alter table root_causes disable row level security",
    ),
)
