"""The rotation of refresh tokens, in one atomic statement (RFC 9700, section 4.14.2)."""

from typing import Any

from sqlalchemy import Boolean, DateTime, Update, Uuid, and_, bindparam, case, func, literal, null, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB

from authapp.database.fast_path import PreparedStatement
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.models import EndReason, Session, User
from authapp.models.session import auth_time, valid_from, was_exchanged_after

_USER_ID, _SESSION_ID = bindparam("user_id", type_=Uuid), bindparam("session_id", type_=Uuid)
_PRESENTED, _SUCCESSOR = bindparam("presented", type_=Uuid), bindparam("successor", type_=Uuid)
_NOW, _GRACE_FROM, _RETRY_FROM, _REFRESH_EXPIRES_AT = (
    bindparam(name, type_=DateTime(timezone=True)) for name in ("now", "grace_from", "retry_from", "refresh_expires_at")
)
_IS_SHARED = bindparam("is_shared", type_=Boolean)

_CUTOFF = select(User.sessions_valid_from).where(User.id == _USER_ID).scalar_subquery()


def _rotation() -> Update:
    """Return the statement that exchanges the refresh token whose ``jti`` is ``presented``.

    - If it is the current token, it becomes the previous one, and ``successor`` becomes the current one.
    - If it is the previous token and was exchanged after ``retry_from``, nothing changes, and its holder gets the
      existing successor. This happens to browser tabs that refresh at the same time, and to clients that did not
      receive the response, so it is not treated as theft.
    - If it is the current token, ``is_shared``, and was itself exchanged for another after ``grace_from``, nothing
      changes either. Of three tabs, one may send the new cookie while the request of another, with the cookie before,
      is on its way. Were it exchanged then, that request would end the session.
    - Any other token ends the session.

    The statement returns the resulting row, or no row if the session was already over. If two run at once, the second
    waits for the first, and PostgreSQL evaluates its conditions again on the updated row (read committed).
    """
    is_current = Session.refresh_jti == _PRESENTED
    is_repeated = and_(Session.previous_refresh_jti == _PRESENTED, Session.rotated_at > _RETRY_FROM)
    is_kept = and_(_IS_SHARED, was_exchanged_after(_GRACE_FROM))

    def on_exchange(value: Any, otherwise: Any) -> Any:
        return case((and_(is_current, ~is_kept), value), else_=otherwise)

    return (
        update(Session)
        .where(
            Session.user_id == _USER_ID,
            Session.id == _SESSION_ID,
            Session.ended_at.is_(None),
            Session.expires_at > _NOW,
            valid_from() >= _CUTOFF,
        )
        .values(
            refresh_jti=on_exchange(_SUCCESSOR, Session.refresh_jti),
            previous_refresh_jti=on_exchange(Session.refresh_jti, Session.previous_refresh_jti),
            rotated_at=on_exchange(_NOW, Session.rotated_at),
            refresh_expires_at=on_exchange(
                func.least(_REFRESH_EXPIRES_AT, Session.expires_at), Session.refresh_expires_at
            ),
            last_used_at=_NOW,
            ended_at=case((or_(is_current, is_repeated), null()), else_=_NOW),
            end_reason=case((or_(is_current, is_repeated), null()), else_=EndReason.REFRESH_TOKEN_REUSED),
        )
        .returning(
            Session.refresh_jti,
            Session.rotated_at,
            Session.refresh_expires_at,
            Session.expires_at,
            Session.ended_at,
            Session.amr,
            auth_time().label("auth_time"),
        )
    )


def _recorded(rotation: Update) -> PreparedStatement:
    """Return ``rotation`` combined with its audit event into one statement, and so one round trip."""
    rotated = rotation.cte("rotated")
    reused = rotated.c.ended_at.is_not(None)
    # Nothing was exchanged: an answer was lost, tabs raced, or somebody else has the same token.
    repeated = ~reused & (rotated.c.rotated_at != _NOW)
    event = {
        "occurred_at": _NOW,
        "type": case((reused, EventType.REFRESH_TOKEN_REUSED), else_=EventType.SESSION_REFRESHED),
        # If a token is reused, the actor is unknown: it may be the thief.
        "actor_id": case((reused, null()), else_=_USER_ID),
        "subject_id": _USER_ID,
        "session_id": _SESSION_ID,
        "details": case((repeated, literal({"repeated": True}, JSONB)), else_=literal({}, JSONB)),
    }
    return PreparedStatement(select(rotated).add_cte(audit.audit_cte(rotated, event)))


ROTATE = _recorded(_rotation())
