"""Failures and accounts that pruning keeps are looked at again later; passkeys lose a column that nothing reads.

The version before can still serve: PostgreSQL fills the new columns for it. Its own pruning has no index meanwhile, and
reads the whole table. No released version has passkeys.
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


UNVERIFIED = "first_verified_at IS NULL AND imported_at IS NULL"


def upgrade() -> None:
    """Apply the migration. It can be run again if it was interrupted."""
    op.execute(
        "ALTER TABLE login_throttles ADD COLUMN IF NOT EXISTS prune_after timestamptz NOT NULL"
        " DEFAULT now() + interval '30 days'"
    )
    _replace_index("login_throttles", "last_attempt_at", "prune_after")
    op.execute("ALTER TABLE users ADD COLUMN IF NOT EXISTS prune_checked_at timestamptz NOT NULL DEFAULT now()")
    _replace_index("users", "created_at", "prune_checked_at", UNVERIFIED)
    op.execute("ALTER TABLE passkeys DROP COLUMN IF EXISTS user_verified")


def downgrade() -> None:
    """Revert the migration. It can be run again if it was interrupted."""
    op.execute("ALTER TABLE passkeys ADD COLUMN IF NOT EXISTS user_verified boolean NOT NULL DEFAULT true")
    op.execute("ALTER TABLE passkeys ALTER user_verified DROP DEFAULT")
    _replace_index("users", "prune_checked_at", "created_at", UNVERIFIED)
    _replace_index("login_throttles", "prune_after", "last_attempt_at")
    op.execute("ALTER TABLE users DROP COLUMN IF EXISTS prune_checked_at")
    op.execute("ALTER TABLE login_throttles DROP COLUMN IF EXISTS prune_after")


def _replace_index(table: str, old: str, new: str, condition: str = "") -> None:
    """It commits what was done before, so that no transaction locks two tables."""
    where = f" WHERE {condition}" if condition else ""
    # An index that is built concurrently stops nobody who writes meanwhile.
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS ix_{table}_{new}")
        op.execute(f"CREATE INDEX CONCURRENTLY ix_{table}_{new} ON {table} ({new}){where}")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS ix_{table}_{old}")
