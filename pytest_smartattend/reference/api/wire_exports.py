"""Exports as they go over the wire, as documented in ``/api/openapi.json``."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from pytest_smartattend.reference.api.wire import (
    Body,
    EscalationView,
    EventView,
    HeadView,
    Instant,
    RefusalView,
    ResolutionView,
    RootCauseView,
    View,
)
from pytest_smartattend.reference.domain.actors import Role
from pytest_smartattend.reference.domain.incident import Level, Severity, Status

#: documents on one page; each has about a kilobyte for every two events
LONGEST_PAGE = 200


class Wanted(Body):
    """How to export. Names and free text are replaced unless `verbatim`."""

    verbatim: bool = False


class ManyWanted(Wanted):
    """Which incidents to export: created from `since` up to, without, `until`."""

    status: Status | None = None
    severity: Severity | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    cursor: Annotated[str | None, Field(max_length=200)] = None
    limit: Annotated[int, Field(ge=1, le=LONGEST_PAGE)] = 50


class ExportedIncident(View):
    """The incident as it stands. A pseudonym may stand in place of each person, the tenant and each text."""

    id: UUID
    tenant_id: str
    title: str
    description: str
    severity: Severity
    status: Status
    escalation_level: Level | None
    owner_id: str
    created_by: str
    created_at: Instant
    updated_at: Instant
    resolution: ResolutionView | None


class ExportedPerson(View):
    """Who acted; `role` is null for an account that is gone, `name` also where it was replaced."""

    id: str
    role: Role | None
    name: str | None


class ExportedEvent(EventView):
    """A row of the timeline, and its microseconds since the creation."""

    after_us: int


class ExportedRefusal(RefusalView):
    """What was refused, and its microseconds since the creation."""

    after_us: int


class ExportedWindow(View):
    """What became of a promise."""

    outcome: Literal["running", "met", "breached"]
    due_at: Instant
    answered_at: Instant | None
    breached_at: Instant | None


class ExportedSla(View):
    """Both promises."""

    acknowledge: ExportedWindow
    resolve: ExportedWindow


class ExportedSource(View):
    """The head as it is kept beside the timeline, and what is wrong with the stored chain: nothing, in a sound one."""

    head: HeadView | None
    faults: list[str]


class ExportedRecord(View):
    """Everything that happened to the incident. `head` ends the chain over the events as they stand here."""

    pseudonymised: bool
    incident: ExportedIncident
    people: list[ExportedPerson]
    events: list[ExportedEvent]
    escalations: list[EscalationView]
    root_causes: list[RootCauseView]
    refusals: list[ExportedRefusal]
    sla: ExportedSla
    head: HeadView | None
    source: ExportedSource


class ExportHeader(View):
    """Of the export itself. `signature` is HMAC-SHA-256 over all else, where the platform has a key."""

    export_id: UUID
    exported_at: Instant
    exported_by: str
    signature: str | None = None


class ExportView(View):
    """An incident as a document: canonical JSON (RFC 8785), `digest` over all but itself and the header."""

    format: Literal["smartattend-incident"]
    schema_version: Literal["1.0"]
    record: ExportedRecord
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    header: ExportHeader


class ExportPage(View):
    """One page, oldest first; `next_cursor` is null on the last one."""

    items: list[ExportView]
    next_cursor: str | None
