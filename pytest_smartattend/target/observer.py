"""Reads the truth past the platform and past the proxies: what is really in the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row


class Observer:
    """A connection of its own, as a user whom row-level security does not bind. Reads only.

    Args:
        dsn: a libpq URL that does not lead through a proxy.
    """

    def __init__(self, dsn: str) -> None:
        self._connection = psycopg.connect(dsn, autocommit=True, row_factory=dict_row)
        self._connection.execute("set default_transaction_read_only = on")

    def rows(self, query: LiteralString, *parameters: object) -> list[dict[str, Any]]:
        """All rows of `query`."""
        return self._connection.execute(query, parameters).fetchall()

    def value(self, query: LiteralString, *parameters: object) -> Any:  # noqa: ANN401
        """The first column of the first row; None where there is no row."""
        row = self._connection.execute(query, parameters).fetchone()
        return None if row is None else next(iter(row.values()))

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def incident(self, incident_id: str) -> dict[str, Any] | None:
        """The incident's row; None where there is none."""
        rows = self.rows("select * from incidents where id = %s", incident_id)
        return rows[0] if rows else None

    def everything_of(self, incident_id: str) -> dict[str, Sequence[dict[str, Any]]]:
        """The incident's row and all that hangs on it, but for its refusals: what a refusal must not change."""
        return {
            "incident": self.rows("select * from incidents where id = %s", incident_id),
            "timeline": self.rows("select * from timeline where incident_id = %s order by seq", incident_id),
            "head": self.rows("select * from audit_heads where incident_id = %s", incident_id),
            "escalations": self.rows("select * from escalations where incident_id = %s order by 1", incident_id),
            "root_causes": self.rows("select * from root_causes where incident_id = %s order by 1", incident_id),
        }

    def leftovers(self) -> list[dict[str, Any]]:
        """Transactions that are open and locks that are waited for, in this database, other than our own."""
        return self.rows(
            "select pid, state, wait_event_type, left(query, 120) as query from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
            " and (state like 'idle in transaction%%' or wait_event_type = 'Lock')"
        )
