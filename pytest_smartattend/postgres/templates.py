"""Template databases: a schema applied once, then copied for every test."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from pytest_smartattend.errors import SchemaFailed
from pytest_smartattend.postgres.schema import EmptySchema, Schema

if TYPE_CHECKING:
    import psycopg

_PATIENCE = 2.0  # seconds in which backends of the migration may leave by themselves


def name_of(schema: Schema, prefix: str) -> str:
    """The template's name on a server; ``template0`` for no schema at all."""
    return "template0" if isinstance(schema, EmptySchema) else f"{prefix}tpl_{key_of(schema)}"


def key_of(schema: Schema) -> str:
    """Sixteen characters that stand for the schema and its inputs."""
    return hashlib.sha256(f"{schema.name}:{schema.digest()}".encode()).hexdigest()[:16]


def quoted(name: str) -> str:
    """A name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


def exists(admin: psycopg.Connection, name: str) -> bool:
    """Whether the template is there and finished: the mark is set last."""
    return (
        admin.execute("SELECT 1 FROM pg_database WHERE datname = %s AND datistemplate", [name]).fetchone() is not None
    )


def make(admin: psycopg.Connection, dsn: Callable[[str], str], schema: Schema, name: str) -> None:
    """Apply `schema` to a new database and mark it as a template. A half-made one is replaced.

    Raises:
        SchemaFailed: it did not apply; nothing is left of it.
    """
    admin.execute(f"DROP DATABASE IF EXISTS {quoted(name)}")
    admin.execute(f"CREATE DATABASE {quoted(name)} TEMPLATE template0")
    try:
        _apply(dsn(name), schema)
        _vacuum(dsn(name))
        _leave(admin, name)
        # Last, so that a template that can be seen is a whole one. Nobody may be connected to what is copied.
        admin.execute(f"ALTER DATABASE {quoted(name)} IS_TEMPLATE true ALLOW_CONNECTIONS false")
    except BaseException:
        _leave(admin, name)
        admin.execute(f"DROP DATABASE IF EXISTS {quoted(name)}")
        raise


def _apply(dsn: str, schema: Schema) -> None:
    try:
        schema.apply(dsn)
    except SchemaFailed:
        raise
    except Exception as problem:
        raise SchemaFailed(
            f"The schema {schema.name!r} raised {type(problem).__name__}: {problem}. Correct it and run again."
        ) from problem


def _vacuum(dsn: str) -> None:
    # Autovacuum is off on throwaway servers, so statistics are made here, once, and copied with the rest.
    import psycopg

    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")


def _leave(admin: psycopg.Connection, name: str) -> None:
    """Wait until nobody is connected to `name`: a backend goes a moment after its client."""
    deadline = time.monotonic() + _PATIENCE
    while admin.execute("SELECT 1 FROM pg_stat_activity WHERE datname = %s LIMIT 1", [name]).fetchone():
        if time.monotonic() > deadline:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        time.sleep(0.001)
