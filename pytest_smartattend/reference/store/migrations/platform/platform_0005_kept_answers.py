"""The answer that was kept under a key, bound to its tenant and read in one statement."""

from __future__ import annotations

from alembic import op

revision = "platform_0005"
down_revision = "platform_0004"
branch_labels = None
depends_on = None

# Of many who ask again with one key each asks here first, and none begins a transaction; as account_within.
ANSWER = """
CREATE FUNCTION answer_within(tenant uuid, asked text) RETURNS SETOF idempotency_keys LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('app.tenant_id', tenant::text, true), set_config('app.superadmin', 'off', true),
        set_config('app.login_email', '', true);
    RETURN QUERY SELECT * FROM idempotency_keys WHERE tenant_id = tenant AND key = asked;
END $$;
"""


def upgrade() -> None:
    """Apply."""
    op.execute(ANSWER)


def downgrade() -> None:
    """Take the function back."""
    op.execute("DROP FUNCTION answer_within")
