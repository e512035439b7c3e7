"""Incidents, their timeline, and everything that may only be appended."""

from __future__ import annotations

from alembic import op

revision = "incidents_0001"
down_revision = None
branch_labels = None
depends_on = None

INCIDENTS = """
CREATE TABLE incidents (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    title text NOT NULL CHECK (char_length(title) BETWEEN 1 AND 200),
    description text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('low', 'medium', 'high', 'critical')),
    status text NOT NULL CHECK (status IN
        ('open', 'acknowledged', 'escalated', 'investigating', 'mitigating', 'resolved', 'closed')),
    escalation_level text CHECK (escalation_level IN ('level_1', 'level_2', 'level_3', 'executive')),
    owner_id uuid NOT NULL,
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    root_cause text,
    remediation_steps text,
    prevention_measures text,
    acknowledge_answered_at timestamptz,
    acknowledge_breached_at timestamptz,
    resolve_answered_at timestamptz,
    resolve_breached_at timestamptz,
    UNIQUE (id, tenant_id)
);
CREATE INDEX incidents_newest_of_tenant ON incidents (tenant_id, created_at DESC, id DESC);
CREATE INDEX incidents_newest ON incidents (created_at DESC, id DESC);
"""

APPENDED = """
CREATE TABLE timeline (
    incident_id uuid NOT NULL,
    seq integer NOT NULL CHECK (seq > 0),
    tenant_id uuid NOT NULL,
    actor text NOT NULL CHECK (actor <> ''),
    at timestamptz NOT NULL,
    kind text NOT NULL,
    "from" text,
    "to" text,
    payload jsonb NOT NULL,
    prev text NOT NULL CHECK (prev ~ '^[0-9a-f]{64}$'),
    hash text NOT NULL CHECK (hash ~ '^[0-9a-f]{64}$'),
    PRIMARY KEY (incident_id, seq),
    FOREIGN KEY (incident_id, tenant_id) REFERENCES incidents (id, tenant_id)
);

CREATE TABLE escalations (
    id uuid PRIMARY KEY,
    position bigint GENERATED ALWAYS AS IDENTITY,
    incident_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    actor text NOT NULL CHECK (actor <> ''),
    at timestamptz NOT NULL,
    severity text NOT NULL,
    level text NOT NULL,
    note text,
    FOREIGN KEY (incident_id, tenant_id) REFERENCES incidents (id, tenant_id)
);
CREATE INDEX escalations_of_incident ON escalations (incident_id, position);

CREATE TABLE root_causes (
    id uuid PRIMARY KEY,
    position bigint GENERATED ALWAYS AS IDENTITY,
    incident_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    actor text NOT NULL CHECK (actor <> ''),
    at timestamptz NOT NULL,
    root_cause text NOT NULL,
    confidence text NOT NULL CHECK (confidence IN ('low', 'medium', 'high')),
    FOREIGN KEY (incident_id, tenant_id) REFERENCES incidents (id, tenant_id)
);
CREATE INDEX root_causes_of_incident ON root_causes (incident_id, position);

CREATE TABLE refusals (
    id uuid PRIMARY KEY,
    position bigint GENERATED ALWAYS AS IDENTITY,
    incident_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    actor text NOT NULL CHECK (actor <> ''),
    at timestamptz NOT NULL,
    action text NOT NULL,
    code text NOT NULL,
    detail text NOT NULL,
    FOREIGN KEY (incident_id, tenant_id) REFERENCES incidents (id, tenant_id)
);
CREATE INDEX refusals_of_incident ON refusals (incident_id, position);

CREATE TABLE audit_heads (
    incident_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    seq integer NOT NULL CHECK (seq > 0),
    hash text NOT NULL CHECK (hash ~ '^[0-9a-f]{64}$'),
    FOREIGN KEY (incident_id, tenant_id) REFERENCES incidents (id, tenant_id)
);
"""

# Triggers hold for everybody, also for the owner and a superuser, whom grants do not bind. ENABLE ALWAYS: else
# `session_replication_role = replica` walks past them. Per statement: it fires also where no row matches or row-level
# security hides all, for the UPDATE in `ON CONFLICT`, for every action of MERGE, and when TRUNCATE cascades.
# Per row beside it: logical replication applies rows without firing triggers per statement.
REFUSE = """
CREATE FUNCTION smartattend_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation', HINT = 'Append a row that tells what changed.';
END $$;

CREATE FUNCTION smartattend_head_goes_forward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.incident_id <> OLD.incident_id OR NEW.tenant_id <> OLD.tenant_id OR NEW.seq <> OLD.seq + 1 THEN
        RAISE EXCEPTION 'audit_heads goes forward one event at a time: % after % refused', NEW.seq, OLD.seq
            USING ERRCODE = 'restrict_violation', HINT = 'Append the event to the timeline first.';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER audit_heads_only_forward BEFORE UPDATE ON audit_heads
    FOR EACH ROW EXECUTE FUNCTION smartattend_head_goes_forward();
ALTER TABLE audit_heads ENABLE ALWAYS TRIGGER audit_heads_only_forward;
CREATE TRIGGER audit_heads_are_kept BEFORE DELETE OR TRUNCATE ON audit_heads
    FOR EACH STATEMENT EXECUTE FUNCTION smartattend_refuse();
ALTER TABLE audit_heads ENABLE ALWAYS TRIGGER audit_heads_are_kept;
"""

APPEND_ONLY = ("timeline", "escalations", "root_causes", "refusals")
TENANT_OWNED = ("incidents", *APPEND_ONLY, "audit_heads")

REFUSE_ON = """
CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION smartattend_refuse();
CREATE TRIGGER {table}_append_only_rows BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION smartattend_refuse();
CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION smartattend_refuse();
ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_append_only;
ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_append_only_rows;
ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_no_truncate;
"""

POLICIES_ON = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY {table}_own ON {table}
    USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
CREATE POLICY {table}_superadmin ON {table}
    USING (current_setting('app.superadmin', true) = 'on');
"""

GRANTS = """
GRANT SELECT, INSERT ON incidents, timeline, escalations, root_causes, refusals, audit_heads TO smartattend_app;
GRANT UPDATE (severity, status, escalation_level, owner_id, updated_at, root_cause, remediation_steps,
    prevention_measures, acknowledge_answered_at, acknowledge_breached_at, resolve_answered_at, resolve_breached_at)
    ON incidents TO smartattend_app;
GRANT UPDATE (seq, hash) ON audit_heads TO smartattend_app;
"""


def upgrade() -> None:
    """Apply."""
    op.execute(INCIDENTS)
    op.execute(APPENDED)
    op.execute(REFUSE)
    for table in APPEND_ONLY:
        op.execute(REFUSE_ON.format(table=table))
    for table in TENANT_OWNED:
        op.execute(POLICIES_ON.format(table=table))
    op.execute(GRANTS)


def downgrade() -> None:
    """Refuse: what may only be appended may not be dropped either."""
    raise NotImplementedError("there is no way back from the first revision; restore a backup")
