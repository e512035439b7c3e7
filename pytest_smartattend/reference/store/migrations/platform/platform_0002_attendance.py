"""Attendance: rosters, records that never change, all that is appended to them, idempotency keys, metrics."""

from __future__ import annotations

from alembic import op

revision = "platform_0002"
down_revision = "platform_0001"
branch_labels = None
depends_on = None

ROSTERS = """
ALTER TABLE users ADD CONSTRAINT users_of_tenant UNIQUE (id, tenant_id);

CREATE TABLE tenant_settings (
    tenant_id uuid PRIMARY KEY REFERENCES tenants,
    drift_accepted_ms integer NOT NULL DEFAULT 5000 CHECK (drift_accepted_ms >= 0),
    drift_flagged_ms integer NOT NULL DEFAULT 300000,
    drift_blocked_ms integer NOT NULL DEFAULT 600000,
    CONSTRAINT tenant_settings_limits_rise
        CHECK (drift_accepted_ms <= drift_flagged_ms AND drift_flagged_ms <= drift_blocked_ms)
);

CREATE TABLE class_sessions (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants,
    name text NOT NULL CHECK (name <> ''),
    UNIQUE (id, tenant_id)
);

CREATE TABLE shifts (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants,
    employee_id uuid NOT NULL,
    shift_date date NOT NULL,
    UNIQUE (employee_id, shift_date),
    FOREIGN KEY (employee_id, tenant_id) REFERENCES users (id, tenant_id)
);
"""

# Two natural keys in one table: a unique constraint takes no notice of rows in which one of its columns is null.
RECORDS = """
CREATE TABLE attendance (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants,
    kind text NOT NULL CHECK (kind IN ('school', 'corporate')),
    person_id uuid NOT NULL,
    day date NOT NULL,
    class_session_id uuid,
    direction text CHECK (direction IN ('in', 'out')),
    client_time timestamptz NOT NULL,
    device_id text,
    drift_ms double precision NOT NULL,
    submitted_by uuid NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT attendance_of_a_session CHECK ((kind = 'school') = (class_session_id IS NOT NULL)),
    CONSTRAINT attendance_of_a_shift CHECK ((kind = 'corporate') = (direction IS NOT NULL)),
    CONSTRAINT attendance_once_per_session UNIQUE (tenant_id, class_session_id, person_id, day),
    CONSTRAINT attendance_once_per_shift UNIQUE (tenant_id, person_id, day, direction),
    UNIQUE (id, tenant_id),
    FOREIGN KEY (person_id, tenant_id) REFERENCES users (id, tenant_id),
    FOREIGN KEY (class_session_id, tenant_id) REFERENCES class_sessions (id, tenant_id)
);

CREATE TABLE attendance_history (
    attendance_id uuid NOT NULL,
    seq integer NOT NULL CHECK (seq > 0),
    tenant_id uuid NOT NULL,
    actor text NOT NULL CHECK (actor <> ''),
    at timestamptz NOT NULL,
    "from" text CHECK ("from" IN ('VERIFIED', 'FLAGGED', 'REVOKED', 'MANUAL_OVERRIDE')),
    "to" text NOT NULL CHECK ("to" IN ('VERIFIED', 'FLAGGED', 'REVOKED', 'MANUAL_OVERRIDE')),
    reason text NOT NULL CHECK (reason <> ''),
    CONSTRAINT attendance_history_begins_once CHECK (("from" IS NULL) = (seq = 1)),
    PRIMARY KEY (attendance_id, seq),
    FOREIGN KEY (attendance_id, tenant_id) REFERENCES attendance (id, tenant_id)
);

CREATE TABLE corrections (
    id uuid PRIMARY KEY,
    position bigint GENERATED ALWAYS AS IDENTITY,
    attendance_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    actor text NOT NULL CHECK (actor <> ''),
    at timestamptz NOT NULL,
    type text NOT NULL CHECK (type IN
        ('data_entry_error', 'biometric_revalidation', 'system_override', 'policy_exception',
         'duplicate_entry_removal', 'time_synchronization_fix', 'device_malfunction_correction',
         'attendance_appeal_approved')),
    reason text NOT NULL CHECK (char_length(reason) >= 10),
    original jsonb NOT NULL,
    corrected jsonb NOT NULL CHECK (corrected <> '{}'),
    UNIQUE (id, tenant_id),
    FOREIGN KEY (attendance_id, tenant_id) REFERENCES attendance (id, tenant_id)
);
CREATE INDEX corrections_of_attendance ON corrections (attendance_id, position);

CREATE TABLE correction_reverts (
    id uuid PRIMARY KEY,
    correction_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    actor text NOT NULL CHECK (actor <> ''),
    at timestamptz NOT NULL,
    reason text NOT NULL CHECK (reason <> ''),
    CONSTRAINT correction_reverts_once UNIQUE (correction_id),
    FOREIGN KEY (correction_id, tenant_id) REFERENCES corrections (id, tenant_id)
);

CREATE TABLE attendance_refusals (
    id uuid PRIMARY KEY,
    position bigint GENERATED ALWAYS AS IDENTITY,
    attendance_id uuid,
    tenant_id uuid NOT NULL REFERENCES tenants,
    actor text NOT NULL CHECK (actor <> ''),
    at timestamptz NOT NULL,
    action text NOT NULL,
    code text NOT NULL,
    detail text NOT NULL,
    FOREIGN KEY (attendance_id, tenant_id) REFERENCES attendance (id, tenant_id)
);
CREATE INDEX attendance_refusals_of_tenant ON attendance_refusals (tenant_id, position);
"""

