"""Incidents over HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from starlette.requests import Request

from pytest_smartattend.reference.api import wire
from pytest_smartattend.reference.api.access import Caller, GuardedRoute, caller_of, platform_of
from pytest_smartattend.reference.api.openapi import BODY, refusals
from pytest_smartattend.reference.api.problems import invalid
from pytest_smartattend.reference.domain.actors import Role
from pytest_smartattend.reference.domain.incident import Action, Incident, Severity, Status
from pytest_smartattend.reference.domain.lifecycle import Report
from pytest_smartattend.reference.domain.sla import Promise
from pytest_smartattend.reference.store.incident_rows import Page

router = APIRouter(prefix="/api", route_class=GuardedRoute)

#: any text may stand there: what is no id of a visible incident is not found, whatever else it is
IncidentId = Annotated[str, Path(alias="id", json_schema_extra={"format": "uuid"})]

LONGEST_PAGE = 200

SPOOLED: dict[str, Any] = {"model": wire.IncidentView, "description": "Kept on disk until its store is back"}


def _sla(request: Request, incident: Incident) -> wire.SlaView:
    platform = platform_of(request)
    now = platform.clock.now()
    return wire.SlaView.model_validate({promise: platform.sla.state(incident, promise, now) for promise in Promise})


def _view(request: Request, incident: Incident) -> wire.IncidentView:
    shown = {name: getattr(incident, name) for name in wire.IncidentView.model_fields if name != "sla"}
    return wire.IncidentView.model_validate({**shown, "sla": _sla(request, incident)})


async def _tenant_of_report(request: Request, caller: Caller, body: wire.NewIncident) -> Any:  # noqa: ANN401
    """Where the incident happened: the caller's tenant, or for a superadmin the one that is named."""
    platform = platform_of(request)
    if caller.user.role is not Role.SUPERADMIN:
        if body.tenant_id is not None:
            raise invalid([{"field": "tenant_id", "message": "is for superadmins; leave it out"}])
        return caller.user.tenant_id
    if body.tenant_id is None:
        raise invalid([{"field": "tenant_id", "message": "say which tenant; you belong to none"}])
    async with platform.database.transaction(caller.scope) as transaction:
        if not await platform.accounts.has_tenant(transaction, body.tenant_id):
            raise invalid([{"field": "tenant_id", "message": "is no tenant of this platform"}])
    return body.tenant_id


@router.post("/incidents", status_code=201, responses={202: SPOOLED, **refusals("POST /incidents", *BODY)})
async def report_incident(request: Request, response: Response, body: wire.NewIncident) -> wire.IncidentView:
    """Report an incident. 202: the incident store is away; it is kept on disk, and stored as it is when that is back."""
    caller = caller_of(request)
    tenant_id = await _tenant_of_report(request, caller, body)
    report = Report(body.title, body.description, body.severity)
    incident, spooled = await platform_of(request).desk.report(caller, tenant_id, report)
    if spooled:
        response.status_code = 202
    response.headers["Location"] = f"/api/incidents/{incident.id}"
    return _view(request, incident)


@router.get("/incidents", responses=refusals("GET /incidents", "validation_error"))
async def list_incidents(
    request: Request,
    status: Annotated[Status | None, Query()] = None,
    severity: Annotated[Severity | None, Query()] = None,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=LONGEST_PAGE)] = 50,
) -> wire.IncidentList:
    """Incidents, newest first."""
    platform = platform_of(request)
    after = platform.cursors.read(cursor) if cursor is not None else None
    page = Page(limit + 1, status, severity, after)  # one more than asked for tells whether there is a next page
    found = list(await platform.desk.page(caller_of(request), page))
    last = found[limit - 1] if len(found) > limit else None
    return wire.IncidentList(
        items=[_view(request, incident) for incident in found[:limit]],
        next_cursor=platform.cursors.write(last.created_at, last.id) if last else None,
    )


def _reads(path: str) -> dict[str, Any]:
    return {"path": path, "responses": refusals(f"GET {path}", "not_found")}


@router.get(**_reads("/incidents/{id}"))
async def read_incident(request: Request, incident_id: IncidentId) -> wire.IncidentView:
    """One incident."""
    return _view(request, await platform_of(request).desk.find(caller_of(request), incident_id))


@router.get(**_reads("/incidents/{id}/timeline"))
async def read_timeline(request: Request, incident_id: IncidentId) -> wire.TimelineView:
    """Everything that happened to it."""
    incident, rows, head = await platform_of(request).desk.history(caller_of(request), incident_id)
    return wire.TimelineView.model_validate({"incident_id": incident.id, "events": rows, "head": head})


