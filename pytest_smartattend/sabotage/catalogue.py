"""The catalogue of planted defects, and how one is planted."""

from __future__ import annotations

import psycopg

from pytest_smartattend.sabotage.attendance import ATTENDANCE
from pytest_smartattend.sabotage.clock import CLOCK
from pytest_smartattend.sabotage.defect import Sabotage
from pytest_smartattend.sabotage.doors import DOORS
from pytest_smartattend.sabotage.drills import DRILLS
from pytest_smartattend.sabotage.exports import EXPORTS
from pytest_smartattend.sabotage.handoffs import HANDOFFS
from pytest_smartattend.sabotage.overlooked import OVERLOOKED
from pytest_smartattend.sabotage.overlooked_attendance import OVERLOOKED_ATTENDANCE
from pytest_smartattend.sabotage.overlooked_incidents import OVERLOOKED_INCIDENTS
from pytest_smartattend.sabotage.records import RECORDS
from pytest_smartattend.sabotage.rules import RULES
from pytest_smartattend.sabotage.storms import STORMS

CATALOGUE: tuple[Sabotage, ...] = (
    *RULES,
    *RECORDS,
    *DOORS,
    *ATTENDANCE,
    *CLOCK,
    *OVERLOOKED,
    *OVERLOOKED_ATTENDANCE,
    *OVERLOOKED_INCIDENTS,
    *EXPORTS,
    *DRILLS,
    *HANDOFFS,
    *STORMS,
)


def by_name() -> dict[str, Sabotage]:
    """The catalogue in its order."""
    return {entry.name: entry for entry in CATALOGUE}


def plant_in_database(name: str, dsn: str) -> None:
    """Run the SQL of a sabotage; nothing for one that has none. `dsn` is a superuser's."""
    statements = by_name()[name].apply_sql
    if statements:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(statements.encode())
