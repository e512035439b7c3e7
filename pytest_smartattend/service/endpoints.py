"""The endpoints of the service and who may call them (SPEC 4)."""

from __future__ import annotations

from pytest_smartattend.reference.domain.actors import Role

EVENTS = "GET /validation/jobs/{id}/events"

#: endpoint → least role; None: anyone (SPEC 4)
LEAST_ROLE: dict[str, Role | None] = {
    "POST /validation/platform-readiness": Role.SUPERADMIN,
    "GET /validation/platform-readiness/latest": Role.SUPERADMIN,
    "POST /validation/scenarios": Role.ADMIN,
    "POST /validation/simulations": Role.SUPERADMIN,
    "GET /validation/health": None,
    "GET /validation/jobs/{id}": Role.ADMIN,
    "POST /validation/jobs/{id}/cancel": Role.ADMIN,
    EVENTS: Role.ADMIN,
    "POST /simulations/time-drift": Role.ADMIN,
    "POST /simulations/partial-outage": Role.ADMIN,
    "POST /simulations/duplicate-storm": Role.ADMIN,
    "POST /simulations/network-instability": Role.ADMIN,
    "POST /simulations/comprehensive": Role.ADMIN,
    "POST /simulations/stress-test": Role.ADMIN,
    "GET /simulations/status": Role.ADMIN,
}


def methods_of(path: str) -> list[str]:
    """The methods that are offered for a path below ``/api``; none where it is not the service's."""
    found = []
    for endpoint in LEAST_ROLE:
        method, _, template = endpoint.partition(" ")
        parts, asked = template.split("/"), path.split("/")
        if len(parts) == len(asked) and all(part in {"{id}", one} for part, one in zip(parts, asked, strict=True)):
            found.append(method)
    return sorted(found)
