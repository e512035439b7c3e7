"""Exports over HTTP."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from starlette.requests import Request

from pytest_smartattend.reference.api import wire_exports as wire
from pytest_smartattend.reference.api.access import GuardedRoute, caller_of, platform_of
from pytest_smartattend.reference.api.openapi import BODY, refusals
from pytest_smartattend.reference.api.routes_incidents import IncidentId
from pytest_smartattend.reference.domain.canonical import canonical
from pytest_smartattend.reference.store.exports import Selection

router = APIRouter(prefix="/api/validation/incidents", route_class=GuardedRoute)

_ONE = "POST /validation/incidents/{id}/export"
_MANY = "POST /validation/incidents/export"


def _answer(value: Any) -> Response:  # noqa: ANN401 - JSON is anything
    """As it was sealed, byte for byte: canonical JSON."""
    return Response(canonical(value), media_type="application/json")


@router.post("/export", response_model=wire.ExportPage, responses=refusals(_MANY, *BODY))
async def export_many(request: Request, body: wire.ManyWanted | None = None) -> Response:
    """Incidents, oldest first."""
    platform, wanted = platform_of(request), body or wire.ManyWanted()
    after = platform.cursors.read(wanted.cursor) if wanted.cursor is not None else None
    selection = Selection(wanted.limit, wanted.status, wanted.severity, wanted.since, wanted.until, after)
    documents, last = await platform.exports.page(caller_of(request), selection, verbatim=wanted.verbatim)
    cursor = platform.cursors.write(last.created_at, last.id) if last else None
    return _answer({"items": documents, "next_cursor": cursor})


@router.post("/{id}/export", response_model=wire.ExportView, responses=refusals(_ONE, *BODY, "not_found"))
async def export_one(request: Request, incident_id: IncidentId, body: wire.Wanted | None = None) -> Response:
    """One incident."""
    verbatim = body.verbatim if body else False
    return _answer(await platform_of(request).exports.one(caller_of(request), incident_id, verbatim=verbatim))
