"""The rows of imported accounts: stored with their roles and events by one statement."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from authapp import clock
from authapp.context import RequestContext
from authapp.database.session import db
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.imports.accounts import ImportedAccount
from authapp.models import AuditEvent, ForeignHashMark
from authapp.security import identifiers

# An id may be that of an account which was deleted: sessions of it that are still to be pruned are over.
# All accounts of a batch are one parameter: with one for each value, the client took twice as long.
_INSERT = text(
    """
    WITH given AS (
        SELECT * FROM jsonb_to_recordset(:accounts) AS account(
            id uuid, event_id uuid, username text, username_key text, email text, email_key text,
            email_verified_at timestamptz, password_hash text, status text, created_at timestamptz, roles jsonb)
    ), stored AS (
        INSERT INTO users (id, username, username_key, email, email_key, email_verified_at, first_verified_at,
            password_hash, status, sessions_valid_from, created_at, updated_at, imported_at)
        SELECT id, username, username_key, email, email_key, email_verified_at, email_verified_at,
            password_hash, status, clock_timestamp(), created_at, :now, :now FROM given
    ), granted AS (
        SELECT id AS user_id, role.name, role.event_id
        FROM given, jsonb_to_recordset(given.roles) AS role(name text, event_id uuid)
    ), roles AS (
        INSERT INTO user_roles (user_id, role_name) SELECT user_id, name FROM granted
    ), events AS (
        SELECT event_id, :imported AS type, id AS subject_id, '{}'::jsonb AS details FROM given
        UNION ALL SELECT event_id, :role_granted, user_id, jsonb_build_object('role', name) FROM granted
    )
    INSERT INTO audit_events (occurred_at, id, type, actor_id, subject_id, user_agent, details)
    SELECT :now, event_id, type, :actor_id, subject_id, :user_agent, details FROM events
    """
).bindparams(
    bindparam("accounts", type_=JSONB),
    bindparam("now", type_=AuditEvent.occurred_at.type),
    bindparam("actor_id", type_=Uuid),
    bindparam("imported", EventType.USER_IMPORTED),
    bindparam("role_granted", EventType.ROLE_GRANTED),
)


def insert_accounts(accounts: Sequence[ImportedAccount], context: RequestContext) -> None:
    """Store the accounts with their roles and events.

    Raises ``sqlalchemy.exc.IntegrityError`` if the id, address or username of one is taken.
    """
    now = clock.now()
    parameters = {"actor_id": context.actor_id, "user_agent": context.truncated_user_agent, "now": now}
    if any(account.password_hash for account in accounts):
        db.session.execute(ForeignHashMark.set_statement())
    db.session.execute(_INSERT, {"accounts": [_row(account, now) for account in accounts], **parameters})
    audit.count(EventType.USER_IMPORTED, len(accounts))
    audit.count(EventType.ROLE_GRANTED, sum(len(account.roles) for account in accounts))


def _row(account: ImportedAccount, now: datetime) -> dict[str, Any]:
    return {
        "id": str(account.id),
        "event_id": str(identifiers.time_ordered()),
        "username": account.username,
        "username_key": account.username_key,
        "email": account.email,
        "email_key": account.email_key,
        "email_verified_at": now.isoformat() if account.email_verified else None,
        "password_hash": account.password_hash,
        "status": account.status,
        "created_at": account.created_at.isoformat(),
        "roles": [{"name": role, "event_id": str(identifiers.time_ordered())} for role in account.roles],
    }
