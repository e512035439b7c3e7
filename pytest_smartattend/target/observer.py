"""Reads the truth past the platform and past the proxies: what is really in the database."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

#: seconds between two looks at what is awaited
_LOOK_AGAIN = 0.05

#: seconds after which a transaction that idles is taken for left behind: the platform ends its own after five
PATIENCE = 3.0

#: what connections call themselves that watch or prepare, and are none of the platform's
OURS = "pytest-smartattend"
#: seconds for which a gate waits for the first to come, and then for others; a platform may end what waits for five
FIRST, OTHERS = 30.0, 3.0
_AT_A_GATE = (
    "select count(distinct l.pid) from pg_locks l join pg_database d on d.oid = l.database"
    " where d.datname = current_database() and not l.granted"
)
_CONNECTIONS = "select count(*) from pg_stat_activity where datname = current_database() and application_name <> %s"


class Observer:
    """A connection of its own, as a user whom row-level security does not bind. Reads only.

    Args:
        dsn: a libpq URL that does not lead through a proxy.
    """

    def __init__(self, dsn: str) -> None:
        self._connection = psycopg.connect(dsn, autocommit=True, row_factory=dict_row, application_name=OURS)
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
            "exports": self.rows("select * from exports where incident_id = %s order by position", incident_id),
        }

    def attendance_of(self, tenant_id: str) -> dict[str, Sequence[dict[str, Any]]]:
        """All that a tenant's attendance consists of, but for its refusals: what a refusal must not change."""
        return {
            "attendance": self.rows("select * from attendance where tenant_id = %s order by id", tenant_id),
            "history": self.rows("select * from attendance_history where tenant_id = %s order by 1, 2", tenant_id),
            "corrections": self.rows("select * from corrections where tenant_id = %s order by position", tenant_id),
            "reverts": self.rows("select * from correction_reverts where tenant_id = %s order by 1", tenant_id),
        }

    def moments(self) -> dict[str, list[datetime]]:
        """Table and column → the instants that are stored there, each once, of every column of that type."""
        asked = sql.SQL("select distinct {1} as at from {0} where {1} is not null order by 1")
        return {
            f"{one['t']}.{one['c']}": [
                row["at"]
                for row in self._connection.execute(asked.format(sql.Identifier(one["t"]), sql.Identifier(one["c"])))
            ]
            for one in self._stamped()
        }

    def _stamped(self) -> list[dict[str, Any]]:
        """Every table and column that holds instants."""
        return self.rows(
            "select table_name as t, column_name as c from information_schema.columns where table_schema = 'public'"
            " and data_type = 'timestamp with time zone' order by 1, 2"
        )

    def counted(self, query: LiteralString, *parameters: object, least: int, patience: float) -> int:
        """The number that `query` gives, as soon as it is `least` or more; after `patience` seconds as it is then.

        The waiting is done in the database, so that looking again costs the platform nothing.
        """
        looks = max(1, round(patience / _LOOK_AGAIN))
        found = 0
        for _ in range(looks):
            found = int(self.value(query, *parameters))
            if found >= least:
                break
            self.rows("select pg_sleep(%s)", _LOOK_AGAIN)
        return found

    @contextmanager
    def gate(self, table: str) -> Iterator[Callable[[int], int]]:
        """Let nobody write to `table` for the length of the ``with``; whoever would waits. Reading goes on.

        Between looking and writing a platform has a moment in which another may look too. The gate keeps that moment open.
        Where we may only read, there is no gate.

        Yields:
            a function that waits until so many wait for a lock, for a while at most, and gives how many do.
        """
        closed = False

        def gathered(least: int) -> int:
            if not closed:
                return 0
            self.counted(_AT_A_GATE, least=1, patience=FIRST)
            return self.counted(_AT_A_GATE, least=least, patience=OTHERS)

        with self._connection.transaction():
            with suppress(psycopg.errors.InsufficientPrivilege), self._connection.transaction():
                self._lock(table)
                closed = True
            yield gathered

    def _lock(self, table: str) -> None:
        self._connection.execute(sql.SQL("lock table {} in share mode").format(sql.Identifier(table)))

    def connections(self, at_rest: int | None = None) -> int:
        """How many connections there are to this database, but for ours.

        A pool that was overfull is still closing some when its last answer is out; a leaked one stays. So those over
        `at_rest` are given `PATIENCE` to go, as transactions are by `leftovers`.
        """
        found, deadline = int(self.value(_CONNECTIONS, OURS)), time.monotonic() + PATIENCE
        while at_rest is not None and found > at_rest and time.monotonic() < deadline:
            self.value("select pg_sleep(0.02)")
            found = int(self.value(_CONNECTIONS, OURS))
        return found

    def leftovers(self) -> list[dict[str, Any]]:
        """Transactions that stay open and locks that stay waited for, in this database, other than our own.

        A healthy platform has transactions open at any moment; what is left behind stays. So each that is seen is given
        `PATIENCE` to end, and those are told that were there at the first look and at the last.
        """
        first = self._open_transactions()
        deadline = time.monotonic() + PATIENCE
        left = first
        while left and time.monotonic() < deadline:
            self.value("select pg_sleep(0.02)")
            now = self._open_transactions()
            left = {key: now[key] for key in left if key in now}
        return list(left.values())

    def _open_transactions(self) -> dict[tuple[int, object], dict[str, Any]]:
        """Process and begin of each transaction that idles or waits for a lock → what is known of it."""
        rows = self.rows(
            "select pid, xact_start, state, wait_event_type, left(query, 120) as query from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
            " and (state like 'idle in transaction%%' or wait_event_type = 'Lock')"
        )
        return {(row["pid"], row["xact_start"]): row for row in rows}
