"""The planted defects. Each is a value: what it breaks, and how it is planted in the reference platform."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg


@dataclass(frozen=True)
class Sabotage:
    """One defect.

    Attributes:
        name: as `@pytest.mark.detects` and ``smartattend prove`` name it.
        breaks: the promise that it breaks, for people.
        apply_app: changes the platform's application object before it serves.
        apply_sql: statements that are run in its database, as the superuser, before it serves.
    """

    name: str
    breaks: str
    apply_app: Callable[[Any], None] | None = None
    apply_sql: str = ""


CATALOGUE: tuple[Sabotage, ...] = ()


def by_name() -> dict[str, Sabotage]:
    """The catalogue in its order."""
    return {entry.name: entry for entry in CATALOGUE}


def plant_in_database(name: str, dsn: str) -> None:
    """Run the SQL of a sabotage; nothing for one that has none. `dsn` is a superuser's."""
    statements = by_name()[name].apply_sql
    if statements:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(statements.encode())
