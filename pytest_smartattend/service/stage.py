"""Where a simulation takes place: people and slots of its own, in the caller's tenant and no other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any


@dataclass(frozen=True)
class Stage:
    """A person made for one part of a simulation, and what that person may attend.

    Attributes:
        tenant_id: the caller's tenant.
        kind: ``school`` or ``corporate``.
        person_id: the member's id.
        class_session_ids: two, for a school.
        days: dates, each with two slots.
        token: the member's.
        admin_token: of an admin of the tenant, to read its health.
    """

    tenant_id: str
    kind: str
    person_id: str
    class_session_ids: tuple[str, ...]
    days: tuple[str, ...]
    token: str
    admin_token: str

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Stage:
        """What `plain` says."""
        lists = {name: tuple(plain[name]) for name in ("class_session_ids", "days")}
        return cls(**{**plain, **lists})

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @property
    def path(self) -> str:
        """Where the tenant's attendance is submitted."""
        return "/school/attendance" if self.kind == "school" else "/corporate/checkins"

    def body(self, slot: int, client_time: str) -> dict[str, Any]:
        """A submission to the `slot`-th of twice as many slots as there are days."""
        day, second = self.days[slot // 2], slot % 2
        if self.kind == "school":
            return {
                "class_session_id": self.class_session_ids[second],
                "student_id": self.person_id,
                "date": day,
                "client_time": client_time,
            }
        return {
            "employee_id": self.person_id,
            "shift_date": day,
            "direction": ("in", "out")[second],
            "client_time": client_time,
        }


def days_from(days: tuple[date, ...]) -> tuple[str, ...]:
    """Dates as they go over the wire."""
    return tuple(day.isoformat() for day in days)
