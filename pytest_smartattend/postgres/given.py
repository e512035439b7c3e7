"""A server that the person named by URL: what must hold before anything is written to it, and what is removed again.

Every database that a run makes there has a name that begins with ``smartattend_RUN_``. Every process of the run holds an
advisory lock for it; databases of a run that nobody holds a lock for are a dead run's and are dropped by the next.
"""

from __future__ import annotations

import ipaddress
import os
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from pytest_smartattend.errors import ServerFailed, UnsafeTarget, UsageError
from pytest_smartattend.postgres.templates import quoted

if TYPE_CHECKING:
    import psycopg

MARK = "smartattend: disposable"
_LOCK = 0x534D4154  # the class of our advisory locks
_REDIRECTING = frozenset({"host", "hostaddr", "service", "servicefile", "dbname", "user", "password", "port"})
_OWN = re.compile(r"smartattend_([0-9a-f]{12})_.*")


def allowing(host: str) -> str:
    """How each door is told that `host` may be written to."""
    return (
        f"--smartattend-allow-host={host} to pytest (behind -- to `smartattend readiness`), "
        f"--allow-host={host} to `smartattend conform`"
    )


def check(url: str, allow_host: tuple[str, ...]) -> None:
    """Refuse a URL that names no host, or one that is neither loopback nor allowed. Connects to nothing.

    Raises:
        UsageError: the URL is not complete, or its parameters would redirect it.
        UnsafeTarget: the host was not allowed.
    """
    parts = urlsplit(url)
    shown = without_password(url)
    try:
        host, _ = parts.hostname, parts.port
    except ValueError as problem:
        raise UsageError(f"{shown}: {problem}. Give postgresql://user@host:port/database.") from None
    if not host or "," in parts.netloc or not parts.path.strip("/") or not parts.username:
        raise UsageError(
            f"{shown} must name one user, one host and one database: postgresql://user@host:port/database."
        )
    if turned := _REDIRECTING.intersection(name.lower() for name, _ in parse_qsl(parts.query)):
        raise UsageError(
            f"{shown}: the parameter {', '.join(sorted(turned))} would lead elsewhere. Write it into the URL itself."
        )
    if host not in allow_host and not _is_loopback(host):
        raise UnsafeTarget(f"{shown} is not on this machine. If it may be written to, say so: {allowing(host)}.")


def refuse_redirection() -> None:
    """Refuse libpq's variable that sends every connection elsewhere, whatever the URL says.

    Raises:
        UsageError: it is set.
    """
    if os.environ.get("PGHOSTADDR"):
        raise UsageError("PGHOSTADDR is set: libpq would send every connection there, whatever the URL says. Unset it.")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or unquote(host).startswith("/"):  # a socket's folder, as %2Frun%2Fpostgresql
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def without_password(url: str) -> str:
    """The URL as it may be shown."""
    parts = urlsplit(url)
    user, _, place = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}@{place}" if user else place))


def dsn(url: str, database: str, user: str | None = None, password: str = "") -> str:
    """`url` with another database and, where one is given, another user (and the password, where it is known)."""
    parts = urlsplit(url)
    if user is not None and user != unquote(parts.username or ""):
        who = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
        parts = parts._replace(netloc=f"{who}@{parts.netloc.rpartition('@')[2]}")
    query = urlencode(parse_qsl(parts.query, keep_blank_values=True))
    return urlunsplit(parts._replace(scheme="postgresql", path="/" + quote(database, safe=""), query=query))


def database_of(url: str) -> str:
    """The database that the URL names."""
    return unquote(urlsplit(url).path.lstrip("/"))


