"""Every problem that the platform answers with: stable code, HTTP status, title (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """What all problems of one code share."""

    status: int
    title: str


PROBLEMS: Mapping[str, ProblemKind] = MappingProxyType(
    {
        "malformed_json": ProblemKind(400, "The body is not JSON"),
        "unauthenticated": ProblemKind(401, "A valid bearer token is needed"),
        "invalid_credentials": ProblemKind(401, "Email and password do not belong together"),
        "forbidden": ProblemKind(403, "The role does not reach"),
        "wrong_person": ProblemKind(403, "Somebody else is asked"),
        "not_found": ProblemKind(404, "There is no such thing here"),
        "method_not_allowed": ProblemKind(405, "The method is not offered here"),
        "invalid_transition": ProblemKind(409, "Not possible in the present state"),
        "severity_frozen": ProblemKind(409, "The severity stands"),
        "already_reverted": ProblemKind(409, "The correction was reverted before"),
        "handoff_over": ProblemKind(409, "The handoff is over"),
        "body_too_large": ProblemKind(413, "The body is too large"),
        "unsupported_media_type": ProblemKind(415, "The body is not declared as JSON"),
        "validation_error": ProblemKind(422, "The request is not of the documented shape"),
        "missing_fields": ProblemKind(422, "Something that must be said is missing"),
        "escalation_level_mismatch": ProblemKind(422, "The escalation level does not fit"),
        "clock_drift_blocked": ProblemKind(422, "The client's clock is too far off"),
        "idempotency_key_reused": ProblemKind(422, "The idempotency key belongs to another request"),
        "internal_error": ProblemKind(500, "The platform made a mistake"),
        "unavailable": ProblemKind(503, "A store cannot be reached"),
        "unhealthy": ProblemKind(503, "A part of the platform does not answer"),
    }
)
