"""The end of sessions: one statement ends them and puts their tokens on the blocklist."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, DateTime, Text, Uuid, bindparam, literal, select, union_all, update
from sqlalchemy.dialects.postgresql import JSONB, Insert, insert

from authapp.database.prepared import Prepared
from authapp.domain import audit
from authapp.domain.origins import Origin
from authapp.extensions import db
from authapp.models import BlocklistedToken, EndReason, EventType, Session


@dataclass(frozen=True)
class AccessToken:
    """An access token that ends together with sessions: its ``jti``, and when it would expire."""

    jti: UUID
    expires_at: datetime


def end_sessions(
    user_id: UUID,
    reason: EndReason,
    now: datetime,
    *which: ColumnElement[bool],
    together_with: AccessToken | None = None,
) -> int:
    """End the user's live sessions that meet the conditions ``which``, within the transaction that is open.

    Their refresh tokens, and the access token ``together_with`` them, go on the blocklist. Returns how many sessions
    were ended; one that was over already is no error.
    """
    ended = (
        update(Session)
        .where(Session.user_id == user_id, Session.ended_at.is_(None), *which)
        .values(ended_at=now, end_reason=reason)
        .returning(Session.user_id, Session.refresh_jti, Session.refresh_expires_at)
        .cte("ended")
    )
    moment = literal(now, DateTime(timezone=True))
    refresh = select(ended.c.user_id, ended.c.refresh_jti, _text("refresh"), ended.c.refresh_expires_at, moment)
    rows: Any = refresh
    if together_with is not None:
        expires_at = literal(together_with.expires_at, DateTime(timezone=True))
        # From the sessions that were ended: when there is none, the account may be gone, and has nothing to revoke.
        access = select(ended.c.user_id, literal(together_with.jti, Uuid), _text("access"), expires_at, moment)
        rows = union_all(refresh, access.distinct())
    blocked = _blocklisting(rows).returning(BlocklistedToken.token_type)
    return list(db.session.scalars(blocked)).count("refresh")


def log_out_here(user_id: UUID, session_id: UUID, this: AccessToken, now: datetime, origin: Origin) -> None:
    """End one session, and write its event, in one statement that commits by itself; it may be done twice."""
    parameters = {"user_id": user_id, "session_id": session_id, "jti": this.jti, "expires_at": this.expires_at}
    db.write_one(_LOG_OUT, {**parameters, "now": now, **audit.noting(origin)})


def _ending_of_one() -> Prepared:
    now = bindparam("now", type_=DateTime(timezone=True))
    user_id, session_id = bindparam("user_id", type_=Uuid), bindparam("session_id", type_=Uuid)
    ended = (
        update(Session)
        .where(Session.user_id == user_id, Session.id == session_id, Session.ended_at.is_(None))
        .values(ended_at=now, end_reason=EndReason.LOGOUT)
        .returning(Session.user_id, Session.id, Session.refresh_jti, Session.refresh_expires_at)
        .cte("ended")
    )
    tokens = union_all(
        select(ended.c.user_id, ended.c.refresh_jti, _text("refresh"), ended.c.refresh_expires_at, now),
        select(
            ended.c.user_id,
            bindparam("jti", type_=Uuid),
            _text("access"),
            bindparam("expires_at", type_=DateTime(timezone=True)),
            now,
        ),
    )
    blocked = _blocklisting(tokens).cte("blocked")
    event = {
        "occurred_at": now,
        "type": _text(EventType.SESSION_ENDED),
        "actor_id": ended.c.user_id,
        "subject_id": ended.c.user_id,
        "session_id": ended.c.id,
        "details": literal({"reason": EndReason.LOGOUT, "scope": "local", "sessions": 1}, JSONB),
    }
    return Prepared(select(ended.c.id).add_cte(blocked, audit.noted(ended, event)))


def _blocklisting(rows: Any) -> Insert:
    columns = ["user_id", "jti", "token_type", "expires_at", "revoked_at"]
    return insert(BlocklistedToken).from_select(columns, rows).on_conflict_do_nothing()


def _text(word: str) -> Any:
    return literal(word, Text)


_LOG_OUT = _ending_of_one()
