"""Giving an account a new password, or voiding the one that it has."""

from typing import Any
from uuid import UUID

from authapp import clock
from authapp.context import RequestContext
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.hooks import Hooks, password_changed
from authapp.domain.sessions import revocation
from authapp.models import EndReason, User


def set_password_hash(
    user: User,
    password_hash: str,
    hooks: Hooks,
    context: RequestContext,
    *,
    keep: UUID | None = None,
    event: str = EventType.PASSWORD_CHANGED,
) -> int:
    """Change the password of a locked account within the open transaction, and end its sessions except ``keep``.

    ``event`` is the audit event to record. Returns how many sessions were ended; pass it to ``send_password_changed``
    after the commit.
    """
    user.password_hash = password_hash
    user.updated_at = now = clock.now()
    ended = revocation.end_all(user.id, EndReason.PASSWORD_CHANGED, now, keep=keep)
    audit.record(event, context=context, subject_id=user.id, sessions_ended=ended)
    hooks.send_user_changing(user, {"password"}, context=context)
    return ended


def void_password(user: User, context: RequestContext) -> int:
    """Void the password of a locked account within the open transaction, and end all its sessions.

    The caller then sends ``user_changing`` with ``password`` among the fields. Returns how many sessions were ended;
    pass it to ``send_sessions_ended`` after the commit.
    """
    user.updated_at = now = clock.now()
    ended = revocation.end_all(user.id, EndReason.PASSWORD_CHANGED, now)
    if user.password_hash is not None:
        user.password_hash = None
        audit.record(EventType.PASSWORD_VOIDED, context=context, subject_id=user.id, sessions_ended=ended)
    else:
        details: dict[str, Any] = {"reason": EndReason.PASSWORD_CHANGED, "sessions": ended}
        audit.record(EventType.SESSION_ENDED, context=context, subject_id=user.id, **details)
    return ended


def send_sessions_ended(user_id: UUID, ended: int, hooks: Hooks, context: RequestContext) -> None:
    """Send the signal that a changed password ended sessions, if there were any."""
    if ended:
        hooks.send_session_ended(user_id, EndReason.PASSWORD_CHANGED, context=context)


def send_password_changed(user_id: UUID, ended: int, hooks: Hooks, context: RequestContext) -> None:
    """Send the signals of a new password, and of the ``ended`` sessions if there were any."""
    hooks.send_after_commit(password_changed, context=context, user_id=user_id)
    send_sessions_ended(user_id, ended, hooks, context)
