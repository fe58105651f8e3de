"""Access: the audit trail, and the counters of the limits on abuse."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

GUARD = """
CREATE FUNCTION audit_events_are_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('authapp.pruning', true) = 'on' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'audit events are append-only: `flask audit prune` removes old ones'
        USING ERRCODE = 'insufficient_privilege';
END
$$
"""


def upgrade() -> None:
    """Apply the migration."""
    op.create_table(
        "audit_events",
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(collation="C"), nullable=False),
        sa.Column("actor_id", sa.Uuid()),
        sa.Column("subject_id", sa.Uuid()),
        sa.Column("session_id", sa.Uuid()),
        sa.Column("ip_address", sa.Text()),
        sa.Column("user_agent", sa.Text()),
        sa.Column("request_id", sa.Text()),
        sa.Column("details", postgresql.JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("occurred_at", "id", name=op.f("pk_audit_events")),
    )
    op.create_index(
        op.f("ix_audit_events_subject_id_occurred_at_id"), "audit_events", ["subject_id", "occurred_at", "id"]
    )
    op.create_index(
        op.f("ix_audit_events_subject_id_type_occurred_at_id"),
        "audit_events",
        ["subject_id", "type", "occurred_at", "id"],
    )
    op.create_index(op.f("ix_audit_events_type_occurred_at_id"), "audit_events", ["type", "occurred_at", "id"])
    to_others = sa.text("actor_id IS DISTINCT FROM subject_id AND actor_id IS NOT NULL")
    op.create_index(
        op.f("ix_audit_events_actor_id_occurred_at_id"),
        "audit_events",
        ["actor_id", "occurred_at", "id"],
        postgresql_where=to_others,
    )
    op.create_index(
        op.f("ix_audit_events_actor_id_type_occurred_at_id"),
        "audit_events",
        ["actor_id", "type", "occurred_at", "id"],
        postgresql_where=to_others,
    )
    op.execute(GUARD)
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_events "
        "FOR EACH ROW EXECUTE FUNCTION audit_events_are_append_only()"
    )
    op.execute(
        "CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON audit_events "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_events_are_append_only()"
    )
    op.create_table(
        "login_throttles",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(collation="C"), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("blocked_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("account_id", "purpose", name=op.f("pk_login_throttles")),
    )
    op.create_index(op.f("ix_login_throttles_last_attempt_at"), "login_throttles", ["last_attempt_at"])
    op.create_table(
        "address_limits",
        sa.Column("address", sa.Text(collation="C"), nullable=False),
        sa.Column("limit_name", sa.Text(collation="C"), nullable=False),
        sa.Column("arrival_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("address", "limit_name", name=op.f("pk_address_limits")),
        prefixes=["UNLOGGED"],
    )
    op.create_index(op.f("ix_address_limits_arrival_at"), "address_limits", ["arrival_at"])
    op.create_index(op.f("ix_users_status_id"), "users", ["status", "id"])
    op.create_index(op.f("ix_user_roles_role_name_user_id"), "user_roles", ["role_name", "user_id"])
    op.drop_index(op.f("ix_user_roles_role_name"), table_name="user_roles")


def downgrade() -> None:
    """Revert the migration."""
    op.create_index(op.f("ix_user_roles_role_name"), "user_roles", ["role_name"])
    op.drop_index(op.f("ix_user_roles_role_name_user_id"), table_name="user_roles")
    op.drop_index(op.f("ix_users_status_id"), table_name="users")
    op.drop_table("address_limits")
    op.drop_table("login_throttles")
    op.drop_table("audit_events")
    op.execute("DROP FUNCTION audit_events_are_append_only()")
