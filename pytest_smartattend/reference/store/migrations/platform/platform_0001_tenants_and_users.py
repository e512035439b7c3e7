"""Tenants and users, seen only within the tenant that a transaction names."""

from __future__ import annotations

from alembic import op

revision = "platform_0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE tenants (
    id uuid PRIMARY KEY,
    name text NOT NULL CHECK (name <> ''),
    kind text NOT NULL CHECK (kind IN ('school', 'corporate')),
    created_at timestamptz NOT NULL
);

CREATE TABLE users (
    id uuid PRIMARY KEY,
    tenant_id uuid REFERENCES tenants,
    role text NOT NULL CHECK (role IN ('member', 'staff', 'admin', 'superadmin')),
    email text NOT NULL CHECK (email = lower(email) AND email <> ''),
    name text NOT NULL,
    password_hash text,
    created_at timestamptz NOT NULL,
    CONSTRAINT users_only_superadmins_have_no_tenant CHECK ((role = 'superadmin') = (tenant_id IS NULL))
);
CREATE UNIQUE INDEX users_email ON users (email);
CREATE INDEX users_tenant ON users (tenant_id);
"""

# A setting that was made for one transaction reads as '' in later ones of the same session, hence nullif.
# Who logs in has no tenant yet: that transaction names the email and sees that one row.
POLICIES = """
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE users ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY tenants_own ON tenants
    USING (id = nullif(current_setting('app.tenant_id', true), '')::uuid);
CREATE POLICY tenants_superadmin ON tenants
    USING (current_setting('app.superadmin', true) = 'on');

CREATE POLICY users_own ON users
    USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
CREATE POLICY users_superadmin ON users
    USING (current_setting('app.superadmin', true) = 'on');
CREATE POLICY users_login ON users FOR SELECT
    USING (email = nullif(current_setting('app.login_email', true), ''));
"""

GRANTS = "GRANT SELECT ON tenants, users TO smartattend_app;"


def upgrade() -> None:
    """Apply."""
    for statements in (TABLES, POLICIES, GRANTS):
        op.execute(statements)


def downgrade() -> None:
    """Refuse: what people entered would be gone."""
    raise NotImplementedError("there is no way back from the first revision; restore a backup")
