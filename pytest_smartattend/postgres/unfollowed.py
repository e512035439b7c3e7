"""What in a database asks the server's own clock in a way that cannot be replaced, found by name.

Defaults, views, functions, policies, constraints and triggers are read from the catalogue. What was run by itself is
found where the server counts statements (`pg_stat_statements`), for there it stands word by word, but for its constants.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, LiteralString

import psycopg
from psycopg import sql

#: words that are no functions, and strings that become the present time when they are read
_ASKS: Final = re.compile(
    r"\b(current_timestamp|localtimestamp|current_time|localtime|current_date)\b"
    r"|'(now|today|tomorrow|yesterday)'\s*(?:::|\)::)"
    r"|\b(?:timestamptz|timestamp|date|time|timetz)(?:\s+with(?:out)?\s+time\s+zone)?\s+'(now|today|tomorrow|yesterday)'",
    re.IGNORECASE,
)
_COMMENT: Final = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_STRING: Final = re.compile(r"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")")
_ITS_SCHEMA: Final = "select extnamespace::regnamespace::text from pg_extension where extname = 'pg_stat_statements'"
_LONGEST: Final = 120

#: kind, name, and the text in which it is looked for; of what is neither the system's nor an extension's
_CATALOGUE: Final[LiteralString] = """
with own as (
  select oid from pg_namespace where nspname not like 'pg\\_%' and nspname not in ('information_schema', 'smartattend_clock')
)
select 'default of ' || attrelid::regclass || '.' || quote_ident(attname), pg_get_expr(adbin, adrelid)
from pg_attrdef join pg_attribute on attrelid = adrelid and attnum = adnum join pg_class on pg_class.oid = adrelid
where relnamespace in (select oid from own)
union all
select 'default of domain ' || format_type(oid, null), pg_get_expr(typdefaultbin, 0)
from pg_type where typtype = 'd' and typdefaultbin is not null and typnamespace in (select oid from own)
union all
select 'view ' || oid::regclass, pg_get_viewdef(oid)
from pg_class where relkind in ('v', 'm') and relnamespace in (select oid from own)
union all
select 'rule ' || quote_ident(rulename) || ' on ' || ev_class::regclass, pg_get_ruledef(pg_rewrite.oid)
from pg_rewrite join pg_class on pg_class.oid = ev_class
where rulename <> '_RETURN' and relnamespace in (select oid from own)
union all
select 'function ' || pg_proc.oid::regprocedure,
  case when prokind = 'a' then '' when lanname = 'c' then '' else pg_get_functiondef(pg_proc.oid) end
from pg_proc join pg_language on pg_language.oid = prolang
where pronamespace in (select oid from own) and prokind <> 'a' and lanname not in ('c', 'internal')
and not exists (select from pg_depend where classid = 'pg_proc'::regclass and objid = pg_proc.oid and deptype = 'e')
union all
select 'constraint ' || quote_ident(conname) || case when conrelid <> 0 then ' of ' || conrelid::regclass else '' end,
  pg_get_constraintdef(oid)
from pg_constraint where contype in ('c', 'x') and connamespace in (select oid from own)
union all
select 'policy ' || quote_ident(polname) || ' of ' || polrelid::regclass,
  concat_ws(' ', pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
from pg_policy
union all
select 'trigger ' || quote_ident(tgname) || ' of ' || tgrelid::regclass, pg_get_triggerdef(oid)
from pg_trigger where not tgisinternal
order by 1
"""


def found_in(connection: psycopg.Connection) -> list[str]:
    """What asks the server's own clock, one line each: kind, name, and how it asks.

    Args:
        connection: to the database, as a superuser, with autocommit.
    """
    return [
        f"{name}: {' and '.join(how)}"
        for name, text in [*connection.execute(_CATALOGUE).fetchall(), *_ran(connection)]
        if (how := _how(text or ""))
    ]


def _how(text: str) -> list[str]:
    found = list(_ASKS.finditer(_COMMENT.sub(" ", text)))
    return sorted({one[1].upper() if one[1] else f"'{(one[2] or one[3]).lower()}'" for one in found})


def _ran(connection: psycopg.Connection) -> Iterator[tuple[str, str]]:
    """The statements that were run in this database, where the server counts them; our own are left out."""
    counts = connection.execute("select current_setting('pg_stat_statements.track', true) is not null").fetchone()
    if counts == (True,):
        with connection.transaction(force_rollback=True):  # the extension is there to be asked once, and gone again
            connection.execute("create extension if not exists pg_stat_statements")
            (schema,) = connection.execute(_ITS_SCHEMA).fetchall()[0]
            asked = sql.SQL("select query from {}.pg_stat_statements where dbid = {} group by 1 order by 1")
            this = sql.SQL("(select oid from pg_database where datname = current_database())")
            for (query,) in connection.execute(asked.format(sql.Identifier(schema), this)).fetchall():
                yield f"query {' '.join(query.split())[:_LONGEST]!r}", query


def outside_of_strings(text: str, change: Callable[[str], str]) -> str:
    """`text` with `change` made to all that stands neither in a string nor in a quoted name."""
    return "".join(part if index % 2 else change(part) for index, part in enumerate(_STRING.split(text)))
