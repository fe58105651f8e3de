"""Sessions of an account: found by their last use, limited in number, and gone with the account in one step.

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
    _set_reasons("logout", "revoked", "refresh_token_reused", "password_changed", "disabled", "session_limit")
    for table in ("sessions", "token_blocklist"):
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS fk_{table}_user_id_users")
    # What reads every row of the table stops nobody who writes to it meanwhile.
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE sessions VALIDATE CONSTRAINT ck_sessions_end_reason")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {INDEX}")
        op.create_index(
            op.f(INDEX),
            "sessions",
            ["user_id", "last_used_at", "id"],
            postgresql_where=sa.text("coalesce(ended_at, 'infinity') = 'infinity'"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    """Revert the migration. What accounts that were deleted have left is removed."""
    op.drop_index(op.f(INDEX), table_name="sessions")
    for table in ("sessions", "token_blocklist"):
        owned = f"EXISTS (SELECT FROM users WHERE users.id = {table}.user_id)"
        op.execute(f"DELETE FROM {table} WHERE NOT {owned}")  # noqa: S608 - the names stand above
        op.create_foreign_key(
            op.f(f"fk_{table}_user_id_users"), table, "users", ["user_id"], ["id"], ondelete="CASCADE"
        )
    op.execute("UPDATE sessions SET end_reason = 'revoked' WHERE end_reason = 'session_limit'")
    _set_reasons("logout", "revoked", "refresh_token_reused", "password_changed", "disabled")
    op.execute("ALTER TABLE sessions VALIDATE CONSTRAINT ck_sessions_end_reason")


def _set_reasons(*reasons: str) -> None:
    listed = ", ".join(f"'{reason}'" for reason in reasons)
    op.execute("ALTER TABLE sessions DROP CONSTRAINT IF EXISTS ck_sessions_end_reason")
    op.execute(f"ALTER TABLE sessions ADD CONSTRAINT ck_sessions_end_reason CHECK (end_reason IN ({listed})) NOT VALID")
