"""Handoffs on the wire, as documented in ``/api/openapi.json``. Bodies may also be written in camelCase."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AliasChoices, ConfigDict, Field

from pytest_smartattend.reference.api.wire import Body, Instant, Reason, Telling, Text, View
from pytest_smartattend.reference.api.wire_metrics import Count, Rate
from pytest_smartattend.reference.domain.handoff import HandoffStatus
from pytest_smartattend.reference.domain.incident import Action, Level, Severity, Status
from pytest_smartattend.reference.domain.sla import SlaStatus
from pytest_smartattend.reference.domain.tenant_health import HealthStatus


class NewHandoff(Body):
    """To whom, and what should be known beside the facts. Or `toUserId` and `briefingNotes`."""

    to_user_id: Annotated[UUID, Field(validation_alias=AliasChoices("to_user_id", "toUserId"))]
    briefing_notes: Annotated[Text, Field(validation_alias=AliasChoices("briefing_notes", "briefingNotes"))] = ""


class ReadBack(Body):
    """What the incoming person says of one incident, in own words."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"required": ["incident_id", "said"]})

    incident_id: Annotated[UUID, Field(validation_alias=AliasChoices("incident_id", "incidentId"))]
    said: Telling = None


class Acceptance(Body):
    """Every critical incident of the handoff, read back. Or `readBack`, and `incidentId` within."""

    read_back: Annotated[
        list[ReadBack],
        Field(default_factory=list, validation_alias=AliasChoices("read_back", "readBack")),
    ]


class Rejection(Body):
    """Why the incoming person does not take over."""

    reason: Reason


class HealthAtHandoff(View):
    """How the tenant, or for a superadmin the platform, fared in the last hour."""

    status: HealthStatus
    requests: Count
    failure_rate: Rate


class Alert(View):
    """What must be seen first; `incident_id` is null where it is about the platform."""

    kind: Literal["health", "critical_incident", "sla_breached", "sla_at_risk"]
    incident_id: UUID | None
    text: str


class Step(View):
    """A step up."""

    level: Level
    severity: Severity
    actor: str
    at: Instant


class Window(View):
    """How a promise stands."""

    status: SlaStatus
    due_at: Instant


class Windows(View):
    """Both promises."""

    acknowledge: Window
    resolve: Window


class NextAction(View):
    """What to do; legal in the incident's state. `level` is where to escalate to, else null."""

    action: Action
    level: Level | None
    by: Instant
    why: str


class HandedIncident(View):
    """An incident as a handoff tells of it."""

    id: UUID
    tenant_id: UUID
    title: str
    severity: Severity
    status: Status
    escalation_level: Level | None
    owner_id: UUID
    created_at: Instant
    updated_at: Instant
    escalations: list[Step]
    sla: Windows
    next_actions: list[NextAction]


class Change(View):
    """One thing that changed."""

    model_config = ConfigDict(populate_by_name=True)

    what: Literal["status", "severity", "escalation_level", "owner_id", "sla.acknowledge", "sla.resolve"]
    before: Annotated[str | None, Field(alias="from")]
    now: Annotated[str | None, Field(alias="to")]


class Changed(View):
    """An incident that stayed open and changed; as it is now."""

    incident: HandedIncident
    changes: list[Change]


class Difference(View):
    """What changed since the initiation. Closed ones stand as they were last told; what came and went is in both."""

    opened: list[HandedIncident]
    closed: list[HandedIncident]
    changed: list[Changed]


class Ended(View):
    """How it ended. `moved` are the incidents whose owner changed."""

    status: HandoffStatus
    actor: UUID
    at: Instant
    reason: str | None
    read_back: dict[str, str] | None
    moved: list[UUID]


class HandoffView(View):
    """A handoff as of a moment: as it is while it waits, as it ended afterwards. The most urgent incident first."""

    id: UUID
    tenant_id: UUID | None
    status: HandoffStatus
    from_user_id: UUID
    to_user_id: UUID
    briefing_notes: str
    initiated_at: Instant
    expires_at: Instant
    as_of: Instant
    health: HealthAtHandoff
    critical_alerts: list[Alert]
    incidents: list[HandedIncident]
    difference: Difference
    ended: Ended | None