def admit(connection: psycopg.Connection, url: str, allow_host: tuple[str, ...]) -> None:
    """Refuse a database that is not marked, a server that turned out to be elsewhere, a user that may make none.

    Raises:
        UnsafeTarget: not marked, or not where it was said to be.
        ServerFailed: the user may not create databases.
    """
    name, shown = database_of(url), without_password(url)
    reached = connection.info.hostaddr
    if urlsplit(url).hostname not in allow_host and reached and not _is_loopback(reached):
        raise UnsafeTarget(
            f"{shown} led to {reached}, which is not this machine. Correct the URL or the name's address."
        )
    row = connection.execute(
        "SELECT shobj_description(d.oid, 'pg_database'), r.rolsuper OR r.rolcreatedb FROM pg_database d, pg_roles r"
        " WHERE d.datname = current_database() AND r.rolname = current_user"
    ).fetchone()
    assert row is not None
    if (row[0] or "").strip() != MARK:
        now = f"\nIts comment is now {row[0]!r}." if row[0] else ""
        raise UnsafeTarget(
            f"The database {name!r} at {shown} is not marked as disposable, so nothing was written. If everything on that "
            f"server may be lost, run there:\n  COMMENT ON DATABASE {quoted(name)} IS '{MARK}';{now}"
        )
    if not row[1]:
        raise ServerFailed(
            f"The user of {shown} may not create databases. Run there:\n  ALTER ROLE CURRENT_USER CREATEDB;"
        )


def unreachable(url: str, problem: Exception) -> str:
    """What to say where nothing was reached yet at `url`: the address may be wrong, or the database not there."""
    name, shown = database_of(url), without_password(url)
    if f'database "{name}" does not exist' in str(problem):
        make = f"CREATE DATABASE {quoted(name)}; COMMENT ON DATABASE {quoted(name)} IS '{MARK}';"
        return (
            f"There is no database {name!r} at {shown}. Correct the URL; or make one there, if everything on that "
            f"server may be lost, from another database of it:\n  {make}"
        )
    return f"PostgreSQL at {shown} does not answer: {problem}\nIs it started? Are address, user and password of the URL right?"


def lock(connection: psycopg.Connection, run: str) -> None:
    """Say, as long as `connection` lives, that the run is alive."""
    connection.execute("SELECT pg_advisory_lock_shared(%s, %s)", [_LOCK, _lock_number(run)])


def lock_for(connection: psycopg.Connection, database: str) -> None:
    """Say, as long as `connection` lives, that the run that made `database` is alive, whoever serves it now."""
    if found := _OWN.fullmatch(database):
        lock(connection, found[1])


def _lock_number(run: str) -> int:
    return int(run[:7], 16)


def drop(connection: psycopg.Connection, run: str) -> None:
    """Drop every database of the run."""
    for name in _databases(connection):
        found = _OWN.fullmatch(name)
        if found and found[1] == run:
            _drop(connection, name)


def drop_dead(connection: psycopg.Connection) -> None:
    """Drop the databases of runs that nobody holds a lock for, on whichever database of this server."""
    for name in _databases(connection):
        found = _OWN.fullmatch(name)
        if found is None:
            continue
        held = connection.execute(
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND objid = %s AND objsubid = 2 LIMIT 1",
            [_LOCK, _lock_number(found[1])],
        ).fetchone()
        used = connection.execute("SELECT 1 FROM pg_stat_activity WHERE datname = %s LIMIT 1", [name]).fetchone()
        if not held and not used:
            _drop(connection, name)


def _databases(connection: psycopg.Connection) -> list[str]:
    rows = connection.execute(
        "SELECT datname FROM pg_database WHERE datname LIKE 'smartattend\\_%' ORDER BY 1"
    ).fetchall()
    return [row[0] for row in rows]


def _drop(connection: psycopg.Connection, name: str) -> None:
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND usename = current_user", [name]
    )
    is_template = connection.execute("SELECT datistemplate FROM pg_database WHERE datname = %s", [name]).fetchone()
    if is_template and is_template[0]:
        connection.execute(f"ALTER DATABASE {quoted(name)} IS_TEMPLATE false")
    connection.execute(f"DROP DATABASE IF EXISTS {quoted(name)}")
