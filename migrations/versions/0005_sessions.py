"""Sessions of an account: found by their last use, limited in number, ended for any reason, gone with the account.

Version 0.1 and the version before can serve meanwhile: they write no row that this one refuses.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INDEX = "ix_sessions_user_id_last_used_at_id"


def upgrade() -> None:
    """Apply the migration. It can be run again if it was interrupted."""
    op.execute("ALTER TABLE sessions DROP CONSTRAINT IF EXISTS ck_sessions_end_reason")
    _drop_foreign_key("sessions")
    # An index that is built concurrently stops nobody who writes meanwhile.
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {INDEX}")
        op.create_index(
            op.f(INDEX),
            "sessions",
            ["user_id", "last_used_at", "id"],
            postgresql_where=sa.text("coalesce(ended_at, 'infinity') = 'infinity'"),
            postgresql_concurrently=True,
        )
    _drop_foreign_key("token_blocklist")


def downgrade() -> None:
    """Revert the migration. What accounts that were deleted have left is removed."""
    op.drop_index(op.f(INDEX), table_name="sessions")
    for table in ("sessions", "token_blocklist"):
        owned = f"EXISTS (SELECT FROM users WHERE users.id = {table}.user_id)"
        op.execute(f"DELETE FROM {table} WHERE NOT {owned}")  # noqa: S608 - of constants of this function
        op.create_foreign_key(
            op.f(f"fk_{table}_user_id_users"), table, "users", ["user_id"], ["id"], ondelete="CASCADE"
        )
    reasons = "end_reason IN ('logout', 'revoked', 'refresh_token_reused', 'password_changed', 'disabled')"
    op.execute(f"UPDATE sessions SET end_reason = 'revoked' WHERE NOT {reasons}")  # noqa: S608 - of constants of this function
    op.create_check_constraint(op.f("ck_sessions_end_reason"), "sessions", reasons)


def _drop_foreign_key(table: str) -> None:
    """It locks ``users`` as well, so that each table has a transaction of its own."""
    op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS fk_{table}_user_id_users")
