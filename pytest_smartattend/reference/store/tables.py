"""The tables as the application uses them. The migrations make them; a test compares the two."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ColumnElement, DateTime, Integer, MetaData, Table, Text, Uuid, false, true
from sqlalchemy.dialects.postgresql import JSONB

from pytest_smartattend.reference.domain.actors import Scope

PLATFORM = MetaData()
INCIDENTS = MetaData()


def _instant(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, Text, nullable=nullable)


users = Table(
    "users",
    PLATFORM,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid),
    _text("role"),
    _text("email"),
    _text("name"),
    _text("password_hash", nullable=True),
    _instant("created_at"),
)

tenants = Table(
    "tenants",
    PLATFORM,
    Column("id", Uuid, primary_key=True),
    _text("name"),
    _text("kind"),
    _instant("created_at"),
)

incidents = Table(
    "incidents",
    INCIDENTS,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    _text("title"),
    _text("description"),
    _text("severity"),
    _text("status"),
    _text("escalation_level", nullable=True),
    Column("owner_id", Uuid, nullable=False),
    Column("created_by", Uuid, nullable=False),
    _instant("created_at"),
    _instant("updated_at"),
    _text("root_cause", nullable=True),
    _text("remediation_steps", nullable=True),
    _text("prevention_measures", nullable=True),
    _instant("acknowledge_answered_at", nullable=True),
    _instant("acknowledge_breached_at", nullable=True),
    _instant("resolve_answered_at", nullable=True),
    _instant("resolve_breached_at", nullable=True),
)

timeline = Table(
    "timeline",
    INCIDENTS,
    Column("incident_id", Uuid, primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    _text("actor"),
    _instant("at"),
    _text("kind"),
    _text("from", nullable=True),
    _text("to", nullable=True),
    Column("payload", JSONB, nullable=False),
    _text("prev"),
    _text("hash"),
)

audit_heads = Table(
    "audit_heads",
    INCIDENTS,
    Column("incident_id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("seq", Integer, nullable=False),
    _text("hash"),
)


def _appended(name: str, *columns: Column[str]) -> Table:
    """A table of things that were said about an incident, in the order in which they were said (`position`)."""
    return Table(
        name,
        INCIDENTS,
        Column("id", Uuid, primary_key=True),
        Column("position", BigInteger, nullable=False),
        Column("incident_id", Uuid, nullable=False),
        Column("tenant_id", Uuid, nullable=False),
        _text("actor"),
        _instant("at"),
        *columns,
    )


escalations = _appended("escalations", _text("severity"), _text("level"), _text("note", nullable=True))
root_causes = _appended("root_causes", _text("root_cause"), _text("confidence"))
refusals = _appended("refusals", _text("action"), _text("code"), _text("detail"))


def within(table: Table, scope: Scope) -> ColumnElement[bool]:
    """The application's own filter by tenant, beside row-level security."""
    if scope.everywhere:
        return true()
    return table.c.tenant_id == scope.tenant_id if scope.tenant_id else false()
