"""Why the platform says no, as values; the texts name what would be accepted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from pytest_smartattend.reference.domain.incident import Level, Severity, Status


class Refusal(Exception):
    """The rules of incidents or attendance forbid what was asked for. Nothing changes; the refusal itself is recorded.

    Attributes:
        code: stable, one of `problems.PROBLEMS`.
        detail: for a person; ends in what would be accepted.
        extensions: for a program; JSON values.
    """

    def __init__(self, code: str, detail: str, **extensions: object) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.extensions: Mapping[str, object] = extensions


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words) or "nothing"


def invalid_transition(asked: str, current: StrEnum, legal: Iterable[StrEnum], *, of: str = "the incident") -> Refusal:
    """What was asked for cannot be done in the present state of `of`."""
    legal = list(legal)
    return Refusal(
        "invalid_transition",
        f"{asked} is not possible while {of} is {current}; from here it can become: {_listed(legal)}",
        current=current.value,
        legal=[status.value for status in legal],
    )


def severity_frozen(current: Status) -> Refusal:
    """The severity of a resolved or closed incident stands."""
    return Refusal(
        "severity_frozen",
        f"the severity cannot be changed while the incident is {current}; reopen a resolved incident first",
        current=current.value,
    )


def severity_unchanged(severity: Severity) -> Refusal:
    """A change to what already holds is no change, and would put an empty event into the timeline."""
    return Refusal(
        "validation_error",
        f"the severity is {severity} already; name another one",
        errors=[{"field": "severity", "message": f"is {severity} already"}],
    )


def missing_fields(fields: Iterable[str], least: int) -> Refusal:
    """Texts that must say something are absent, blank or too short. Names every one."""
    fields = list(fields)
    return Refusal(
        "missing_fields",
        f"{_listed(fields)}: give each at least {least} characters beside leading and trailing blanks",
        fields=fields,
    )


def escalation_level_mismatch(severity: Severity, level: Level, least: Level, current: Level | None) -> Refusal:
    """The level is below what the severity asks for, or not above the present one."""
    return Refusal(
        "escalation_level_mismatch",
        f"{level} does not fit an incident of severity {severity} that is at {current or 'no level'}; "
        f"choose at least {least}, and above the present level",
        severity=severity.value,
        level=level.value,
        least=least.value,
        current=current.value if current else None,
    )


def no_such_values(names: Iterable[str], known: Iterable[str]) -> Refusal:
    """A correction names values that the record does not have. Names every one."""
    names, known = list(names), list(known)
    return Refusal(
        "validation_error",
        f"{_listed(names)}: this record has no such value; correct some of: {_listed(known)}",
        errors=[{"field": f"corrected.{name}", "message": "is no value of this record"} for name in names],
    )


def already_reverted() -> Refusal:
    """A correction is taken back once."""
    return Refusal(
        "already_reverted", "this correction was reverted before; add a new correction if it shall hold after all"
    )


def wrong_person() -> Refusal:
    """A handoff is for the one person whom it names."""
    return Refusal("wrong_person", "this handoff names somebody else; only that person can accept or reject it")


def handoff_over(status: StrEnum) -> Refusal:
    """A handoff ends once: accepted, rejected, superseded or expired."""
    return Refusal("handoff_over", f"this handoff is {status} already; initiate a new one", current=status.value)
