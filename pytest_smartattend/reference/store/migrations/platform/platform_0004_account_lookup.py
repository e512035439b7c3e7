"""The account that a token names, bound to the token's scope and read in one statement."""

from __future__ import annotations

from alembic import op

revision = "platform_0004"
down_revision = "platform_0003"
branch_labels = None
depends_on = None

# Every request asks for one; as a transaction with its own BEGIN and COMMIT that took three round trips. As the caller's
# role, so that the policies of users hold; the settings are gone with the transaction, which is this statement.
ACCOUNT = """
CREATE FUNCTION account_within(account uuid, tenant text, superadmin text) RETURNS SETOF users LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('app.tenant_id', tenant, true), set_config('app.superadmin', superadmin, true),
        set_config('app.login_email', '', true);
    RETURN QUERY SELECT * FROM users WHERE id = account;
END $$;
"""


def upgrade() -> None:
    """Apply."""
    op.execute(ACCOUNT)


def downgrade() -> None:
    """Take the function back."""
    op.execute("DROP FUNCTION account_within")
