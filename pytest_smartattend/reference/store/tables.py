"""The tables as the application uses them. The migrations make them; a test compares the two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Date,
    DateTime,
    Double,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
    any_,
    false,
    literal,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

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

tenant_settings = Table(
    "tenant_settings",
    PLATFORM,
    Column("tenant_id", Uuid, primary_key=True),
    Column("drift_accepted_ms", Integer, nullable=False),
    Column("drift_flagged_ms", Integer, nullable=False),
    Column("drift_blocked_ms", Integer, nullable=False),
)

class_sessions = Table(
    "class_sessions",
    PLATFORM,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    _text("name"),
)

shifts = Table(
    "shifts",
    PLATFORM,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("employee_id", Uuid, nullable=False),
    Column("shift_date", Date, nullable=False),
)

attendance = Table(
    "attendance",
    PLATFORM,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    _text("kind"),
    Column("person_id", Uuid, nullable=False),
    Column("day", Date, nullable=False),
    Column("class_session_id", Uuid),
    _text("direction", nullable=True),
    _instant("client_time"),
    _text("device_id", nullable=True),
    Column("drift_ms", Double, nullable=False),
    Column("submitted_by", Uuid, nullable=False),
    _instant("created_at"),
)

attendance_history = Table(
    "attendance_history",
    PLATFORM,
    Column("attendance_id", Uuid, primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    _text("actor"),
    _instant("at"),
    _text("from", nullable=True),
    _text("to"),
    _text("reason"),
)

corrections = Table(
    "corrections",
    PLATFORM,
    Column("id", Uuid, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("attendance_id", Uuid, nullable=False),
    Column("tenant_id", Uuid, nullable=False),
    _text("actor"),
    _instant("at"),
    _text("type"),
    _text("reason"),
    Column("original", JSONB, nullable=False),
    Column("corrected", JSONB, nullable=False),
)

correction_reverts = Table(
    "correction_reverts",
    PLATFORM,
    Column("id", Uuid, primary_key=True),
    Column("correction_id", Uuid, nullable=False),
    Column("tenant_id", Uuid, nullable=False),
    _text("actor"),
    _instant("at"),
    _text("reason"),
)

attendance_refusals = Table(
    "attendance_refusals",
    PLATFORM,
    Column("id", Uuid, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("attendance_id", Uuid),
    Column("tenant_id", Uuid, nullable=False),
    _text("actor"),
    _instant("at"),
    _text("action"),
    _text("code"),
    _text("detail"),
)

idempotency_keys = Table(
    "idempotency_keys",
    PLATFORM,
    Column("tenant_id", Uuid, primary_key=True),
    Column("key", Text, primary_key=True),
    _text("digest"),
    Column("status", Integer, nullable=False),
    Column("answer", JSONB, nullable=False),
    _instant("at"),
)

drift_alarms = Table(
    "drift_alarms",
    PLATFORM,
    Column("tenant_id", Uuid, primary_key=True),
    Column("device", Text, primary_key=True),
    Column("hour", DateTime(timezone=True), primary_key=True),
    Column("incident_id", Uuid, nullable=False),
)

alerts = Table(
    "alerts",
    PLATFORM,
    Column("id", Uuid, primary_key=True),
    _text("kind"),
    _text("part"),
    _text("detail"),
    _instant("at"),
    _instant("ended_at", nullable=True),
)

metrics = Table(
    "metrics",
    PLATFORM,
    Column("id", BigInteger, primary_key=True),
    Column("tenant_id", Uuid),
    _instant("at"),
    _text("kind"),
    _text("endpoint", nullable=True),
    Column("status", Integer),
    _text("outcome", nullable=True),
    Column("value", Double, nullable=False),
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
    _instant("acknowledge_risk_noticed_at", nullable=True),
    _instant("acknowledge_breach_noticed_at", nullable=True),
    _instant("resolve_risk_noticed_at", nullable=True),
    _instant("resolve_breach_noticed_at", nullable=True),
    _instant("sla_watch_at", nullable=True),
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


def _appended(name: str, *columns: Column[Any]) -> Table:
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
refusals = _appended(
    "refusals",
    _text("action"),
    _text("code"),
    _text("detail"),
    Column("asked", JSONB),
    Column("after_seq", Integer),
)
exports = _appended("exports", Column("verbatim", Boolean, nullable=False), _text("digest"))


handoffs = Table(
    "handoffs",
    INCIDENTS,
    Column("id", Uuid, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("tenant_id", Uuid),
    Column("from_user_id", Uuid, nullable=False),
    Column("to_user_id", Uuid, nullable=False),
    _text("briefing_notes"),
    _instant("initiated_at"),
    _instant("expires_at"),
    Column("health", JSONB, nullable=False),
    Column("items", JSONB, nullable=False),
)

handoff_endings = Table(
    "handoff_endings",
    INCIDENTS,
    Column("handoff_id", Uuid, primary_key=True),
    Column("tenant_id", Uuid),
    _text("status"),
    Column("actor", Uuid, nullable=False),
    _instant("at"),
    _text("reason", nullable=True),
    Column("read_back", JSONB(none_as_null=True)),
    Column("moved", JSONB, nullable=False),
    Column("health", JSONB(none_as_null=True)),
    Column("difference", JSONB(none_as_null=True)),
)

handoff_refusals = Table(
    "handoff_refusals",
    INCIDENTS,
    Column("id", Uuid, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("handoff_id", Uuid, nullable=False),
    Column("tenant_id", Uuid),
    _text("actor"),
    _instant("at"),
    _text("action"),
    _text("code"),
    _text("detail"),
)


def one_of(column: Column[Any], ids: Sequence[UUID]) -> ColumnElement[bool]:
    """Whether an id is one of many, which go over as one array."""
    return column == any_(literal(list(ids), ARRAY(Uuid)))


def within(table: Table, scope: Scope) -> ColumnElement[bool]:
    """The application's own filter by tenant, beside row-level security."""
    if scope.everywhere:
        return true()
    return table.c.tenant_id == scope.tenant_id if scope.tenant_id else false()