BESIDE = """
CREATE TABLE idempotency_keys (
    tenant_id uuid NOT NULL REFERENCES tenants,
    key text NOT NULL CHECK (key <> ''),
    digest text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
    status integer NOT NULL,
    answer jsonb NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, key)
);

CREATE TABLE drift_alarms (
    tenant_id uuid NOT NULL REFERENCES tenants,
    device text NOT NULL,
    hour timestamptz NOT NULL,
    incident_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, device, hour)
);

CREATE TABLE metrics (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- no reference: a row about a tenant that has gone must not keep its whole batch from being written
    tenant_id uuid,
    at timestamptz NOT NULL,
    kind text NOT NULL CHECK (kind IN ('request', 'clock_drift', 'verification_mismatch')),
    endpoint text,
    status integer,
    outcome text,
    value double precision NOT NULL
);
CREATE INDEX metrics_of_tenant ON metrics (tenant_id, kind, at);
CREATE INDEX metrics_by_time ON metrics (kind, at);
"""

APPEND_ONLY = ("attendance", "attendance_history", "corrections", "correction_reverts", "attendance_refusals")
TENANT_OWNED = (
    "tenant_settings",
    "class_sessions",
    "shifts",
    *APPEND_ONLY,
    "idempotency_keys",
    "drift_alarms",
    "metrics",
)

# A function of its own: the other history has one, in what may be another database.
REFUSE = """
CREATE FUNCTION smartattend_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation', HINT = 'Append a correction or a change of state.';
END $$;
"""

# As for incidents: ALWAYS, because a session can call itself a replica; per statement and per row, because logical
# replication fires the latter only.
KEEP = """
CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION smartattend_keep();
CREATE TRIGGER {table}_append_only_rows BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION smartattend_keep();
CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION smartattend_keep();
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

# SELECT … FOR UPDATE asks for the right to update; the trigger refuses the update itself.
GRANTS = """
GRANT SELECT ON tenant_settings, class_sessions, shifts TO smartattend_app;
GRANT SELECT, INSERT ON attendance, attendance_history, corrections, correction_reverts, attendance_refusals,
    idempotency_keys, drift_alarms, metrics TO smartattend_app;
GRANT UPDATE (id) ON attendance TO smartattend_app;
"""


def upgrade() -> None:
    """Apply."""
    for statements in (ROSTERS, RECORDS, BESIDE, REFUSE):
        op.execute(statements)
    for table in APPEND_ONLY:
        op.execute(KEEP.format(table=table))
    for table in TENANT_OWNED:
        op.execute(POLICIES_ON.format(table=table))
    op.execute(GRANTS)


def downgrade() -> None:
    """Refuse: what may only be appended may not be dropped either."""
    raise NotImplementedError("there is no way back from attendance; restore a backup")
