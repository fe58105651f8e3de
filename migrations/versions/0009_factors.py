"""Second factors: TOTP, recovery codes, and logins that wait for one. It only adds tables."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the migration."""
    op.create_table(
        "totp_factors",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.Text(collation="C"), nullable=False),
        sa.Column("last_step", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        _users("totp_factors"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_totp_factors")),
    )
    op.create_index(op.f("ix_totp_factors_key_id_user_id"), "totp_factors", ["key_id", "user_id"])
    op.create_index(
        op.f("ix_totp_factors_created_at"),
        "totp_factors",
        ["created_at"],
        postgresql_where=sa.text("confirmed_at IS NULL"),
    )
    op.create_table(
        "recovery_codes",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        _users("recovery_codes"),
        sa.PrimaryKeyConstraint("user_id", "code_hash", name=op.f("pk_recovery_codes")),
    )
    op.create_table(
        "pending_logins",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("amr", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("factor", sa.Text(), nullable=True),
        sa.Column("account_version", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failures", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        _users("pending_logins"),
        sa.PrimaryKeyConstraint("user_id", "token_hash", name=op.f("pk_pending_logins")),
    )
    op.create_index(op.f("ix_pending_logins_expires_at"), "pending_logins", ["expires_at"])


def downgrade() -> None:
    """Revert the migration. Accounts with a second factor can then log in without it."""
    op.drop_table("pending_logins")
    op.drop_table("recovery_codes")
    op.drop_table("totp_factors")


def _users(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_user_id_users")
    return sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=name, ondelete="CASCADE")
