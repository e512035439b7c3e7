"""Brings an incident to where a check begins."""

from __future__ import annotations

from typing import Any

from pytest_smartattend.target.client import Client
from pytest_smartattend.target.contract import BODIES, WAY_TO


def incident_in(actor: Client, status: str, **fields: str) -> dict[str, Any]:
    """A new incident of severity high (unless `fields` says otherwise) that stands in `status`.

    Raises:
        ContractBroken: a step on the way was refused.
    """
    incident: dict[str, Any] = actor.report(**fields).must()
    for action in WAY_TO[status]:
        incident = actor.act(incident["id"], action, BODIES[action]).must()
    return incident
