"""`now()` of one throwaway database on a virtual clock: in queries, defaults, triggers and views, in every session.

The application's SQL stays as it is. PostgreSQL's own `now`, `clock_timestamp` and their kin are replaced in this one
database by functions in SQL that the planner puts in their place; what they read is written at each move of the clock,
before anything that fell due is called. So application and database never differ while the clock stands still. Within a
transaction `now()` stays what it was at its begin, also where the clock moves on meanwhile.

`CURRENT_TIMESTAMP` and its kin are no functions, and cannot be replaced: in defaults they are rewritten, elsewhere
`unfollowed` finds them by name. What does not follow at all: `pg_sleep`, timeouts, `uuidv7`, what the server logs and
counts, and functions in other languages that ask their own clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final, LiteralString

import psycopg
from psycopg import sql

from pytest_smartattend.engine.clock import VirtualClock
from pytest_smartattend.errors import ClockError
from pytest_smartattend.postgres import unfollowed
from pytest_smartattend.postgres.pool import Database

_UNIX: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

#: A schema that appears makes every session plan its prepared statements anew, and so see what is replaced here.
#: The functions of language ``internal`` are the server's own clock, which is needed to tell when a transaction began.
_SERVERS_OWN: Final = """
create schema smartattend_clock;
grant usage on schema smartattend_clock to public;
create function smartattend_clock.began() returns timestamptz language internal stable parallel safe as 'now';
create function smartattend_clock.asked() returns timestamptz
  language internal stable parallel safe as 'statement_timestamp';
create function smartattend_clock.real() returns timestamptz language internal volatile parallel safe as 'clock_timestamp';
"""

#: Sequences are seen by every session at once, also within a snapshot: what the clock reads, and when by the server's own
#: it was moved there, both in microseconds since 1970. A transaction that began before that asks the table.
_MOVED: Final = """
create sequence smartattend_clock.reading minvalue -9000000000000000000;
create sequence smartattend_clock.moved;
create table smartattend_clock.moves (moved bigint not null, reading bigint not null);
create index on smartattend_clock.moves (moved desc, reading desc);
grant select on all tables in schema smartattend_clock to public;
grant select on all sequences in schema smartattend_clock to public;
insert into smartattend_clock.moves values (0, {reading});
select setval('smartattend_clock.reading', {reading});
create function smartattend_clock.at(microseconds bigint) returns timestamptz language sql immutable parallel safe
  as $$ select timestamptz 'epoch' + interval '1 microsecond' * microseconds $$;
create function smartattend_clock.before() returns timestamptz language sql stable parallel safe as $$
  select smartattend_clock.at(reading) from smartattend_clock.moves
  where moved <= (extract(epoch from smartattend_clock.began()) * 1000000)::bigint
  order by moved desc, reading desc limit 1 $$;
create function smartattend_clock.of_transaction() returns timestamptz language sql stable parallel safe as $$
  select case when smartattend_clock.at(moved.last_value) <= smartattend_clock.began()
    then smartattend_clock.at(reading.last_value) else smartattend_clock.before() end
  from smartattend_clock.moved, smartattend_clock.reading $$;
create function smartattend_clock.of_statement() returns timestamptz language sql stable parallel safe
  as $$ select smartattend_clock.at(last_value) from smartattend_clock.reading $$;
create function smartattend_clock.at_once() returns timestamptz language sql stable parallel safe
  as $$ select smartattend_clock.at(last_value) from smartattend_clock.reading $$;
"""

#: Where time passes by itself, so many times as fast as the server's own clock from the moment of installation.
_SCALED: Final = """
create function smartattend_clock.scaled(moment timestamptz) returns timestamptz language sql stable parallel safe as $$
  select {start} + make_interval(secs => extract(epoch from moment - {anchor})::float8 * {factor}) $$;
create function smartattend_clock.of_transaction() returns timestamptz language sql stable parallel safe
  as $$ select smartattend_clock.scaled(smartattend_clock.began()) $$;
create function smartattend_clock.of_statement() returns timestamptz language sql stable parallel safe
  as $$ select smartattend_clock.scaled(smartattend_clock.asked()) $$;
create function smartattend_clock.at_once() returns timestamptz language sql volatile parallel safe
  as $$ select smartattend_clock.scaled(smartattend_clock.real()) $$;
"""

#: The server never looks at its catalogue for the built-in functions when it runs them, but it does when it plans; so the
#: new body must be one that the planner puts in the call's place: a single expression, no more volatile than it says.
_REPLACED: Final = """
create or replace function pg_catalog.now() returns timestamptz
  language sql stable parallel safe as 'select smartattend_clock.of_transaction()';
create or replace function pg_catalog.transaction_timestamp() returns timestamptz
  language sql stable parallel safe as 'select smartattend_clock.of_transaction()';
create or replace function pg_catalog.statement_timestamp() returns timestamptz
  language sql stable parallel safe as 'select smartattend_clock.of_statement()';
create or replace function pg_catalog.clock_timestamp() returns timestamptz
  language sql volatile parallel safe as 'select smartattend_clock.at_once()';
create or replace function pg_catalog.timeofday() returns text language sql volatile parallel safe
  as $$ select to_char(smartattend_clock.at_once(), 'Dy Mon DD HH24:MI:SS.US YYYY TZ') $$;
create or replace function pg_catalog.age(timestamptz) returns interval language sql stable parallel safe
  as $$ select age(date_trunc('day', smartattend_clock.of_transaction()), $1) $$;
create or replace function pg_catalog.age(timestamp) returns interval language sql stable parallel safe
  as $$ select age(date_trunc('day', smartattend_clock.of_transaction())::timestamp, $1) $$;
