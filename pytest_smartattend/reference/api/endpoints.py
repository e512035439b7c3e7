"""Every endpoint below ``/api`` and who may call it (SPEC 4)."""

from __future__ import annotations

from pytest_smartattend.reference.domain.actors import Role

#: endpoint → least role; None: anyone (SPEC 4)
LEAST_ROLE: dict[str, Role | None] = {
    "GET /health": None,
    "GET /time/sync": None,
    "POST /time/validate": None,
    "POST /auth/login": None,
    "GET /auth/me": Role.MEMBER,
    "POST /incidents": Role.STAFF,
    "GET /incidents": Role.STAFF,
    "GET /incidents/{id}": Role.STAFF,
    "GET /incidents/{id}/timeline": Role.STAFF,
    "GET /incidents/{id}/escalations": Role.STAFF,
    "GET /incidents/{id}/root-causes": Role.STAFF,
    "GET /incidents/{id}/refusals": Role.STAFF,
    "GET /incidents/{id}/sla": Role.STAFF,
    "PATCH /incidents/{id}/severity": Role.ADMIN,
    "POST /incidents/{id}/acknowledge": Role.ADMIN,
    "POST /incidents/{id}/escalate": Role.ADMIN,
    "POST /incidents/{id}/investigate": Role.ADMIN,
    "POST /incidents/{id}/root-cause": Role.ADMIN,
    "POST /incidents/{id}/mitigate": Role.ADMIN,
    "POST /incidents/{id}/resolve": Role.ADMIN,
    "POST /incidents/{id}/close": Role.ADMIN,
    "POST /incidents/{id}/reopen": Role.ADMIN,
    "POST /validation/incidents/export": Role.ADMIN,
    "POST /validation/incidents/{id}/export": Role.ADMIN,
    "POST /school/attendance": Role.MEMBER,
    "POST /corporate/checkins": Role.MEMBER,
    "GET /attendance/{id}": Role.STAFF,
    "GET /attendance/{id}/history": Role.STAFF,
    "POST /attendance/{id}/state": Role.STAFF,
    "GET /corrections/history/{id}": Role.STAFF,
    "POST /corrections/{id}": Role.STAFF,
    "POST /corrections/{id}/revert": Role.ADMIN,
    "GET /metrics/health-status": Role.ADMIN,
    "GET /metrics/failure-rates": Role.ADMIN,
    "GET /metrics/api-latency": Role.ADMIN,
    "GET /metrics/clock-drift": Role.ADMIN,
    "POST /validation/handoff/initiate": Role.ADMIN,
    "POST /validation/handoff/{id}/accept": Role.ADMIN,
    "POST /validation/handoff/{id}/reject": Role.ADMIN,
    "GET /validation/handoff/{id}/briefing": Role.ADMIN,
}


def methods_of(path: str) -> list[str]:
    """The methods that are offered for a path below ``/api``; none if there is no such path."""
    parts = path.split("/")
    return sorted(
        method
        for method, _, template in (endpoint.partition(" ") for endpoint in LEAST_ROLE)
        if _fits(template.split("/"), parts)
    )


def _fits(template: list[str], parts: list[str]) -> bool:
    return len(template) == len(parts) and all(
        expected in {part, "{id}"} for expected, part in zip(template, parts, strict=True)
    )
