"""Alerts to superadmins."""

from __future__ import annotations

from alembic import op

revision = "platform_0003"
down_revision = "platform_0002"
branch_labels = None
depends_on = None

# Of no tenant: what befalls a store befalls all.
ALERTS = """
CREATE TABLE alerts (
    id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('store_unreachable', 'store_damaged')),
    part text NOT NULL,
    detail text NOT NULL,
    at timestamptz NOT NULL,
    ended_at timestamptz
);
CREATE UNIQUE INDEX alerts_once_while_they_last ON alerts (kind, part, md5(detail))
    WHERE ended_at IS NULL AND kind = 'store_damaged';
CREATE UNIQUE INDEX alerts_once_per_outage ON alerts (kind, part)
    WHERE ended_at IS NULL AND kind = 'store_unreachable';
ALTER TABLE alerts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY alerts_superadmin ON alerts USING (current_setting('app.superadmin', true) = 'on');
GRANT SELECT, INSERT ON alerts TO smartattend_app;
GRANT UPDATE (ended_at) ON alerts TO smartattend_app;
"""


def upgrade() -> None:
    """Apply."""
    op.execute(ALERTS)


def downgrade() -> None:
    """Take the table back; what was told is gone."""
    op.execute("DROP TABLE alerts")