"""

#: what stands for each in a default, and means the same
_INSTEAD: Final = {
    "CURRENT_TIMESTAMP": "timestamptz",
    "LOCALTIMESTAMP": "timestamp",
    "CURRENT_TIME": "timetz",
    "LOCALTIME": "time",
    "CURRENT_DATE": "date",
}
_DEFAULTS: Final[LiteralString] = """
select 'table', attrelid::regclass::text, attname::text, pg_get_expr(adbin, adrelid)
from pg_attrdef join pg_attribute on attrelid = adrelid and attnum = adnum
join pg_class on pg_class.oid = adrelid
where attgenerated = '' and relnamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
union all
select 'domain', format_type(oid, null), '', pg_get_expr(typdefaultbin, 0)
from pg_type where typtype = 'd' and typdefaultbin is not null and typnamespace <> 'information_schema'::regnamespace
"""
#: how often the server's clock is read to lay ours beside it
_LOOKS: Final = 5
_DELAY: Final = 30  # seconds that a default may wait for whoever uses its table


class DatabaseClock:
    """The clock of one throwaway database; see the module.

    Args:
        database: whose `now()` follows from here on, for the rest of its life.
        clock: whom it follows. A ``real`` one needs nothing, and nothing is done.

    Attributes:
        rewritten: the defaults that named `CURRENT_TIMESTAMP` or its kin, such as ``events.at``.

    Raises:
        ClockError: we are no superuser there, or it follows another clock already.
    """

    def __init__(self, database: Database, clock: VirtualClock) -> None:
        self._clock = clock
        self.rewritten: tuple[str, ...] = ()
        self._connection = psycopg.connect(database.dsn, autocommit=True, application_name="smartattend clock")
        try:
            if clock.mode != "real":
                self._install(database)
        except BaseException:
            self._connection.close()
            raise

    @contextmanager
    def following(self) -> Iterator[DatabaseClock]:
        """Follow each move for the length of the block; from then on the database's time stands still."""
        try:
            if self._clock.mode == "discrete":
                self._move()
                with self._clock.following(self._move):
                    yield self
            else:
                yield self
        finally:
            self._connection.close()

    def now(self) -> datetime:
        """What the database says that it is, to whoever asks now."""
        row = self._connection.execute("select clock_timestamp()").fetchone()
        assert row is not None
        told: datetime = row[0]
        return told.astimezone(UTC)

    def unfollowed(self) -> list[str]:
        """What in this database asks the server's own clock, by name: see `unfollowed.found_in`."""
        return [] if self._clock.mode == "real" else unfollowed.found_in(self._connection)

    def _install(self, database: Database) -> None:
        connection = self._connection
        if connection.info.parameter_status("is_superuser") != "on":
            raise ClockError(
                f"The clock of {database.name} can only be replaced by a superuser, and {connection.info.user} is none. "
                "Give a server on which we are one, or leave --smartattend-postgres out and let one be started."
            )
        if connection.execute("select to_regnamespace('smartattend_clock')").fetchone() != (None,):
            raise ClockError(f"{database.name} follows another clock already. Take a fresh database.")
        with connection.transaction():
            connection.execute(f"set local lock_timeout = '{_DELAY}s'")
            connection.execute(_SERVERS_OWN)
            connection.execute(self._moved() if self._clock.mode == "discrete" else self._scaled())
            connection.execute(_REPLACED)
            self.rewritten = tuple(self._rewrite_defaults())

    def _moved(self) -> sql.Composed:
        return sql.SQL(_MOVED).format(reading=sql.Literal(self._reading()))

    def _scaled(self) -> sql.Composed:
        # The quickest of some answers: as long as one is on its way, the clock runs on, so many times as fast.
        _, start, anchor = min((self._looked() for _ in range(_LOOKS)), key=lambda look: look[0])
        factor = sql.Literal(self._clock.factor)
        return sql.SQL(_SCALED).format(start=sql.Literal(start), anchor=sql.Literal(anchor), factor=factor)

    def _looked(self) -> tuple[timedelta, datetime, datetime]:
        """How far our clock ran during one question to the server's, what ours read then, and the answer."""
        before = self._clock.now()
        row = self._connection.execute("select smartattend_clock.real()").fetchone()
        assert row is not None
        after = self._clock.now()
        return after - before, after, row[0]

    def _rewrite_defaults(self) -> Iterator[str]:
        for kind, owner, column, expression in self._connection.execute(_DEFAULTS).fetchall():
            followed = unfollowed.outside_of_strings(expression, _followed)
            if followed == expression:
                continue
            which = (
                f"table only {owner} alter column {sql.Identifier(column).as_string()}" if column else f"domain {owner}"
            )
            self._connection.execute(f"alter {which} set default {followed}".encode())
            yield f"{owner}.{column}" if kind == "table" else owner

    def _reading(self) -> int:
        return (self._clock.now() - _UNIX) // _MICROSECOND

    def _move(self) -> None:
        self._connection.execute(
            "with moves as (insert into smartattend_clock.moves select"
            " (extract(epoch from smartattend_clock.real()) * 1000000)::bigint, %(reading)s returning moved)"
            " select setval('smartattend_clock.moved', moved), setval('smartattend_clock.reading', %(reading)s) from moves",
            {"reading": self._reading()},
            prepare=True,
        )


def _followed(text: str) -> str:
    def instead(found: re.Match[str]) -> str:
        return f"now()::{_INSTEAD[found[1].upper()]}{found[2] or ''}"

    return re.sub(rf"\b({'|'.join(_INSTEAD)})\b(\(\d\))?", instead, text, flags=re.IGNORECASE)
