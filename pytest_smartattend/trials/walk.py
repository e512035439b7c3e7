"""Brings an incident to where a check begins."""

from __future__ import annotations

from typing import Any

from pytest_smartattend.target.client import Client
from pytest_smartattend.target.contract import BODIES, WAY_TO


def incident_in(actor: Client, status: str, *, reporter: Client | None = None, **fields: str) -> dict[str, Any]:
    """A new incident of severity high (unless `fields` says otherwise) that stands in `status`.

    Args:
        actor: brings it there.
        status: where it shall stand.
        reporter: who reports it; `actor` where nobody is named.
        fields: of the report.

    Raises:
        ContractBroken: a step on the way was refused.
    """
    incident: dict[str, Any] = (reporter or actor).report(**fields).must()
    for action in WAY_TO[status]:
        incident = actor.act(incident["id"], action, BODIES[action]).must()
    return incident
