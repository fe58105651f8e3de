"""Ending sessions and revoking tokens (RFC 7009). Only this module writes to the blocklist.

To end all sessions of a user, one cutoff on the user's row is set: ``sessions_valid_from``. Every protected request
reads it, so it takes effect at once, however many sessions there are. The session rows are then ended too, up to a
limit.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    DateTime,
    Text,
    Uuid,
    bindparam,
    func,
    literal,
    select,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, Insert, insert

from authapp.context import RequestContext
from authapp.database.fast_path import FastPath, PreparedStatement
from authapp.database.session import db
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.pruning import Prunable, prunables
from authapp.models import BlocklistedToken, EndReason, Session, User
from authapp.models.session import server_time, valid_from

_TIME = DateTime(timezone=True)

ENDED_AT_ONCE = 1_000
"""The most session rows that one request ends. Other sessions are ended by the cutoff, and their rows are pruned."""

prunables.register(
    "token_blocklist",
    Prunable(
        "blocklisted_tokens",
        BlocklistedToken.expires_at,
        lambda expired: BlocklistedToken.expires_at < expired,
        after_leeway=True,
    ),
)


@dataclass(frozen=True)
class AccessToken:
    """An access token to revoke: its ``jti`` and its expiry time."""

    jti: UUID
    expires_at: datetime

    def columns(self) -> tuple[ColumnElement[UUID], ColumnElement[datetime]]:
        """Return the ``jti`` and the expiry time as columns of a SELECT."""
        return literal(self.jti, Uuid), literal(self.expires_at, _TIME)


def end_all(
    user_id: UUID,
    reason: EndReason,
    now: datetime,
    *,
    keep: UUID | None = None,
    access_token: AccessToken | None = None,
) -> int:
    """End all live sessions of a user except ``keep``, within the open transaction; return how many rows were ended.

    The refresh tokens of these rows, and ``access_token``, are put on the blocklist. Sessions beyond ``ENDED_AT_ONCE``
    are ended only by the cutoff.
    """
    # The user's row is locked before the sessions, as a login does. A concurrent login either commits first, and its
    # session ends here; or it waits, and its session starts after the cutoff.
    locked = select(User.sessions_valid_from).where(User.id == user_id).with_for_update(key_share=True)
    previous_cutoff = db.session.scalar(locked)
    if previous_cutoff is None:
        return 0
    cutoff = _set_cutoff(user_id)
    live = (Session.user_id == user_id, Session.ended_at.is_(None), valid_from() >= previous_cutoff)
    if keep is not None:
        # Only a live session: one that has ended must not become live again.
        kept = update(Session).where(*live, Session.id == keep).values(valid_from=cutoff)
        db.session.execute(kept.execution_options(synchronize_session=False))
    chosen = select(Session.user_id, Session.id).where(*live)
    if keep is not None:
        chosen = chosen.where(Session.id != keep)
    # The newest first: a row of version 0.1 has its node's time, which may be later than the cutoff.
    newest = chosen.order_by(Session.id.desc()).limit(ENDED_AT_ONCE)
    ended = _ended(tuple_(Session.user_id, Session.id).in_(newest), reason=reason, now=literal(now, _TIME))
    tokens = _blocklisted(ended, literal(now, _TIME), *(access_token.columns() if access_token else ()))
    return len(db.session.execute(select(ended.c.id).add_cte(tokens)).all())


def end_one(user_id: UUID, session_id: UUID, reason: EndReason, now: datetime) -> bool:
    """End one live session within the open transaction; return whether there was one."""
    which = (Session.user_id == user_id, Session.id == session_id, Session.refresh_expires_at > now, _is_after_cutoff())
    ended = _ended(*which, reason=reason, now=literal(now, _TIME))
    tokens = _blocklisted(ended, literal(now, _TIME))
    return db.session.execute(select(ended.c.id).add_cte(tokens)).one_or_none() is not None


def log_out(
    fast_path: FastPath,
    user_id: UUID,
    session_id: UUID,
    access_token: AccessToken,
    now: datetime,
    context: RequestContext,
) -> bool:
    """End one session and record the event, in one statement that commits by itself; return whether it was live.

    The statement is idempotent.
    """
    parameters = {"user_id": user_id, "session_id": session_id, "now": now}
    token = {"jti": access_token.jti, "access_expires_at": access_token.expires_at}
    return fast_path.write(_LOG_OUT, {**parameters, **token, **audit.audit_params(context)}) is not None


def revoke_access_token(user_id: UUID, session_id: UUID, token: AccessToken, now: datetime) -> bool:
    """Put an access token on the blocklist, within the open transaction; return ``False`` if it was already there."""
    # The account may have been deleted meanwhile, together with its sessions. Then there is nothing to revoke.
    session = select(Session.user_id).where(Session.user_id == user_id, Session.id == session_id)
    if db.session.scalar(session.with_for_update(read=True)) is None:
        return False
    jti, expires_at = token.columns()
    row = select(literal(user_id, Uuid), jti, _ACCESS, expires_at, literal(now, _TIME))
    return db.session.scalar(_blocklist(row).returning(BlocklistedToken.jti)) is not None


_ACCESS, _REFRESH = literal("access", Text), literal("refresh", Text)


def _set_cutoff(user_id: UUID) -> Any:
    """Set ``sessions_valid_from`` to now, so that every session that has begun is over; return the new cutoff."""
    # Later than the cutoff before, whatever PostgreSQL's clock says: what began after that one is over, too.
    later = func.greatest(server_time(), User.sessions_valid_from + timedelta(microseconds=1))
    moved = update(User).where(User.id == user_id).values(sessions_valid_from=later)
    return db.session.scalar(moved.returning(User.sessions_valid_from).execution_options(synchronize_session=False))


def _is_after_cutoff() -> ColumnElement[bool]:
    """Return the condition that no cutoff has ended the session, for a statement that reads ``sessions`` alone."""
    cutoff = select(User.sessions_valid_from).where(User.id == Session.user_id).scalar_subquery()
    return valid_from() >= cutoff


def _ended(*which: ColumnElement[bool], reason: EndReason, now: ColumnElement[datetime]) -> CTE:
    """Return the CTE that ends the live sessions that meet the conditions ``which``."""
    return (
        update(Session)
        .where(Session.ended_at.is_(None), *which)
        .values(ended_at=now, end_reason=reason)
        .returning(Session.user_id, Session.id, Session.refresh_jti, Session.refresh_expires_at)
        .cte("ended")
    )


def _blocklisted(ended: CTE, now: ColumnElement[datetime], *access_token: ColumnElement[Any]) -> CTE:
    """Return the CTE that blocklists the refresh tokens of the ended sessions, and an access token.

    ``access_token`` is nothing, or the columns of ``AccessToken``.
    """
    rows: Any = select(ended.c.user_id, ended.c.refresh_jti, _REFRESH, ended.c.refresh_expires_at, now)
    if access_token:
        # Selected from the ended sessions: if there are none, the account may be deleted, with nothing to revoke.
        jti, expires_at = access_token
        rows = union_all(rows, select(ended.c.user_id, jti, _ACCESS, expires_at, now).distinct())
    return _blocklist(rows).cte("blocklisted")


def _blocklist(rows: Any) -> Insert:
    columns = ["user_id", "jti", "token_type", "expires_at", "revoked_at"]
    return insert(BlocklistedToken).from_select(columns, rows).on_conflict_do_nothing()


def _log_out() -> PreparedStatement:
    now: ColumnElement[datetime] = bindparam("now", type_=_TIME)
    access_token = (bindparam("jti", type_=Uuid), bindparam("access_expires_at", type_=_TIME))
    which = (Session.user_id == bindparam("user_id", type_=Uuid), Session.id == bindparam("session_id", type_=Uuid))
    ended = _ended(*which, reason=EndReason.LOGOUT, now=now)
    event = {
        "occurred_at": now,
        "type": literal(EventType.SESSION_ENDED, Text),
        "actor_id": ended.c.user_id,
        "subject_id": ended.c.user_id,
        "session_id": ended.c.id,
        "details": literal({"reason": EndReason.LOGOUT, "scope": "local", "sessions": 1}, JSONB),
    }
    tokens = _blocklisted(ended, now, *access_token)
    return PreparedStatement(select(ended.c.id).add_cte(tokens, audit.audit_cte(ended, event)))


_LOG_OUT = _log_out()
