"""The rotation of refresh tokens, decided in one atomic statement (RFC 9700, section 4.14.2)."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Update, and_, case, func, literal, null, or_, update

from authapp.models import EndReason, Session


def rotate(
    *,
    user_id: UUID,
    session_id: UUID,
    presented: UUID,
    successor: UUID,
    now: datetime,
    refresh_ttl: timedelta,
    grace: timedelta,
) -> Update:
    """Return the statement that exchanges the refresh token whose ``jti`` is ``presented``.

    - The current token becomes the previous one, and ``successor`` the current one.
    - The previous token, within ``grace``, changes nothing: its holder gets the successor that is there. Tabs that
      refresh at one moment, and clients that never saw the answer, are no thieves.
    - Any other token ends the session.

    It returns the row as it is then, and no row when the session is over. Of two at once the second waits for the
    first, and PostgreSQL evaluates its conditions again on the row that the first has written (read committed).
    """
    is_current = Session.refresh_jti == presented
    in_grace = and_(Session.previous_refresh_jti == presented, Session.rotated_at > now - grace)
    this_moment = literal(now, DateTime(timezone=True))

    def on_exchange(value: Any, otherwise: Any) -> Any:
        return case((is_current, value), else_=otherwise)

    return (
        update(Session)
        .where(
            Session.user_id == user_id,
            Session.id == session_id,
            Session.ended_at.is_(None),
            Session.expires_at > now,
        )
        .values(
            refresh_jti=on_exchange(literal(successor, Session.refresh_jti.type), Session.refresh_jti),
            previous_refresh_jti=on_exchange(Session.refresh_jti, Session.previous_refresh_jti),
            rotated_at=on_exchange(this_moment, Session.rotated_at),
            refresh_expires_at=on_exchange(
                func.least(this_moment + refresh_ttl, Session.expires_at), Session.refresh_expires_at
            ),
            last_used_at=this_moment,
            ended_at=case((or_(is_current, in_grace), null()), else_=this_moment),
            end_reason=case((or_(is_current, in_grace), null()), else_=EndReason.REFRESH_TOKEN_REUSED),
        )
        .returning(
            Session.refresh_jti,
            Session.rotated_at,
            Session.refresh_expires_at,
            Session.expires_at,
            Session.ended_at,
        )
    )
