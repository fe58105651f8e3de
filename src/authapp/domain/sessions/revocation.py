"""Ending sessions and revoking tokens (RFC 7009). Only this module writes to the blocklist.

To end all sessions of a user, one cutoff on the user's row is set: ``sessions_valid_from``. Every protected request
reads it, so it takes effect at once, however many sessions there are. The session rows are then ended too, up to a
limit; later logins (``limit.py``) and the next cutoff end more of them, and the rest is pruned when it expires.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    DateTime,
    Select,
    Text,
    Uuid,
    bindparam,
    func,
    literal,
    literal_column,
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
from authapp.models import ApiKey, BlocklistedToken, EndReason, Session, User
from authapp.models.session import is_unended, server_time, valid_from

_TIME = DateTime(timezone=True)

ENDED_AT_ONCE = 1_000
"""The most session rows that one request ends. Other sessions are ended by the cutoff, and their rows later."""

prunables.register("token_blocklist", Prunable("blocklisted_tokens", BlocklistedToken.expires_at, after_leeway=True))


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
    reason: str,
    now: datetime,
    *,
    keep: UUID | None = None,
    access_token: AccessToken | None = None,
) -> int:
    """End all live sessions of a user except ``keep``, within the open transaction; return how many rows were ended.

    The refresh tokens of these rows, and ``access_token``, are put on the blocklist. Of more than ``ENDED_AT_ONCE``
    sessions, those used last are counted and ended so, and the others only by the cutoff.
    """
    # The user's row is locked before the sessions, as a login does. A concurrent login either commits first, and its
    # session ends here; or it waits, and its session starts after the cutoff.
    locked = select(User.sessions_valid_from).where(User.id == user_id).with_for_update(key_share=True)
    previous_cutoff = db.session.scalar(locked)
    if previous_cutoff is None:
        return 0
    cutoff = _set_cutoff(user_id)
    if keep is not None:
        # Only a live session: one that has ended must not become live again.
        live = (Session.user_id == user_id, Session.ended_at.is_(None), valid_from() >= previous_cutoff)
        kept = update(Session).where(*live, Session.id == keep).values(valid_from=cutoff)
        db.session.execute(kept.execution_options(synchronize_session=False))
    # Those that an earlier cutoff has ended are not skipped, because there may be any number of them.
    recent = unended(literal(user_id, Uuid)).limit(ENDED_AT_ONCE)
    if keep is not None:
        recent = recent.where(Session.id != keep)
    ended = ended_sessions(is_one_of(recent.cte("recent")), reason=reason, now=literal(now, _TIME))
    tokens = blocklisted(ended, literal(now, _TIME), *(access_token.columns() if access_token else ()))
    count = select(func.count()).select_from(ended).where(ended.c.valid_from >= previous_cutoff)
    return db.session.scalar(count.add_cte(tokens)) or 0


def end_one(user_id: UUID, session_id: UUID, reason: str, now: datetime) -> bool:
    """End one live session within the open transaction; return whether there was one."""
    which = (Session.user_id == user_id, Session.id == session_id, Session.refresh_expires_at > now, _is_after_cutoff())
    ended = ended_sessions(*which, reason=reason, now=literal(now, _TIME))
    tokens = blocklisted(ended, literal(now, _TIME))
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
    was_live = fast_path.write(_LOG_OUT, {**parameters, **token, **audit.audit_params(context)}) is not None
    audit.count(EventType.SESSION_ENDED, int(was_live))
    return was_live


def revoke_access_token(user_id: UUID, issued_for: UUID, token: AccessToken, now: datetime) -> bool:
    """Put an access token on the blocklist, within the open transaction; return ``False`` if it was already there.

    ``issued_for`` is the id of the session or the API key of the token.
    """
    # The account may have been deleted meanwhile, together with these. Then there is nothing to revoke.
    for owner in (Session, ApiKey):
        found = select(owner.user_id).where(owner.user_id == user_id, owner.id == issued_for)
        if db.session.scalar(found.with_for_update(read=True)) is not None:
            break
    else:
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


def unended(user_id: ColumnElement[UUID]) -> Select[UUID, UUID]:
    """Return the SELECT of a user's sessions whose rows have not ended, the last used first; there may be any number.

    It follows the index of these rows. The bounds and the order name every column of it, as a row value, so that only
    this index fits, as in ``database/keyset.py``.
    """
    columns = (Session.user_id, Session.last_used_at, Session.id)
    least, greatest = ((f"'{sign}infinity'", f"'{UUID(int=number)}'") for sign, number in (("-", 0), ("", 2**128 - 1)))
    lower, upper = (tuple_(user_id, literal_column(time), literal_column(id_)) for time, id_ in (least, greatest))
    which = (tuple_(*columns) >= lower, tuple_(*columns) <= upper, is_unended())
    return select(Session.user_id, Session.id).where(*which).order_by(*(column.desc() for column in columns))


def is_one_of(sessions: CTE) -> ColumnElement[bool]:
    """Return the condition that a session is in a CTE, which PostgreSQL evaluates once."""
    return tuple_(Session.user_id, Session.id).in_(select(sessions.c.user_id, sessions.c.id))


def ended_sessions(*which: ColumnElement[bool], reason: str, now: ColumnElement[datetime], name: str = "ended") -> CTE:
    """Return the CTE that ends the live sessions that meet the conditions ``which``."""
    return (
        update(Session)
        .where(Session.ended_at.is_(None), *which)
        .values(ended_at=now, end_reason=reason)
        .returning(
            Session.user_id,
            Session.id,
            Session.refresh_jti,
            Session.refresh_expires_at,
            valid_from().label("valid_from"),
        )
        .cte(name)
    )


def blocklisted(ended: CTE, now: ColumnElement[datetime], *access_token: ColumnElement[Any]) -> CTE:
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
    ended = ended_sessions(*which, reason=EndReason.LOGOUT, now=now)
    event = {
        "occurred_at": now,
        "type": literal(EventType.SESSION_ENDED, Text),
        "actor_id": ended.c.user_id,
        "subject_id": ended.c.user_id,
        "session_id": ended.c.id,
        "details": literal({"reason": EndReason.LOGOUT, "scope": "local", "sessions": 1}, JSONB),
    }
    tokens = blocklisted(ended, now, *access_token)
    return PreparedStatement(select(ended.c.id).add_cte(tokens, audit.audit_cte(ended, event)))


_LOG_OUT = _log_out()
