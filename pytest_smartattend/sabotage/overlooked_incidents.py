"""Defects around incidents that a reviewer planted later, and the suites of that day let through."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import dataclasses
from datetime import datetime
from typing import Any
from uuid import UUID

from pytest_smartattend.reference.api.health import OK
from pytest_smartattend.reference.domain.actors import Scope, system_id
from pytest_smartattend.reference.domain.incident import LEAST_TEXT, Action, Incident, Status
from pytest_smartattend.reference.domain.lifecycle import Report
from pytest_smartattend.reference.domain.sla import AT_RISK_FROM, Notice, Promise, SlaStatus, WindowState
from pytest_smartattend.reference.store.spool_file import Spooled
from pytest_smartattend.sabotage.defect import Sabotage

#: seconds between reading and writing, so that others come between in every run
_WIDE = 0.1


def _lock_transitions_only(app: Any) -> None:  # noqa: ANN401
    desk = app.state.platform.desk
    unlocked = contextvars.ContextVar("unlocked", default=False)
    act, for_update, update = desk.act, desk.rows.for_update, desk.rows.update

    async def acted(caller: Any, incident_id: str, action: Action, *given: Any) -> Any:  # noqa: ANN401
        token = unlocked.set(action in {Action.SEVERITY, Action.ROOT_CAUSE})
        try:
            return await act(caller, incident_id, action, *given)
        finally:
            unlocked.reset(token)

    async def updated(*given: Any) -> None:  # noqa: ANN401
        if unlocked.get():
            await asyncio.sleep(_WIDE)
        await update(*given)

    desk.act, desk.rows.update = acted, updated
    desk.rows.for_update = lambda statement: statement if unlocked.get() else for_update(statement)


def _tell_no_document(app: Any) -> None:  # noqa: ANN401
    app.router.routes[:] = [route for route in app.router.routes if route.path != app.openapi_url]


def _leave_one_out(app: Any) -> None:  # noqa: ANN401
    honest = app.openapi

    def openapi() -> dict[str, Any]:
        document: dict[str, Any] = copy.deepcopy(honest())
        del document["paths"]["/api/incidents/{id}/severity"]["patch"]
        return document

    app.openapi = openapi


def _name_the_first(app: Any) -> None:  # noqa: ANN401
    health = app.state.platform.health
    honest = health._ask_all  # noqa: SLF001 - a defect is planted wherever it would be made

    async def ask_all() -> dict[str, str]:
        answers: dict[str, str] = await honest()
        first = next((part for part, answer in answers.items() if answer != OK), None)
        return {part: answer if part == first else OK for part, answer in answers.items()}

    health._ask_all = ask_all  # noqa: SLF001


def _carry_up_what_was_taken(app: Any) -> None:  # noqa: ANN401
    def carries_up(incident: Incident, notice: Notice) -> bool:
        missed = notice.promise is Promise.ACKNOWLEDGE and notice.status is SlaStatus.BREACHED
        return missed and incident.status not in {Status.RESOLVED, Status.CLOSED}

    app.state.platform.monitor.carries_up = carries_up


def _show_the_risk_late(app: Any) -> None:  # noqa: ANN401
    sla = app.state.platform.sla
    honest = sla.state

    def state(incident: Incident, promise: Promise, now: datetime) -> WindowState:
        window: WindowState = honest(incident, promise, now)
        early = window.status is SlaStatus.AT_RISK and window.used <= AT_RISK_FROM
        return dataclasses.replace(window, status=SlaStatus.ON_TRACK) if early else window

    sla.state = state


def _filter_the_first_page(app: Any) -> None:  # noqa: ANN401
    rows = app.state.platform.desk.rows
    honest = rows.page

    async def page(transaction: object, scope: Scope, asked: Any) -> Any:  # noqa: ANN401
        further = dataclasses.replace(asked, status=None, severity=None) if asked.after else asked
        return await honest(transaction, scope, further)

    rows.page = page


def _spool_reports_of_people_only(app: Any) -> None:  # noqa: ANN401
    desk = app.state.platform.desk

    async def report_once(incident_id: UUID, tenant_id: UUID, report: Report, *, actor: str, at: datetime) -> None:
        await desk.bring_in(Spooled(incident_id, tenant_id, report, system_id(actor), actor, at))

    desk.report_once = report_once


def _count_bytes(app: Any) -> None:  # noqa: ANN401
    app.state.platform.lifecycle.lacks = lambda text: text is None or len(text.strip().encode()) < LEAST_TEXT


def _list_escalations_of_people(app: Any) -> None:  # noqa: ANN401
    escalations = app.state.platform.desk.escalations
    honest = escalations.append

    async def append(transaction: Any, incident: Incident, record: dict[str, Any]) -> None:  # noqa: ANN401
        if not record["actor"].startswith("system:"):
            await honest(transaction, incident, record)

    escalations.append = append


OVERLOOKED_INCIDENTS = (
    Sabotage(
        "own-escalations-unlisted", "an escalation by the platform itself is not listed", _list_escalations_of_people
    ),
    Sabotage("bytes-for-characters", "a text of nine letters is long enough, for it has ten bytes", _count_bytes),
    Sabotage(
        "unlocked-events", "a change of severity undoes a transition made at the same moment", _lock_transitions_only
    ),
    Sabotage("document-missing", "the contract's document is not told", _tell_no_document),
    Sabotage("document-lacks-an-endpoint", "the contract's document leaves one endpoint out", _leave_one_out),
    Sabotage("health-names-one-store", "of two stores that are lost health names the first", _name_the_first),
    Sabotage(
        "taken-incident-carried-up",
        "an incident that somebody took is escalated for a late acknowledgement",
        _carry_up_what_was_taken,
    ),
    Sabotage("risk-shown-late", "a window shows its risk after 80 % of it, not from there on", _show_the_risk_late),
    Sabotage("further-pages-unfiltered", "a list's filter holds for its first page only", _filter_the_first_page),
    Sabotage(
        "clock-incident-not-spooled",
        "an incident about a clock is lost while the incident store is away",
        _spool_reports_of_people_only,
    ),
)
