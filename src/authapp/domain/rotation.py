"""The rotation of refresh tokens, decided in one atomic statement (RFC 9700, section 4.14.2)."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Select, Text, Update, Uuid, and_, case, func, literal, null, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from authapp.domain.origins import Origin
from authapp.models import AuditEvent, EndReason, EventType, Session
from authapp.security import identifiers


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


def recorded(rotation: Update, user_id: UUID, session_id: UUID, now: datetime, origin: Origin) -> Select[Any]:
    """Return ``rotation`` together with the audit event of what it does, as one statement, and so one round trip."""
    rotated = rotation.cte("rotated")
    reused = rotated.c.ended_at.is_not(None)
    event = {
        "occurred_at": literal(now, DateTime(timezone=True)),
        "id": literal(identifiers.time_ordered(), Uuid),
        "type": case((reused, EventType.REFRESH_TOKEN_REUSED), else_=EventType.SESSION_REFRESHED),
        # Who holds a token that was exchanged before is not known: it may be the thief.
        "actor_id": case((reused, null()), else_=literal(user_id, Uuid)),
        "subject_id": literal(user_id, Uuid),
        "session_id": literal(session_id, Uuid),
        "ip_address": literal(origin.ip_address, Text),
        "user_agent": literal(origin.agent, Text),
        "request_id": literal(origin.request_id, Text),
        "details": literal({}, JSONB),
    }
    noted = insert(AuditEvent).from_select(list(event), select(*event.values()).select_from(rotated)).cte("noted")
    return select(rotated).add_cte(noted)
