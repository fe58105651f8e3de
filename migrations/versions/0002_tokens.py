"""Tokens: the reason why a session ended, and roles for services that introspect tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

REASONS = "'logout', 'revoked', 'refresh_token_reused', 'password_changed', 'disabled'"


def upgrade() -> None:
    """Apply the migration."""
    op.add_column("sessions", sa.Column("end_reason", sa.Text()))
    op.create_check_constraint(op.f("ck_sessions_end_reason"), "sessions", f"end_reason IN ({REASONS})")
    op.create_table(
        "roles",
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("permissions", sa.ARRAY(sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_roles")),
    )
    op.create_table(
        "user_roles",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("role_name", sa.Text(collation="C"), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_user_roles_user_id_users"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["role_name"],
            ["roles.name"],
            name=op.f("fk_user_roles_role_name_roles"),
            ondelete="CASCADE",
            onupdate="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "role_name", name=op.f("pk_user_roles")),
    )
    op.create_index(op.f("ix_user_roles_role_name"), "user_roles", ["role_name"])
    # As text: SQLAlchemy prints an empty array without its type, and PostgreSQL refuses that (flask db upgrade --sql).
    op.execute("INSERT INTO roles (name, description, permissions) VALUES ('admin', 'Holds every permission.', '{}')")


def downgrade() -> None:
    """Revert the migration."""
    op.drop_table("user_roles")
    op.drop_table("roles")
    op.drop_constraint(op.f("ck_sessions_end_reason"), "sessions")
    op.drop_column("sessions", "end_reason")
