"""Failures that are kept are looked at again after a month; passkeys lose a column that nothing reads.

The version before can still serve: PostgreSQL fills the new column for it. Its own pruning has no index meanwhile, and
reads the whole table. No released version has passkeys.
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the migration. It can be run again if it was interrupted."""
    op.execute(
        "ALTER TABLE login_throttles ADD COLUMN IF NOT EXISTS prune_after timestamptz NOT NULL"
        " DEFAULT now() + interval '30 days'"
    )
    op.execute("ALTER TABLE passkeys DROP COLUMN IF EXISTS user_verified")
    _replace_index("last_attempt_at", "prune_after")


def downgrade() -> None:
    """Revert the migration. It can be run again if it was interrupted."""
    op.execute("ALTER TABLE passkeys ADD COLUMN IF NOT EXISTS user_verified boolean NOT NULL DEFAULT true")
    op.execute("ALTER TABLE passkeys ALTER user_verified DROP DEFAULT")
    _replace_index("prune_after", "last_attempt_at")
    op.execute("ALTER TABLE login_throttles DROP COLUMN IF EXISTS prune_after")


def _replace_index(old: str, new: str) -> None:
    # An index that is built concurrently stops nobody who writes meanwhile.
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS ix_login_throttles_{new}")
        op.create_index(op.f(f"ix_login_throttles_{new}"), "login_throttles", [new], postgresql_concurrently=True)
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS ix_login_throttles_{old}")
