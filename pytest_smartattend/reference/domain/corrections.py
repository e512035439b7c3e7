"""Corrections: rows beside a record that is never changed, and what holds in their light (SPEC 2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pytest_smartattend.reference.domain import refusals
from pytest_smartattend.reference.domain.incident import LEAST_TEXT

Values = Mapping[str, str | None]


class CorrectionType(StrEnum):
    """Why a record is corrected."""

    DATA_ENTRY_ERROR = "data_entry_error"
    BIOMETRIC_REVALIDATION = "biometric_revalidation"
    SYSTEM_OVERRIDE = "system_override"
    POLICY_EXCEPTION = "policy_exception"
    DUPLICATE_ENTRY_REMOVAL = "duplicate_entry_removal"
    TIME_SYNCHRONIZATION_FIX = "time_synchronization_fix"
    DEVICE_MALFUNCTION_CORRECTION = "device_malfunction_correction"
    ATTENDANCE_APPEAL_APPROVED = "attendance_appeal_approved"


@dataclass(frozen=True, slots=True)
class Revert:
    """Takes one correction back, once."""

    id: UUID
    correction_id: UUID
    reason: str
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Correction:
    """One correction. `original` holds what was submitted, `corrected` what shall hold instead; the names are the same."""

    id: UUID
    attendance_id: UUID
    type: CorrectionType
    reason: str
    original: Values
    corrected: Values
    actor: str
    at: datetime
    reverted: Revert | None = None


class CorrectionRules:
    """What a correction must say, and what holds after it."""

    def effective(self, submitted: Values, corrections: Iterable[Correction]) -> dict[str, str | None]:
        """What holds: of each value the newest correction that was not reverted, else what was submitted.

        Args:
            submitted: the record's values.
            corrections: of this record, oldest first.
        """
        holds = dict(submitted)
        for correction in corrections:
            if correction.reverted is None:
                holds.update(correction.corrected)
        return holds

    def reason(self, reason: str | None) -> str:
        """The reason, trimmed.

        Raises:
            refusals.Refusal: missing_fields.
        """
        said = (reason or "").strip()
        if len(said) < LEAST_TEXT:
            raise refusals.missing_fields(["reason"], LEAST_TEXT)
        return said

    def fit(self, submitted: Values, corrected: Values) -> None:
        """Judge whether a record with these values has all those that are corrected.

        Raises:
            refusals.Refusal: validation_error, naming each that it has not.
        """
        strange = [name for name in corrected if name not in submitted]
        if strange:
            raise refusals.no_such_values(strange, submitted)
