"""The addresses that a change of address replaced, and that a link in a mail to them can restore.

It only adds a column, so that the version before can still serve.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the migration. It can be run again if it was interrupted."""
    op.execute("ALTER TABLE users ADD COLUMN IF NOT EXISTS previous_emails jsonb")


def downgrade() -> None:
    """Revert the migration."""
    op.drop_column("users", "previous_emails")
