"""The end of sessions: one statement ends them and puts their tokens on the blocklist."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, DateTime, Text, Uuid, literal, select, union_all, update
from sqlalchemy.dialects.postgresql import insert

from authapp.extensions import db
from authapp.models import BlocklistedToken, EndReason, Session


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
    statement = (
        insert(BlocklistedToken)
        .from_select(["user_id", "jti", "token_type", "expires_at", "revoked_at"], rows)
        .on_conflict_do_nothing()
        .returning(BlocklistedToken.token_type)
    )
    return list(db.session.scalars(statement)).count("refresh")


def _text(word: str) -> Any:
    return literal(word, Text)