@router.get(**_reads("/incidents/{id}/escalations"))
async def read_escalations(request: Request, incident_id: IncidentId) -> wire.Escalations:
    """How far up it was carried, when and by whom."""
    desk = platform_of(request).desk
    rows = await desk.records(caller_of(request), incident_id, desk.escalations)
    return wire.Escalations.model_validate({"items": rows})


@router.get(**_reads("/incidents/{id}/root-causes"))
async def read_root_causes(request: Request, incident_id: IncidentId) -> wire.RootCauses:
    """What was thought to be the cause."""
    desk = platform_of(request).desk
    rows = await desk.records(caller_of(request), incident_id, desk.root_causes)
    return wire.RootCauses.model_validate({"items": rows})


@router.get(**_reads("/incidents/{id}/refusals"))
async def read_refusals(request: Request, incident_id: IncidentId) -> wire.Refusals:
    """What was refused."""
    desk = platform_of(request).desk
    rows = await desk.records(caller_of(request), incident_id, desk.refusals)
    return wire.Refusals.model_validate({"items": rows})


@router.get(**_reads("/incidents/{id}/sla"))
async def read_sla(request: Request, incident_id: IncidentId) -> wire.SlaView:
    """How its two windows stand now."""
    return _sla(request, await platform_of(request).desk.find(caller_of(request), incident_id))


def _acts(action: Action, *codes: str, method: str = "POST") -> dict[str, Any]:
    path = f"/incidents/{{id}}/{action.value}"
    return {"path": path, "responses": refusals(f"{method} {path}", *BODY, "not_found", *codes)}


def _mover(action: Action) -> Callable[..., Awaitable[wire.IncidentView]]:
    async def move(request: Request, incident_id: IncidentId, body: wire.Note | None = None) -> wire.IncidentView:
        desk = platform_of(request).desk
        note = body.note if body else None
        incident, _ = await desk.act(
            caller_of(request),
            incident_id,
            action,
            lambda incident, by, at: desk.lifecycle.move(incident, action, actor=by, at=at, note=note),
            body,
        )
        return _view(request, incident)

    return move


for moving in (Action.ACKNOWLEDGE, Action.INVESTIGATE, Action.MITIGATE, Action.CLOSE, Action.REOPEN):
    router.add_api_route(
        endpoint=_mover(moving),
        methods=["POST"],
        name=moving.value,
        response_model=wire.IncidentView,
        **_acts(moving, "invalid_transition"),
    )


@router.post(**_acts(Action.ESCALATE, "invalid_transition", "escalation_level_mismatch"))
async def escalate(request: Request, incident_id: IncidentId, body: wire.NewEscalation) -> wire.IncidentView:
    """Carry it further up."""
    desk = platform_of(request).desk
    incident, _ = await desk.act(
        caller_of(request),
        incident_id,
        Action.ESCALATE,
        lambda incident, by, at: desk.lifecycle.escalate(incident, body.level, actor=by, at=at, note=body.note),
        body,
    )
    return _view(request, incident)


@router.post(**_acts(Action.RESOLVE, "invalid_transition", "missing_fields"))
async def resolve(request: Request, incident_id: IncidentId, body: wire.NewResolution) -> wire.IncidentView:
    """Resolve it, and say how."""
    desk = platform_of(request).desk
    fields = body.model_dump()
    incident, _ = await desk.act(
        caller_of(request),
        incident_id,
        Action.RESOLVE,
        lambda incident, by, at: desk.lifecycle.resolve(incident, fields, actor=by, at=at),
        body,
    )
    return _view(request, incident)


@router.post(status_code=201, **_acts(Action.ROOT_CAUSE, "invalid_transition", "missing_fields"))
async def record_root_cause(request: Request, incident_id: IncidentId, body: wire.NewRootCause) -> wire.RootCauseView:
    """Record what is thought to be the cause."""
    desk = platform_of(request).desk
    _, record = await desk.act(
        caller_of(request),
        incident_id,
        Action.ROOT_CAUSE,
        lambda incident, _, at: desk.lifecycle.record_root_cause(incident, body.root_cause, body.confidence, at=at),
        body,
    )
    return wire.RootCauseView.model_validate(record)


@router.patch(**_acts(Action.SEVERITY, "severity_frozen", method="PATCH"))
async def change_severity(request: Request, incident_id: IncidentId, body: wire.NewSeverity) -> wire.IncidentView:
    """Change how bad it is."""
    desk = platform_of(request).desk
    incident, _ = await desk.act(
        caller_of(request),
        incident_id,
        Action.SEVERITY,
        lambda incident, _, at: desk.lifecycle.change_severity(incident, body.severity, reason=body.reason, at=at),
        body,
    )
    return _view(request, incident)
