"""API keys, and accounts of services, which have no email address.

The version before can still serve: its accounts are those of persons, and it finds no service account by an address.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

KIND = (
    "(kind = 'person' AND email IS NOT NULL AND email_key IS NOT NULL) OR (kind = 'service' AND email IS NULL "
    "AND email_key IS NULL AND password_hash IS NULL)"
)


def upgrade() -> None:
    """Apply the migration. It can be run again if it was interrupted."""
    op.execute("ALTER TABLE users ADD COLUMN IF NOT EXISTS kind text NOT NULL DEFAULT 'person'")
    op.execute("ALTER TABLE users ALTER email DROP NOT NULL, ALTER email_key DROP NOT NULL")
    op.execute("ALTER TABLE users DROP CONSTRAINT IF EXISTS ck_users_kind")
    op.execute(f"ALTER TABLE users ADD CONSTRAINT ck_users_kind CHECK ({KIND}) NOT VALID")
    # Accounts are read and written while the rows that are there already are checked.
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE users VALIDATE CONSTRAINT ck_users_kind")
    op.create_table(
        "api_keys",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("permissions", sa.ARRAY(sa.Text())),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Uuid()),
        sa.Column("last_used_at", sa.DateTime(timezone=True)),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("warned_at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_api_keys_user_id_users"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "id", name=op.f("pk_api_keys")),
    )
    op.create_index(op.f("ix_api_keys_expires_at"), "api_keys", ["expires_at"])
    op.create_index("ix_api_keys_unwarned", "api_keys", ["expires_at"], postgresql_where=sa.text("warned_at IS NULL"))


def downgrade() -> None:
    """Revert the migration. Service accounts are deleted: the version before has no accounts without an address."""
    op.drop_table("api_keys")
    op.execute("DELETE FROM users WHERE kind = 'service'")
    op.execute("ALTER TABLE users DROP CONSTRAINT ck_users_kind")
    op.execute("ALTER TABLE users ALTER email SET NOT NULL, ALTER email_key SET NOT NULL")
    op.drop_column("users", "kind")
