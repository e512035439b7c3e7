"""Handoffs: who handed what to whom, how each ended, and who was turned away."""

from __future__ import annotations

from alembic import op

from pytest_smartattend.reference.store.migrations.incidents.incidents_0001_incidents_and_timeline import (
    POLICIES_ON,
    REFUSE_ON,
)

revision = "incidents_0003"
down_revision = "incidents_0002"
branch_labels = None
depends_on = None

# A handoff of all tenants has none, and is seen by superadmins only. Each handoff ends at most once: by its key.
TABLES = """
CREATE TABLE handoffs (
    id uuid PRIMARY KEY,
    position bigint GENERATED ALWAYS AS IDENTITY,
    tenant_id uuid,
    from_user_id uuid NOT NULL,
    to_user_id uuid NOT NULL CHECK (to_user_id <> from_user_id),
    briefing_notes text NOT NULL,
    initiated_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    health jsonb NOT NULL,
    items jsonb NOT NULL
);
CREATE INDEX handoffs_of_tenant ON handoffs (tenant_id, position);

CREATE TABLE handoff_endings (
    handoff_id uuid PRIMARY KEY REFERENCES handoffs,
    tenant_id uuid,
    status text NOT NULL CHECK (status IN ('accepted', 'rejected', 'superseded')),
    actor uuid NOT NULL,
    at timestamptz NOT NULL,
    reason text,
    read_back jsonb,
    moved jsonb NOT NULL,
    health jsonb,
    difference jsonb
);

CREATE TABLE handoff_refusals (
    id uuid PRIMARY KEY,
    position bigint GENERATED ALWAYS AS IDENTITY,
    handoff_id uuid NOT NULL REFERENCES handoffs,
    tenant_id uuid,
    actor text NOT NULL CHECK (actor <> ''),
    at timestamptz NOT NULL,
    action text NOT NULL,
    code text NOT NULL,
    detail text NOT NULL
);
CREATE INDEX handoff_refusals_of_handoff ON handoff_refusals (handoff_id, position);

CREATE INDEX incidents_open ON incidents (tenant_id) WHERE status <> 'closed';
"""

APPEND_ONLY = ("handoffs", "handoff_endings", "handoff_refusals")

GRANTS = "GRANT SELECT, INSERT ON handoffs, handoff_endings, handoff_refusals TO smartattend_app;"


def upgrade() -> None:
    """Apply."""
    op.execute(TABLES)
    for table in APPEND_ONLY:
        op.execute(REFUSE_ON.format(table=table))
        op.execute(POLICIES_ON.format(table=table))
    op.execute(GRANTS)


def downgrade() -> None:
    """Refuse: what may only be appended may not be dropped either."""
    raise NotImplementedError("there is no way back from the handoffs that were made; restore a backup")
