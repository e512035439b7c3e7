"""Attendance and corrections on the wire, as documented in ``/api/openapi.json``."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from pytest_smartattend.reference.api.wire import Body, Instant, Reason, Telling, View
from pytest_smartattend.reference.domain.attendance import AttendanceState, Direction, Kind, Submission
from pytest_smartattend.reference.domain.corrections import CorrectionType
from pytest_smartattend.reference.domain.ports import write_instant

_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _instant_text(value: object) -> object:
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise ValueError("is no instant; write it as 2026-03-02T08:00:00Z")
    return value


def _day_text(value: object) -> object:
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise ValueError("is no date; write it as 2026-03-02")
    return value


def _in_utc(instant: datetime) -> datetime:
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise ValueError("is out of all range; write it as 2026-03-02T08:00:00Z") from None


ClientTime = Annotated[
    datetime,
    BeforeValidator(_instant_text),
    AfterValidator(_in_utc),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Day = Annotated[date, BeforeValidator(_day_text), WithJsonSchema({"type": "string", "format": "date"})]
DeviceId = Annotated[str, Field(min_length=1, max_length=200, json_schema_extra={"pattern": r"^[^\u0000]*$"})]


class NewAttendance(Body):
    """A student was at a class session."""

    class_session_id: UUID
    student_id: UUID
    date: Day
    client_time: ClientTime
    device_id: DeviceId | None = None

    def submission(self) -> Submission:
        """What is said."""
        about = {"class_session_id": self.class_session_id, "device_id": self.device_id}
        return Submission(Kind.SCHOOL, self.student_id, self.date, self.client_time, **about)  # type: ignore[arg-type]


class NewCheckin(Body):
    """An employee came or went."""

    employee_id: UUID
    shift_date: Day
    direction: Direction
    client_time: ClientTime
    device_id: DeviceId | None = None

    def submission(self) -> Submission:
        """What is said."""
        about = {"direction": self.direction, "device_id": self.device_id}
        return Submission(Kind.CORPORATE, self.employee_id, self.shift_date, self.client_time, **about)  # type: ignore[arg-type]


class NewState(Body):
    """What the record shall be from now on, and why."""

    state: AttendanceState
    reason: Reason


def _given(kind: str, form: str) -> WithJsonSchema:
    return WithJsonSchema({"type": kind, "format": form})


class CorrectedValues(Body):
    """What shall hold instead: at least one value, none of them null but the device."""

    model_config = Body.model_config | {"json_schema_extra": {"minProperties": 1}}

    class_session_id: Annotated[UUID | None, _given("string", "uuid")] = None
    student_id: Annotated[UUID | None, _given("string", "uuid")] = None
    date: Annotated[Day | None, _given("string", "date")] = None
    employee_id: Annotated[UUID | None, _given("string", "uuid")] = None
    shift_date: Annotated[Day | None, _given("string", "date")] = None
    direction: Annotated[Direction | None, WithJsonSchema({"enum": list(Direction)})] = None
    client_time: Annotated[ClientTime | None, _given("string", "date-time")] = None
    device_id: DeviceId | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("corrects nothing; name at least one value")
        empty = [name for name in self.model_fields_set if name != "device_id" and getattr(self, name) is None]
        if empty:
            raise ValueError(f"{', '.join(sorted(empty))}: give a value, or leave it out")
        return self

    def by_name(self) -> dict[str, str | None]:
        """The values that were given, as JSON, spelled as those of a record are."""
        given = {name: getattr(self, name) for name in CorrectedValues.model_fields if name in self.model_fields_set}
        return {
            name: write_instant(value) if isinstance(value, datetime) else None if value is None else str(value)
            for name, value in given.items()
        }


class NewCorrection(Body):
    """What is corrected, and why."""

    model_config = Body.model_config | {"json_schema_extra": {"required": ["type", "reason", "corrected"]}}

    type: CorrectionType
    reason: Telling = None
    corrected: CorrectedValues


class NewRevert(Body):
    """Why a correction is taken back."""

    reason: Reason


class SchoolValues(View):
    """What a school's record says."""

    class_session_id: UUID
    student_id: UUID
    date: Day
    client_time: Instant
    device_id: str | None


class CorporateValues(View):
    """What a corporate's record says."""

    employee_id: UUID
    shift_date: Day
    direction: Direction
    client_time: Instant
    device_id: str | None


Values = SchoolValues | CorporateValues


class AttendanceView(View):
    """A record. `submitted` never changes; `effective` is what holds in the light of its corrections.

    `drift_ms` is the client's clock minus the platform's, in milliseconds, when it was submitted.
    """

    id: UUID
    tenant_id: UUID
    kind: Kind
    state: AttendanceState
    submitted: Values
    effective: Values
    drift_ms: float
    submitted_by: UUID
    created_at: Instant


class StateChangeView(View):
    """A row of a record's history; `from` is null in the first."""

    seq: int
    actor: str
    at: Instant
    source: Annotated[AttendanceState | None, Field(serialization_alias="from")]
    target: Annotated[AttendanceState, Field(serialization_alias="to")]
    reason: str


class StateHistoryView(View):
    """All changes of a record's state, oldest first."""

    attendance_id: UUID
    items: list[StateChangeView]


class RevertView(View):
    """How a correction was taken back."""

    id: UUID
    reason: str
    actor: str
    at: Instant


class CorrectionView(View):
    """A correction, by the values that it names: what was submitted, and what shall hold instead."""

    id: UUID
    attendance_id: UUID
    type: CorrectionType
    reason: str
    original: dict[str, Any]
    corrected: dict[str, Any]
    actor: str
    at: Instant
    reverted: RevertView | None


class CorrectionsView(View):
    """All corrections of a record, oldest first, and what holds in their light."""

    attendance_id: UUID
    submitted: Values
    effective: Values
    items: list[CorrectionView]
