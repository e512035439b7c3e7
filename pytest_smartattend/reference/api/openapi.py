"""The contract: ``/api/openapi.json`` says of every endpoint who may call it and every way in which it says no."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from pytest_smartattend.reference.api.endpoints import LEAST_ROLE
from pytest_smartattend.reference.api.problems import MEDIA_TYPE
from pytest_smartattend.reference.domain.actors import Role
from pytest_smartattend.reference.domain.attendance import AttendanceState
from pytest_smartattend.reference.domain.drift import Band
from pytest_smartattend.reference.domain.handoff import HandoffStatus
from pytest_smartattend.reference.domain.incident import Level, Severity, Status
from pytest_smartattend.reference.domain.problems import PROBLEMS

_STRING = {"type": "string"}
_STATUS = {"enum": list(Status)}
_STATES = {"enum": [*Status, *AttendanceState]}
_PARTS = {"type": "object", "additionalProperties": {"enum": ["ok", "unreachable", "timeout"]}}

#: members that problems of a code have beside the usual ones
EXTENSIONS: dict[str, dict[str, Any]] = {
    "invalid_transition": {"current": _STATES, "legal": {"type": "array", "items": _STATES}},
    "severity_frozen": {"current": _STATUS},
    "validation_error": {
        "errors": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {"field": _STRING, "message": _STRING},
                "required": ["field", "message"],
            },
        }
    },
    "handoff_over": {"current": {"enum": [status for status in HandoffStatus if status is not HandoffStatus.PENDING]}},
    "missing_fields": {"fields": {"type": "array", "minItems": 1, "items": _STRING}},
    "escalation_level_mismatch": {
        "severity": {"enum": list(Severity)},
        "level": {"enum": list(Level)},
        "least": {"enum": list(Level)},
        "current": {"enum": [*Level, None]},
    },
    "clock_drift_blocked": {
        "drift_ms": {"type": "number"},
        "band": {"enum": [Band.BLOCKED, Band.CRITICAL]},
        "incident_id": {"type": ["string", "null"], "format": "uuid"},
    },
    "unavailable": {"part": {"enum": ["database", "incidents_database", "incident_spool"]}},
    "unhealthy": {"parts": _PARTS},
}

#: what reading any body may end in
BODY = ("malformed_json", "body_too_large", "unsupported_media_type", "validation_error")


def refusals(endpoint: str, *codes: str) -> dict[int | str, dict[str, Any]]:
    """FastAPI's ``responses`` for an endpoint that may answer with problems of these codes.

    Those that follow from its least role are added, and ``internal_error``.
    """
    least = LEAST_ROLE[endpoint]
    general = ["internal_error"]
    if least is not None:
        general += ["unauthenticated", "unavailable"]
        if least is not Role.MEMBER:
            general.append("forbidden")
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys([*codes, *general]):
        by_status.setdefault(PROBLEMS[code].status, []).append(code)
    return {status: _response(by_status[status]) for status in sorted(by_status)}


def _response(codes: list[str]) -> dict[str, Any]:
    schemas = [{"$ref": f"#/components/schemas/{_name(code)}"} for code in codes]
    return {
        "description": "; ".join(PROBLEMS[code].title for code in codes),
        "content": {MEDIA_TYPE: {"schema": schemas[0] if len(schemas) == 1 else {"oneOf": schemas}}},
    }


def _name(code: str) -> str:
    return "Problem" + "".join(word.capitalize() for word in code.split("_"))


def _schema(code: str) -> dict[str, Any]:
    properties = {
        "type": {"type": "string", "format": "uri"},
        "title": _STRING,
        "status": {"const": PROBLEMS[code].status},
        "detail": _STRING,
        "code": {"const": code},
        **EXTENSIONS.get(code, {}),
    }
    return {"type": "object", "properties": properties, "required": list(properties)}


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of `app`, made once."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, openapi_version=app.openapi_version, routes=app.routes
        )
        components = schema.setdefault("components", {})
        components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
        for unused in ("HTTPValidationError", "ValidationError"):
            components["schemas"].pop(unused, None)
        used = {code for code in PROBLEMS if _name(code) in str(schema["paths"])}
        components["schemas"].update({_name(code): _schema(code) for code in PROBLEMS if code in used})
        for path, operations in schema["paths"].items():
            for method, operation in operations.items():
                least = LEAST_ROLE[f"{method.upper()} {path.removeprefix('/api')}"]
                if least is not None:
                    operation["security"] = [{"bearer": []}]
                if "HTTPValidationError" in str(operation["responses"].get("422")):  # FastAPI's own, for any parameter
                    del operation["responses"]["422"]
                operation["description"] = f"Least role: {least or 'anyone'}."
        app.openapi_schema = schema
    return app.openapi_schema
