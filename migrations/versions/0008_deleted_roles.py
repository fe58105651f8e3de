"""Roles are marked as deleted, so that this takes one write however many hold them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the migration."""
    op.add_column("roles", sa.Column("deleted_at", sa.DateTime(timezone=True)))
    deleted = sa.text("deleted_at IS NOT NULL")
    op.create_index(op.f("ix_roles_deleted_at"), "roles", ["deleted_at"], postgresql_where=deleted)


def downgrade() -> None:
    """Revert the migration. Roles that are marked go now, with the rows of those who had them."""
    op.execute("DELETE FROM roles WHERE deleted_at IS NOT NULL")
    op.drop_index(op.f("ix_roles_deleted_at"), table_name="roles")
    op.drop_column("roles", "deleted_at")
