"""Attendance and corrections over HTTP."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path
from starlette.requests import Request
from starlette.responses import Response

from pytest_smartattend.reference.api import wire_attendance as wire
from pytest_smartattend.reference.api.access import GuardedRoute, caller_of, platform_of
from pytest_smartattend.reference.api.corrections_desk import Asked
from pytest_smartattend.reference.api.openapi import BODY, refusals
from pytest_smartattend.reference.api.problems import MEDIA_TYPE
from pytest_smartattend.reference.domain.attendance import Submission
from pytest_smartattend.reference.domain.idempotency import Key, digest

router = APIRouter(prefix="/api", route_class=GuardedRoute)

#: any text may stand there: what is no id of a visible row is not found, whatever else it is
RowId = Annotated[str, Path(alias="id", json_schema_extra={"format": "uuid"})]

KeyHeader = Annotated[
    str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200, pattern=r"^[!-~]{1,200}$")
]


def _submits(path: str) -> dict[str, Any]:
    codes = ("forbidden", "not_found", "clock_drift_blocked", "idempotency_key_reused")
    replayed = {
        "Idempotency-Replayed": {"description": "`true`: the first answer again", "schema": {"const": "true"}},
    }
    responses = refusals(f"POST {path}", *BODY, *codes)
    responses[200] = {"model": wire.AttendanceView, "description": "The record that exists", "headers": replayed}
    responses[201] = {"model": wire.AttendanceView, "description": "A new record", "headers": replayed}
    return {"path": path, "status_code": 201, "responses": responses}


async def _submitted(request: Request, submission: Submission, key: str | None) -> Response:
    endpoint = request.state.endpoint
    bound = Key(key, digest(endpoint, await request.json())) if key is not None else None
    answer = await platform_of(request).attendance.submit(caller_of(request), submission, bound)
    headers = {"Idempotency-Replayed": "true"} if answer.replayed else {}
    if answer.status >= 400:
        return Response(json.dumps(answer.body), answer.status, headers, MEDIA_TYPE)
    headers["Location"] = f"/api/attendance/{answer.body['id']}"
    return Response(json.dumps(answer.body), answer.status, headers, "application/json")


@router.post(**_submits("/school/attendance"))
async def submit_attendance(request: Request, body: wire.NewAttendance, key: KeyHeader = None) -> Response:
    """A student was at a class session."""
    return await _submitted(request, body.submission(), key)


@router.post(**_submits("/corporate/checkins"))
async def check_in(request: Request, body: wire.NewCheckin, key: KeyHeader = None) -> Response:
    """An employee came or went."""
    return await _submitted(request, body.submission(), key)


def _reads(path: str) -> dict[str, Any]:
    return {"path": path, "responses": refusals(f"GET {path}", "not_found")}


@router.get(**_reads("/attendance/{id}"))
async def read_attendance(request: Request, attendance_id: RowId) -> wire.AttendanceView:
    """One record."""
    shown = await platform_of(request).attendance.find(caller_of(request), attendance_id)
    return wire.AttendanceView.model_validate(shown)


@router.get(**_reads("/attendance/{id}/history"))
async def read_history(request: Request, attendance_id: RowId) -> wire.StateHistoryView:
    """What happened to its state."""
    known, changes = await platform_of(request).attendance.history(caller_of(request), attendance_id)
    return wire.StateHistoryView.model_validate({"attendance_id": known, "items": changes})


def _acts(path: str, *codes: str) -> dict[str, Any]:
    return {"path": path, "responses": refusals(f"POST {path}", *BODY, "not_found", *codes)}


@router.post(**_acts("/attendance/{id}/state", "invalid_transition"))
async def change_state(request: Request, attendance_id: RowId, body: wire.NewState) -> wire.AttendanceView:
    """Change its state, and say why."""
    desk = platform_of(request).attendance
    shown = await desk.change_state(caller_of(request), attendance_id, body.state, body.reason)
    return wire.AttendanceView.model_validate(shown)


@router.get(**_reads("/corrections/history/{id}"))
async def read_corrections(request: Request, attendance_id: RowId) -> wire.CorrectionsView:
    """All corrections of a record."""
    shown, corrections = await platform_of(request).corrections.history(caller_of(request), attendance_id)
    values = {"submitted": shown["submitted"], "effective": shown["effective"]}
    return wire.CorrectionsView.model_validate({"attendance_id": shown["id"], **values, "items": corrections})


@router.post(status_code=201, **_acts("/corrections/{id}", "missing_fields"))
async def correct(request: Request, attendance_id: RowId, body: wire.NewCorrection) -> wire.CorrectionView:
    """Correct a record, which itself stays as it is."""
    corrected = body.corrected.by_name()
    asked = Asked(body.type, body.reason, corrected)
    correction = await platform_of(request).corrections.correct(caller_of(request), attendance_id, asked)
    return wire.CorrectionView.model_validate(correction)


@router.post(**_acts("/corrections/{id}/revert", "already_reverted"))
async def revert(request: Request, correction_id: RowId, body: wire.NewRevert) -> wire.CorrectionView:
    """Take a correction back, once."""
    desk = platform_of(request).corrections
    return wire.CorrectionView.model_validate(await desk.revert(caller_of(request), correction_id, body.reason))
