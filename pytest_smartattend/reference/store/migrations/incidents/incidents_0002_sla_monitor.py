"""What the SLA monitor has noticed of each incident, and when it must look again."""

from __future__ import annotations

from alembic import op

revision = "incidents_0002"
down_revision = "incidents_0001"
branch_labels = None
depends_on = None

# An incident from before has not been looked at: the monitor does so at once, and notices what it missed.
NOTICES = """
ALTER TABLE incidents
    ADD COLUMN acknowledge_risk_noticed_at timestamptz,
    ADD COLUMN acknowledge_breach_noticed_at timestamptz,
    ADD COLUMN resolve_risk_noticed_at timestamptz,
    ADD COLUMN resolve_breach_noticed_at timestamptz,
    ADD COLUMN sla_watch_at timestamptz;
CREATE INDEX incidents_to_watch ON incidents (sla_watch_at) WHERE sla_watch_at IS NOT NULL;
ALTER TABLE incidents NO FORCE ROW LEVEL SECURITY;
UPDATE incidents SET sla_watch_at = created_at;
ALTER TABLE incidents FORCE ROW LEVEL SECURITY;
GRANT UPDATE (acknowledge_risk_noticed_at, acknowledge_breach_noticed_at, resolve_risk_noticed_at,
    resolve_breach_noticed_at, sla_watch_at) ON incidents TO smartattend_app;
"""


def upgrade() -> None:
    """Apply."""
    op.execute(NOTICES)


def downgrade() -> None:
    """Refuse: the monitor would tell everything a second time."""
    raise NotImplementedError("there is no way back from the SLA monitor's notices; restore a backup")
