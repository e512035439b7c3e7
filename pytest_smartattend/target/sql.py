"""SQL past the platform, as one of the database's roles: probes of row-level security and of immutability."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row


class RoleSession:
    """A connection as a role, with the tenant set as the reference platform sets it for a request.

    Args:
        dsn: a libpq URL that names the role.
        tenant_id: the tenant whose rows are to be seen; None leaves it unset.
    """

    def __init__(self, dsn: str, tenant_id: str | None) -> None:
        self._connection = psycopg.connect(dsn, autocommit=True, row_factory=dict_row)
        if tenant_id is not None:
            self._connection.execute("select set_config('app.tenant_id', %s, false)", (tenant_id,))

    def rows(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        """All rows of `query`."""
        return self._connection.execute(query, parameters).fetchall()

    def refusal_of(self, statement: str, *parameters: object) -> str | None:
        """Try `statement` and roll back in any case; why it was refused, or None if it would have been done."""
        try:
            with self._connection.transaction(force_rollback=True):
                self._connection.execute(statement, parameters)
        except psycopg.Error as refused:
            return f"{refused.sqlstate}: {str(refused).splitlines()[0]}"
        return None

    def past_the_triggers(self, table: str, statement: str, *parameters: object) -> int:
        """Do and commit `statement` with the triggers of `table` disabled; the number of rows that it changed."""
        with self._connection.transaction():
            self._connection.execute(f"alter table {table} disable trigger user")
            changed = self._connection.execute(statement, parameters).rowcount
            self._connection.execute(f"alter table {table} enable trigger user")
        return int(changed)

    def close(self) -> None:
        """End the connection."""
        self._connection.close()
