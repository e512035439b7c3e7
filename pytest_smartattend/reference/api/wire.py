"""What goes over the wire, as documented in ``/api/openapi.json``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.types import JsonValue

from pytest_smartattend.reference.api.passwords import LONGEST_PASSWORD
from pytest_smartattend.reference.domain.actors import Role
from pytest_smartattend.reference.domain.incident import LEAST_TEXT, Confidence, Kind, Level, Severity, Status
from pytest_smartattend.reference.domain.ports import write_instant
from pytest_smartattend.reference.domain.sla import SlaStatus

LONGEST_TITLE = 200
LONGEST_NOTE = 2_000
LONGEST_TEXT = 10_000


def _said(text: str) -> str:
    text = text.strip()
    if not text:
        raise ValueError("says nothing; give some text")
    return text


def _title(text: str) -> str:
    text = _said(text)
    if len(text) > LONGEST_TITLE:
        raise ValueError(f"give at most {LONGEST_TITLE} characters")
    return text


# The schemas say what is accepted: no NUL, and blanks around a text do not count.
_NO_NUL = r"^[^\u0000]*$"
_SAID = r"^[^\u0000]*[^\s\u0000][^\u0000]*$"
_TELLING = {
    "type": "string",
    "maxLength": LONGEST_TEXT,
    "pattern": rf"^\s*[^\s\u0000][^\u0000]{{{LEAST_TEXT - 2},}}[^\s\u0000]\s*$",
}

Instant = Annotated[
    datetime,
    PlainSerializer(write_instant, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Title = Annotated[
    str,
    AfterValidator(_title),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": LONGEST_TITLE, "pattern": _SAID}),
]
Text = Annotated[str, Field(max_length=LONGEST_TEXT, json_schema_extra={"pattern": _NO_NUL})]
Reason = Annotated[str, Field(max_length=LONGEST_NOTE, json_schema_extra={"pattern": _SAID}), AfterValidator(_said)]
NoteText = Annotated[str, Field(max_length=LONGEST_NOTE, json_schema_extra={"pattern": _NO_NUL})]
#: absent, null or too little is for the incident's rules to refuse, which name every such field
Telling = Annotated[Annotated[str, Field(max_length=LONGEST_TEXT)] | None, WithJsonSchema(_TELLING)]


class Body(BaseModel):
    """What a client sends: nothing beyond what is documented."""

    model_config = ConfigDict(extra="forbid")


class Credentials(Body):
    """Who logs in."""

    email: Annotated[str, Field(min_length=1, max_length=320, json_schema_extra={"pattern": _NO_NUL})]
    password: Annotated[str, Field(min_length=1, max_length=LONGEST_PASSWORD, json_schema_extra={"pattern": _NO_NUL})]


class NewIncident(Body):
    """A report. `tenant_id` is for superadmins, who belong to no tenant, and for nobody else."""

    title: Title
    description: Text = ""
    severity: Severity
    tenant_id: UUID | None = None


class Note(Body):
    """A word beside an action."""

    note: NoteText | None = None


class NewEscalation(Note):
    """How far up."""

    level: Level


class NewSeverity(Body):
    """How bad it is by now, and why that is thought."""

    severity: Severity
    reason: Reason


class NewRootCause(Body):
    """What is thought to be the cause."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"required": ["root_cause", "confidence"]})

    root_cause: Telling = None
    confidence: Confidence


class NewResolution(Body):
    """How it was resolved."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"required": ["root_cause", "remediation_steps", "prevention_measures"]},
    )

    root_cause: Telling = None
    remediation_steps: Telling = None
    prevention_measures: Telling = None


class View(BaseModel):
    """What the platform sends; read from the domain's values."""

    model_config = ConfigDict(from_attributes=True)


class UserView(View):
    """A person."""

    id: UUID
    tenant_id: UUID | None
    role: Role
    email: str
    name: str


class Login(View):
    """A token, and for whom."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the name of a scheme
    expires_at: Instant
    user: UserView


class WindowView(View):
    """An SLA window. `used` is a share of its length: 0.8 is four fifths, above 1 it was overrun."""

    due_at: Instant
    window_seconds: int
    used: Annotated[float, Field(ge=0)]
    status: SlaStatus
    met_at: Instant | None
    breached_at: Instant | None


class SlaView(View):
    """Both windows; both run from creation."""

    acknowledge: WindowView
    resolve: WindowView


class ResolutionView(View):
    """How it was resolved."""

    root_cause: str
    remediation_steps: str
    prevention_measures: str


class IncidentView(View):
    """An incident as it is now."""

    id: UUID
    tenant_id: UUID
    title: str
    description: str
    severity: Severity
    status: Status
    escalation_level: Level | None
    owner_id: UUID
    created_by: UUID
    created_at: Instant
    updated_at: Instant
    resolution: ResolutionView | None
    sla: SlaView


class IncidentList(View):
    """One page, newest first; `next_cursor` is null on the last one."""

    items: list[IncidentView]
    next_cursor: str | None


class EventView(View):
    """A row of the timeline. `hash` binds all of it, and through `prev` all rows before."""

    model_config = ConfigDict(populate_by_name=True)

    seq: int
    actor: str
    at: Instant
    kind: Kind
    source: Annotated[Status | None, Field(alias="from")]
    target: Annotated[Status | None, Field(alias="to")]
    payload: dict[str, JsonValue]
    prev: str
    hash: str


class HeadView(View):
    """The newest row of a timeline, as it is kept apart from it."""

    seq: int
    hash: str


class TimelineView(View):
    """All rows, oldest first, and the head."""

    incident_id: UUID
    events: list[EventView]
    head: HeadView | None


class RecordView(View):
    """What all records about an incident share."""

    id: UUID
    actor: str
    at: Instant


class EscalationView(RecordView):
    """How far up, and how bad it was then."""

    severity: Severity
    level: Level
    note: str | None


class RootCauseView(RecordView):
    """What was thought to be the cause."""

    root_cause: str
    confidence: Confidence


class RefusalView(RecordView):
    """What was refused, and why. `asked` is the body of the request, `after_seq` the newest event at that moment."""

    action: str
    code: str
    detail: str
    asked: dict[str, JsonValue] | None
    after_seq: int | None


class Escalations(View):
    """Oldest first."""

    items: list[EscalationView]


class RootCauses(View):
    """Oldest first."""

    items: list[RootCauseView]


class Refusals(View):
    """Oldest first."""

    items: list[RefusalView]


class HealthView(View):
    """All parts answer."""

    status: Literal["ok"] = "ok"
    parts: dict[str, Any]
