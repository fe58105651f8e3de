"""Email: addresses that a user has asked for or had before, logins with a code from a mail, and details of mails.

It only adds columns and indexes, so that the version before can still serve.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_one_time_tokens_challenge_hash": ("one_time_tokens", "challenge_hash", "challenge_hash IS NOT NULL"),
    "ix_users_created_at": ("users", "created_at", "first_verified_at IS NULL"),
}


def upgrade() -> None:
    """Apply the migration. It can be run again if it was interrupted."""
    op.execute("ALTER TABLE users ADD COLUMN IF NOT EXISTS first_verified_at timestamptz")
    op.execute("ALTER TABLE users ADD COLUMN IF NOT EXISTS pending_email text")
    op.execute("ALTER TABLE users ADD COLUMN IF NOT EXISTS pending_email_until timestamptz")
    op.execute("ALTER TABLE users ADD COLUMN IF NOT EXISTS previous_emails jsonb")
    _create_index("ix_users_created_at")
    op.execute("ALTER TABLE one_time_tokens ADD COLUMN IF NOT EXISTS challenge_hash bytea")
    op.execute("ALTER TABLE one_time_tokens ADD COLUMN IF NOT EXISTS code_hash bytea")
    op.execute("ALTER TABLE one_time_tokens ADD COLUMN IF NOT EXISTS failures smallint NOT NULL DEFAULT 0")
    op.execute("ALTER TABLE one_time_tokens ADD COLUMN IF NOT EXISTS mail_id uuid")
    _create_index("ix_one_time_tokens_challenge_hash")
    op.execute("ALTER TABLE outgoing_mail ADD COLUMN IF NOT EXISTS details jsonb NOT NULL DEFAULT '{}'")


def downgrade() -> None:
    """Revert the migration."""
    for name, (table, _, _) in INDEXES.items():
        op.drop_index(op.f(name), table_name=table)
    op.drop_column("outgoing_mail", "details")
    for column in ("mail_id", "failures", "code_hash", "challenge_hash"):
        op.drop_column("one_time_tokens", column)
    for column in ("previous_emails", "pending_email_until", "pending_email", "first_verified_at"):
        op.drop_column("users", column)


def _create_index(name: str) -> None:
    """It commits what was done before, so that no transaction locks two tables."""
    table, column, condition = INDEXES[name]
    where = sa.text(condition)
    # An index that is built concurrently stops nobody who writes meanwhile.
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        op.create_index(op.f(name), table, [column], postgresql_where=where, postgresql_concurrently=True)
