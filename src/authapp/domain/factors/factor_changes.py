"""What every added or removed factor does to an account: it ends sessions, is recorded, and its owner gets a mail."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select

from authapp import clock
from authapp.context import MULTI_FACTOR, RequestContext
from authapp.database.session import db
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.factors.enrolled import factors_of
from authapp.domain.factors.recovery_codes import RecoveryCodes
from authapp.domain.hooks import Hooks, factors_changing
from authapp.domain.sessions import revocation
from authapp.domain.sessions.sessions import LogoutScope
from authapp.models import EndReason, Session, User


class FactorChanges:
    """Notes that the factors of an account have changed."""

    def __init__(self, codes: RecoveryCodes, hooks: Hooks) -> None:
        self._codes = codes
        self._hooks = hooks

    def apply(
        self,
        user: User,
        event: str,
        context: RequestContext,
        *,
        scope: LogoutScope | None,
        factor: str,
        proven: Sequence[str] = (),
        **details: Any,
    ) -> int:
        """Note a change within the open transaction, on a locked account, and end the sessions that ``scope`` selects.

        ``event`` is ``FACTOR_ADDED``, ``FACTOR_REMOVED`` or ``FACTOR_RESET``, and ``details`` are for that event.
        ``proven`` are the methods that the session of ``context`` has proven by it. No login from before can be
        completed, since ``users.updated_at`` changes. Recovery codes go with the last factor that they replace, and
        so does ``mfa`` in the session of ``context``.

        Returns how many sessions were ended; pass it to ``send_sessions_ended`` after the commit.
        """
        user.updated_at = now = clock.now()
        db.session.flush()
        _add_methods(user.id, context.session_id, proven)
        if event == EventType.FACTOR_REMOVED and not factors_of(user.id).second():
            self._codes.delete_all(user.id)
            _remove_multi_factor(user.id, context.session_id)
        kept = context.session_id if scope is LogoutScope.OTHERS else None
        ended = revocation.end_all(user.id, EndReason.FACTORS_CHANGED, now, keep=kept) if scope else 0
        audit.record(event, context=context, subject_id=user.id, factor=factor, sessions_ended=ended, **details)
        self._hooks.send_within(factors_changing, context=context, user_id=user.id, event=event, factor=factor)
        self._hooks.send_user_changing(user, {"factors"}, context=context)
        return ended

    def send_sessions_ended(self, user_id: UUID, ended: int, context: RequestContext) -> None:
        """Send the signal that a change of factors ended sessions, if there were any; after the commit."""
        if ended:
            self._hooks.send_session_ended(user_id, EndReason.FACTORS_CHANGED, context=context)


def _add_methods(user_id: UUID, session_id: UUID | None, amr: Sequence[str]) -> None:
    session = _lock_session(user_id, session_id) if amr else None
    if session is not None:
        session.amr = list(dict.fromkeys([*session.amr, *amr]))


def _remove_multi_factor(user_id: UUID, session_id: UUID | None) -> None:
    # Or the holder of a role that requires a second factor could remove it, and go on without one.
    session = _lock_session(user_id, session_id)
    if session is not None:
        session.amr = [method for method in session.amr if method != MULTI_FACTOR]


def _lock_session(user_id: UUID, session_id: UUID | None) -> Session | None:
    which = (Session.user_id == user_id, Session.id == session_id, Session.ended_at.is_(None))
    return db.session.scalars(select(Session).where(*which).with_for_update(key_share=True)).one_or_none()
