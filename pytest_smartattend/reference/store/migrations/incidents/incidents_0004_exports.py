"""Who exported which incident, and of a refusal also what was asked and after which event."""

from __future__ import annotations

from alembic import op

revision = "incidents_0004"
down_revision = "incidents_0003"
branch_labels = None
depends_on = None

# Of refusals from before, nobody knows what was asked: it is null, as is the event that they followed.
REFUSALS = """
ALTER TABLE refusals
    ADD COLUMN asked jsonb,
    ADD COLUMN after_seq integer CHECK (after_seq >= 0);
"""

EXPORTS = """
CREATE TABLE exports (
    id uuid PRIMARY KEY,
    position bigint GENERATED ALWAYS AS IDENTITY,
    incident_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    actor text NOT NULL CHECK (actor <> ''),
    at timestamptz NOT NULL,
    verbatim boolean NOT NULL,
    digest text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
    FOREIGN KEY (incident_id, tenant_id) REFERENCES incidents (id, tenant_id)
);
CREATE INDEX exports_of_incident ON exports (incident_id, position);
CREATE TRIGGER exports_append_only BEFORE UPDATE OR DELETE ON exports
    FOR EACH STATEMENT EXECUTE FUNCTION smartattend_refuse();
CREATE TRIGGER exports_append_only_rows BEFORE UPDATE OR DELETE ON exports
    FOR EACH ROW EXECUTE FUNCTION smartattend_refuse();
CREATE TRIGGER exports_no_truncate BEFORE TRUNCATE ON exports
    FOR EACH STATEMENT EXECUTE FUNCTION smartattend_refuse();
ALTER TABLE exports ENABLE ALWAYS TRIGGER exports_append_only;
ALTER TABLE exports ENABLE ALWAYS TRIGGER exports_append_only_rows;
ALTER TABLE exports ENABLE ALWAYS TRIGGER exports_no_truncate;
ALTER TABLE exports ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY exports_own ON exports
    USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
CREATE POLICY exports_superadmin ON exports
    USING (current_setting('app.superadmin', true) = 'on');
GRANT SELECT, INSERT ON exports TO smartattend_app;
"""


def upgrade() -> None:
    """Apply."""
    op.execute(REFUSALS)
    op.execute(EXPORTS)


def downgrade() -> None:
    """Refuse: who exported what may only be appended, and so may not be dropped."""
    raise NotImplementedError("there is no way back from the record of exports; restore a backup")
