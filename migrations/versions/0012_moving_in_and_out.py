"""Marks of imports and foreign hashes, with indexes, and the function that empties the trail of an erased account."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

INDEX = "ix_users_foreign_hash"
UNVERIFIED = "ix_users_created_at"
FOREIGN_HASH = "NOT starts_with(password_hash, '$argon2id$')"

MARK = """
INSERT INTO foreign_hash_marks
SELECT 1, now() WHERE EXISTS (SELECT FROM users WHERE NOT starts_with(password_hash, '$argon2id$'))
"""

APPEND_ONLY = """
CREATE OR REPLACE FUNCTION audit_events_are_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('authapp.pruning', true) = 'on' THEN
        RETURN OLD;
    END IF;/* erasing */
    RAISE EXCEPTION 'audit events are append-only: `flask audit prune` removes old ones'
        USING ERRCODE = 'insufficient_privilege';
END
$$
"""

# It lets an erasure empty what tells of a person, and change nothing else.
ERASING = """
    IF TG_OP = 'UPDATE' THEN
        IF current_setting('authapp.erasing', true) = 'on'
            AND NEW.ip_address IS NULL AND NEW.user_agent IS NULL AND NEW.details IN (OLD.details, '{}')
            AND (NEW.occurred_at, NEW.id, NEW.type, NEW.actor_id, NEW.subject_id, NEW.session_id, NEW.request_id)
            IS NOT DISTINCT FROM
            (OLD.occurred_at, OLD.id, OLD.type, OLD.actor_id, OLD.subject_id, OLD.session_id, OLD.request_id)
        THEN
            RETURN NEW;
        END IF;
    END IF;"""

# It walks the two indexes of an account's events by the key, so that a batch reads only what it changes. What was done
# to somebody else stays known: of such an event only the client of the erased account goes.
ERASE = """
CREATE FUNCTION erase_audit_events(erased uuid, after_time timestamptz, after_id uuid, batch integer)
RETURNS TABLE (last_time timestamptz, last_id uuid) LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM set_config('authapp.erasing', 'on', true);
    RETURN QUERY WITH page AS (
        (SELECT occurred_at, id FROM audit_events
         WHERE subject_id = erased AND (occurred_at, id) > (after_time, after_id)
         ORDER BY occurred_at, id LIMIT batch)
        UNION ALL
        (SELECT occurred_at, id FROM audit_events
         WHERE actor_id = erased AND actor_id IS DISTINCT FROM subject_id AND actor_id IS NOT NULL
         AND (occurred_at, id) > (after_time, after_id)
         ORDER BY occurred_at, id LIMIT batch)
        ORDER BY occurred_at, id LIMIT batch
    ), emptied AS (
        UPDATE audit_events SET ip_address = NULL, user_agent = NULL,
            details = CASE WHEN subject_id = erased THEN '{}' ELSE details END
        FROM page WHERE (audit_events.occurred_at, audit_events.id) = (page.occurred_at, page.id)
        RETURNING page.occurred_at, page.id
    )
    SELECT occurred_at, id FROM emptied ORDER BY occurred_at DESC, id DESC LIMIT 1;
    PERFORM set_config('authapp.erasing', 'off', true);
END
$$
"""

# As the function runs with the rights of the owner, nobody else may put a table of that name before it.
SEARCH_PATH = """
DO $$ BEGIN EXECUTE
    'ALTER FUNCTION erase_audit_events(uuid, timestamptz, uuid, integer) SET search_path = pg_catalog, '
    || quote_ident(current_schema()) || ', pg_temp';
END $$
"""


def upgrade() -> None:
    """Apply the migration. It can be run again if it was interrupted."""
    op.execute(APPEND_ONLY.replace("/* erasing */", ERASING))
    op.execute("DROP FUNCTION IF EXISTS erase_audit_events(uuid, timestamptz, uuid, integer)")
    op.execute(sa.text(ERASE))
    op.execute(SEARCH_PATH)
    op.execute("REVOKE ALL ON FUNCTION erase_audit_events(uuid, timestamptz, uuid, integer) FROM PUBLIC")
    op.execute("ALTER TABLE users ADD COLUMN IF NOT EXISTS imported_at timestamptz")
    # An index that is built concurrently stops nobody who writes meanwhile.
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {INDEX}")
        op.create_index(
            op.f(INDEX), "users", ["id"], postgresql_where=sa.text(FOREIGN_HASH), postgresql_concurrently=True
        )
        _index_unverified("first_verified_at IS NULL AND imported_at IS NULL")
    op.create_table(
        "foreign_hash_marks",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("marked_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_foreign_hash_marks_only_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_foreign_hash_marks")),
    )
    op.execute(MARK)


def downgrade() -> None:
    """Revert the migration."""
    op.drop_table("foreign_hash_marks")
    with op.get_context().autocommit_block():
        _index_unverified("first_verified_at IS NULL")
    op.drop_column("users", "imported_at")
    op.drop_index(op.f(INDEX), table_name="users")
    op.execute("DROP FUNCTION erase_audit_events(uuid, timestamptz, uuid, integer)")
    op.execute(APPEND_ONLY.replace("/* erasing */", ""))


def _index_unverified(condition: str) -> None:
    op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {UNVERIFIED}")
    op.create_index(
        op.f(UNVERIFIED), "users", ["created_at"], postgresql_where=sa.text(condition), postgresql_concurrently=True
    )
