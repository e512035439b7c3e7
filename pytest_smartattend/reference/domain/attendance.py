"""What an attendance record is: its natural key, its values, and the table of its states (SPEC 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID

from pytest_smartattend.reference.domain import refusals
from pytest_smartattend.reference.domain.drift import Band
from pytest_smartattend.reference.domain.ports import write_instant


class AttendanceState(StrEnum):
    """How far a record can be relied on."""

    VERIFIED = "VERIFIED"
    FLAGGED = "FLAGGED"
    REVOKED = "REVOKED"
    MANUAL_OVERRIDE = "MANUAL_OVERRIDE"


class Kind(StrEnum):
    """Whose attendance: a student's at a class session, or an employee's at a shift."""

    SCHOOL = "school"
    CORPORATE = "corporate"


class Direction(StrEnum):
    """Which end of a shift."""

    IN = "in"
    OUT = "out"


#: state → the states that can follow; 11 of the 16 pairs
STATES: Mapping[AttendanceState, frozenset[AttendanceState]] = MappingProxyType(
    {
        AttendanceState.VERIFIED: frozenset(
            {AttendanceState.FLAGGED, AttendanceState.REVOKED, AttendanceState.MANUAL_OVERRIDE}
        ),
        AttendanceState.FLAGGED: frozenset(
            {AttendanceState.VERIFIED, AttendanceState.REVOKED, AttendanceState.MANUAL_OVERRIDE}
        ),
        AttendanceState.REVOKED: frozenset({AttendanceState.VERIFIED, AttendanceState.MANUAL_OVERRIDE}),
        AttendanceState.MANUAL_OVERRIDE: frozenset(
            {AttendanceState.VERIFIED, AttendanceState.FLAGGED, AttendanceState.REVOKED}
        ),
    }
)

#: states that say that a record does not match what happened
MISMATCHES = frozenset({AttendanceState.FLAGGED, AttendanceState.REVOKED})


@dataclass(frozen=True, slots=True)
class Submission:
    """What somebody says of one attendance.

    Attributes:
        kind: a school's or a corporate's.
        person_id: the student, or the employee.
        day: the date of the class session, or of the shift.
        client_time: what the client's clock showed, aware.
        device_id: which device said it; None where none was named.
        class_session_id: of a school's record only.
        direction: of a corporate's record only.
    """

    kind: Kind
    person_id: UUID
    day: date
    client_time: datetime
    device_id: str | None = None
    class_session_id: UUID | None = None
    direction: Direction | None = None

    @property
    def values(self) -> dict[str, str | None]:
        """The values by the names that the API gives them, as JSON: what corrections speak of."""
        about: dict[str, str | None]
        if self.kind is Kind.SCHOOL:
            about = {"class_session_id": str(self.class_session_id), "student_id": str(self.person_id)}
            about["date"] = self.day.isoformat()
        else:
            about = {"employee_id": str(self.person_id), "shift_date": self.day.isoformat()}
            about["direction"] = str(self.direction)
        return {**about, "client_time": write_instant(self.client_time), "device_id": self.device_id}

    def with_values(self, values: Mapping[str, str | None]) -> Submission:
        """This submission as it would be with all of `values`, which are named as in `values` above."""
        session = values.get("class_session_id")
        direction = values.get("direction")
        return replace(
            self,
            person_id=UUID(values.get("student_id") or values.get("employee_id")),
            day=date.fromisoformat(values.get("date") or values.get("shift_date") or ""),
            client_time=datetime.fromisoformat(values["client_time"] or ""),
            device_id=values["device_id"],
            class_session_id=UUID(session) if session else None,
            direction=Direction(direction) if direction else None,
        )


@dataclass(frozen=True, slots=True)
class Attendance:
    """A record as it was submitted; nothing of it ever changes. Its state and its corrections are kept beside it.

    Attributes:
        drift_ms: the client's clock minus the platform's when it was submitted, in milliseconds.
    """

    id: UUID
    tenant_id: UUID
    submission: Submission
    drift_ms: float
    submitted_by: UUID
    created_at: datetime


class AttendanceRules:
    """Which state a record begins with, and which may follow.

    Attributes:
        states: state → the states that can follow.
    """

    def __init__(self) -> None:
        self.states = dict(STATES)

    def first_state(self, band: Band) -> AttendanceState:
        """The state of a record that was accepted."""
        return AttendanceState.FLAGGED if band is Band.FLAGGED else AttendanceState.VERIFIED

    def legal(self, state: AttendanceState) -> list[AttendanceState]:
        """The states that can follow `state`, in the order of `AttendanceState`."""
        return [candidate for candidate in AttendanceState if candidate in self.states[state]]

    def change(self, state: AttendanceState, asked: AttendanceState) -> AttendanceState:
        """The state after a change from `state` to `asked`.

        Raises:
            refusals.Refusal: invalid_transition.
        """
        if asked not in self.states[state]:
            raise refusals.invalid_transition(asked, state, self.legal(state), of="the record")
        return asked


@dataclass(frozen=True, slots=True)
class StateChange:
    """A row of a record's history. `source` is None in the first, which tells of the submission."""

    seq: int
    actor: str
    at: datetime
    source: AttendanceState | None
    target: AttendanceState
    reason: str

    def columns(self) -> dict[str, Any]:
        """As columns."""
        return {
            "seq": self.seq,
            "actor": self.actor,
            "at": self.at,
            "from": self.source.value if self.source else None,
            "to": self.target.value,
            "reason": self.reason,
        }
