"""Handoffs over HTTP."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from pytest_smartattend.reference.api import wire_handoff as wire
from pytest_smartattend.reference.api.access import GuardedRoute, caller_of, platform_of
from pytest_smartattend.reference.api.handoff_desk import Told
from pytest_smartattend.reference.api.openapi import BODY, refusals

router = APIRouter(prefix="/api", route_class=GuardedRoute)

#: any text may stand there: what is no id of a visible handoff is not found, whatever else it is
HandoffId = Annotated[str, Path(alias="id", json_schema_extra={"format": "uuid"})]


class Format(StrEnum):
    """How a briefing is written."""

    JSON = "json"
    MARKDOWN = "markdown"
    TEXT = "text"


def _answers(path: str, *codes: str, status: int = 200) -> dict[str, Any]:
    """A thousand incidents are plain JSON already: they go out as they are, documented by the model."""
    responses = refusals(f"POST {path}", *BODY, "not_found", *codes)
    responses[status] = {"model": wire.HandoffView, "description": "The handoff"}
    return {"path": path, "status_code": status, "responses": responses}


def _sent(request: Request, told: Told, status: int = 200) -> Response:
    view = platform_of(request).handoffs.view(told)
    return Response(json.dumps(view), status, media_type="application/json")


@router.post(**_answers("/validation/handoff/initiate", status=201))
async def initiate(request: Request, body: wire.NewHandoff) -> Response:
    """Offer all open incidents to another person of one's own role."""
    told = await platform_of(request).handoffs.initiate(caller_of(request), body.to_user_id, body.briefing_notes)
    return _sent(request, told, 201)


@router.post(**_answers("/validation/handoff/{id}/accept", "wrong_person", "handoff_over", "missing_fields"))
async def accept(request: Request, handoff_id: HandoffId, body: wire.Acceptance | None = None) -> Response:
    """Take all open incidents over, and read the critical ones back."""
    said = {str(one.incident_id): one.said for one in (body.read_back if body else ())}
    return _sent(request, await platform_of(request).handoffs.accept(caller_of(request), handoff_id, said))


@router.post(**_answers("/validation/handoff/{id}/reject", "wrong_person", "handoff_over"))
async def reject(request: Request, handoff_id: HandoffId, body: wire.Rejection) -> Response:
    """Leave all incidents with those who have them, and say why."""
    return _sent(request, await platform_of(request).handoffs.reject(caller_of(request), handoff_id, body.reason))


_BRIEFING = "/validation/handoff/{id}/briefing"
_WRITTEN = {"text/plain": {"schema": {"type": "string"}}, "text/markdown": {"schema": {"type": "string"}}}


@router.get(
    _BRIEFING,
    responses={
        **refusals(f"GET {_BRIEFING}", "not_found", "validation_error"),
        200: {"model": wire.HandoffView, "description": "The briefing", "content": _WRITTEN},
    },
)
async def read_briefing(
    request: Request,
    handoff_id: HandoffId,
    format: Annotated[Format, Query()] = Format.JSON,  # noqa: A002 - as in the URL
) -> Response:
    """All that the incoming person must know, for people and programs."""
    handoffs, caller = platform_of(request).handoffs, caller_of(request)
    told = await handoffs.briefing(caller, handoff_id)
    if format is Format.JSON:
        return _sent(request, told)
    view = handoffs.view(told)
    names = await handoffs.names(caller, view)
    written = handoffs.writers[format](view, names)
    return Response(written, media_type="text/markdown" if format is Format.MARKDOWN else "text/plain")
