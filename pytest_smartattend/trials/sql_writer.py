"""A probe's writer that speaks to PostgreSQL directly, and knows what each of its answers means."""

from __future__ import annotations

import select
import time
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from pytest_smartattend.engine.units import SECOND
from pytest_smartattend.errors import TargetFailed
from pytest_smartattend.trials.probe import Refused

if TYPE_CHECKING:
    import psycopg

_TABLE = "CREATE TABLE smartattend_probe (key text PRIMARY KEY, at timestamptz NOT NULL)"
_WRITE = b"INSERT INTO smartattend_probe VALUES ($1, clock_timestamp()) RETURNING at"
_READ = "SELECT key FROM smartattend_probe"
#: Of these classes an error does not say that the write was not done: the connection broke (08), or somebody ended the
#: session (57), perhaps while it waited for a standby to confirm what it had committed already.
_SAYS_NOTHING = ("08", "57")


def make_table(connection: psycopg.Connection) -> None:
    """Make the table that probes write to."""
    connection.execute(_TABLE)


def stored_keys(connection: psycopg.Connection) -> Iterable[str]:
    """The keys that are stored."""
    return [key for (key,) in connection.execute(_READ).fetchall()]


class SqlWriter:
    """Inserts one row a write, each in a transaction of its own, on one connection.

    Args:
        dsn: of libpq; with several hosts and ``target_session_attrs=read-write`` it finds the primary.
        deadline: after which a write without an answer is given up, and the connection with it.

    Raises:
        psycopg.OperationalError: no connection can be had.
    """

    def __init__(self, dsn: str, deadline: timedelta = 5 * SECOND) -> None:
        import psycopg

        self._connection = psycopg.connect(dsn, autocommit=True)
        self._seconds = deadline.total_seconds()
        self._pg = self._connection.pgconn
        self._warned = ""
        self._connection.add_notice_handler(self._note)

    def write(self, key: str) -> str:
        """Insert `key`. Returns the moment of its commit's transaction by the server's clock.

        Raises:
            Refused: the server said that it did not.
            TargetFailed: no answer came, or one that says nothing.
        """
        from psycopg import OperationalError
        from psycopg.pq import ExecStatus

        self._warned = ""
        try:
            self._pg.send_query_params(_WRITE, [key.encode()])
            answer = self._answer(time.monotonic() + self._seconds)
        except OperationalError as problem:
            raise TargetFailed(f"The connection broke: {problem}. Whether it was done, the table tells.") from problem
        if self._warned:
            raise TargetFailed(f"{self._warned}. It is committed here, and nobody promises that it stays.")
        if answer.status == ExecStatus.TUPLES_OK:
            return (answer.get_value(0, 0) or b"").decode()
        state, text = (answer.error_field(ord("C")) or b"").decode(), answer.error_message.decode(errors="replace")
        if not state or state.startswith(_SAYS_NOTHING):
            raise TargetFailed(f"{text.strip()}. Whether it was done cannot be told; look at the table.")
        raise Refused(f"{state} {text}")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _note(self, notice: psycopg.errors.Diagnostic) -> None:
        # A commit that waits for a standby and is told not to, by a time-out or a person, is answered as done.
        if notice.sqlstate == "01000":
            self._warned = notice.message_primary or notice.sqlstate

    def _answer(self, deadline: float) -> psycopg.pq.abc.PGresult:
        """The one result of the statement that was sent."""
        answer = None
        while True:
            while self._pg.is_busy():
                left = deadline - time.monotonic()
                if left <= 0 or not select.select([self._pg.socket], [], [], left)[0]:
                    raise TargetFailed(f"No answer within {self._seconds:g} s. Does the server stand still?")
                self._pg.consume_input()
            result = self._pg.get_result()
            if result is None:
                break
            answer = result
        if answer is None:
            raise TargetFailed("The server answered nothing. Look into its log.")
        return answer
