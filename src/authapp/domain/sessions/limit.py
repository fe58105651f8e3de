"""The maximum number of sessions of an account: one more ends the session that was used least recently.

Without a maximum, whoever knows a password could make any number of rows.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, ColumnElement, DateTime, Integer, Text, Uuid, bindparam, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import aliased

from authapp.context import RequestContext
from authapp.database.fast_path import FastPath, PreparedStatement
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.sessions.revocation import ENDED_AT_ONCE, blocklisted, ended_sessions, is_one_of, unended
from authapp.models import EndReason, Session, User
from authapp.models.session import valid_from


class SessionLimit:
    """Ends the sessions of an account beyond the maximum."""

    def __init__(self, fast_path: FastPath, *, maximum: int) -> None:
        self._fast_path = fast_path
        self._maximum = maximum

    def end_surplus(self, user_id: UUID, session_id: UUID, now: datetime, context: RequestContext) -> list[UUID]:
        """End the live sessions beyond the maximum, and return their ids. ``session_id`` is the new one.

        Call it when the new session has been committed. The statement then sees every session that is there, so after
        any number of logins at once the maximum holds as soon as all of them are answered. It reads at most
        ``ENDED_AT_ONCE`` rows more than the maximum: an account that has more from before loses them in several logins.
        The rows of sessions that a cutoff has ended are ended with them. A second run finds nothing to do.
        """
        parameters = {
            "user_id": user_id,
            "session_id": session_id,
            "now": now,
            "maximum": self._maximum,
            "scanned": self._maximum + ENDED_AT_ONCE,
        }
        row = self._fast_path.write(_END_SURPLUS, {**parameters, **audit.audit_params(context)})
        ended = [UUID(session) for session in row.ids or ()]
        audit.count(EventType.SESSION_ENDED, len(ended))
        return ended


def _end_surplus() -> PreparedStatement:
    user_id, session_id = bindparam("user_id", type_=Uuid), bindparam("session_id", type_=Uuid)
    now = bindparam("now", type_=DateTime(timezone=True))
    maximum, scanned = bindparam("maximum", type_=Integer), bindparam("scanned", type_=Integer)
    # Locked first, as by all that ends sessions: two that lock the same rows in another order would deadlock.
    account = select(User.sessions_valid_from).where(User.id == user_id).with_for_update(key_share=True).cte("account")
    cutoff = select(account.c.sessions_valid_from).scalar_subquery()
    is_over = valid_from() < cutoff
    is_live = ~is_over & (Session.refresh_expires_at > now)
    recent: Any = (
        unended(user_id)
        .add_columns(
            _last_use(user_id, session_id).label("last_use"), is_live.label("is_live"), is_over.label("is_over")
        )
        .limit(scanned)
        .cte("recent")
    )
    over = select(recent.c.user_id, recent.c.id).where(recent.c.is_over).cte("over")
    surplus = (
        select(recent.c.user_id, recent.c.id)
        .where(recent.c.is_live)
        .order_by(recent.c.last_use.desc(), (recent.c.id == session_id).desc(), recent.c.id.desc())
        .offset(maximum)
        .cte("surplus")
    )
    ended = ended_sessions(is_one_of(surplus), reason=EndReason.SESSION_LIMIT, now=now)
    event = {
        "id": func.gen_random_uuid(),
        "occurred_at": now,
        "type": literal(EventType.SESSION_ENDED, Text),
        "actor_id": ended.c.user_id,
        "subject_id": ended.c.user_id,
        "session_id": ended.c.id,
        "details": literal({"reason": EndReason.SESSION_LIMIT}, JSONB),
    }
    tidied = ended_sessions(is_one_of(over), reason=EndReason.REVOKED, now=now, name="tidied")
    ids = func.json_agg(ended.c.id).label("ids")
    return PreparedStatement(select(ids).add_cte(tidied, blocklisted(ended, now), audit.audit_cte(ended, event)))


def _last_use(user_id: BindParameter[UUID], session_id: BindParameter[UUID]) -> ColumnElement[datetime]:
    """Return when a session was last used; at most when the new session starts, unless this one started after it.

    ``last_used_at`` is of the clock of a node, which may be fast or slow: the login on a slow one would end itself.
    ``valid_from`` is PostgreSQL's time. Logins at the same moment see one order, and so end the same sessions.
    """
    new = aliased(Session)
    started = select(new.valid_from).where(new.user_id == user_id, new.id == session_id).scalar_subquery()
    return func.greatest(func.least(Session.last_used_at, started), valid_from())


_END_SURPLUS = _end_surplus()
