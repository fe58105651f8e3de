"""Seams: how and when a session was authenticated, the mark that ends sessions, one-time tokens, the outbox.

It only adds tables and columns, so that version 0.1 can still serve: columns that it does not write are nullable or
have a default.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the migration. It can be run again if it was interrupted."""
    op.execute("ALTER TABLE sessions ADD COLUMN IF NOT EXISTS amr text[] NOT NULL DEFAULT '{pwd}'")
    op.execute("ALTER TABLE sessions ADD COLUMN IF NOT EXISTS auth_time timestamptz")
    op.execute("ALTER TABLE sessions ADD COLUMN IF NOT EXISTS valid_from timestamptz")
    # It commits: with two tables locked, a request that uses them the other way round would be a deadlock.
    with op.get_context().autocommit_block():
        pass
    op.alter_column("users", "password_hash", existing_type=sa.Text(), nullable=True)
    op.add_column("users", sa.Column("email_verified_at", sa.DateTime(timezone=True)))
    op.add_column(
        "users",
        sa.Column("sessions_valid_from", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("'epoch'")),
    )
    op.create_table(
        "one_time_tokens",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(collation="C"), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("address_key", sa.Text(collation="C"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_one_time_tokens_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "purpose", "token_hash", name=op.f("pk_one_time_tokens")),
    )
    op.create_index(op.f("ix_one_time_tokens_expires_at"), "one_time_tokens", ["expires_at"])
    op.create_table(
        "outgoing_mail",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(collation="C"), nullable=False),
        sa.Column("user_id", sa.Uuid()),
        sa.Column("address", sa.Text()),
        sa.Column("challenge_hash", sa.LargeBinary()),
        sa.Column("context", postgresql.JSONB(), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True)),
        sa.Column("last_error", sa.Text()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outgoing_mail")),
    )
    op.create_index(op.f("ix_outgoing_mail_next_attempt_at"), "outgoing_mail", ["next_attempt_at"])


def downgrade() -> None:
    """Revert the migration. Accounts without a password must get one or be deleted first."""
    # Version 0.1 does not know the mark. A session that only the mark has ended must not become live again.
    op.execute(
        "UPDATE sessions SET ended_at = now(), end_reason = 'revoked' FROM users"
        " WHERE users.id = sessions.user_id AND sessions.ended_at IS NULL"
        " AND coalesce(sessions.valid_from, sessions.created_at) < users.sessions_valid_from"
    )
    op.drop_table("outgoing_mail")
    op.drop_table("one_time_tokens")
    op.drop_column("sessions", "valid_from")
    op.drop_column("sessions", "auth_time")
    op.drop_column("sessions", "amr")
    op.drop_column("users", "sessions_valid_from")
    op.drop_column("users", "email_verified_at")
    op.alter_column("users", "password_hash", existing_type=sa.Text(), nullable=False)
