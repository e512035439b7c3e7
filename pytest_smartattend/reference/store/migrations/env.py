"""Alembic's environment: runs one history on the connection that `migrate.migrate` hands over."""

from __future__ import annotations

from alembic import context

options = context.config.attributes
context.configure(
    connection=options["connection"],
    version_table=options["version_table"],
    transactional_ddl=True,
)
context.run_migrations()
