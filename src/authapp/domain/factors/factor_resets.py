"""Removing the second factors of an account: for an owner who has lost them, or who was robbed."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Delete, delete

from authapp.context import RequestContext
from authapp.database.session import db, transaction
from authapp.domain.audit import EventType
from authapp.domain.factors.factor_changes import FactorChanges
from authapp.domain.hooks import credentials_voiding
from authapp.domain.sessions.sessions import LogoutScope
from authapp.domain.throttles import SECOND_FACTOR, Throttles
from authapp.domain.users.rows import UserRef, lock_managed
from authapp.models import Passkey, RecoveryCode, SecondFactorChallenge, TotpFactor, User

ALL, RECENT = "all", "recent"
"""What a reset says in place of one factor: all of them, or those that were added since a time."""


class FactorResets:
    """The use case of removing all second factors of an account."""

    def __init__(self, throttles: Throttles, changes: FactorChanges) -> None:
        self._throttles = throttles
        self._changes = changes

    def connect(self, app: object) -> None:
        """Remove the factors that somebody else may have added to an account of ``app``. Keep this object."""
        credentials_voiding.connect(self._remove_added_since, sender=app)

    def reset(self, ref: UserRef, context: RequestContext) -> User:
        """Remove all factors of an account, end its sessions, and forget its wrong codes.

        Raises ``ResourceNotFound``, or the refusals of ``GrantPolicy``.
        """
        with transaction():
            user = lock_managed(ref, context)
            ended = self.remove(user, context)
        self._changes.send_sessions_ended(user.id, ended, context)
        return user

    def remove(self, user: User, context: RequestContext, *, since: datetime | None = None) -> int:
        """Do the same within the open transaction, on a locked account; return how many sessions were ended.

        With ``since``, only factors and recovery codes that were added after that time are removed. Send
        ``session_ended`` after the commit, with ``send_sessions_ended``.
        """
        _delete_factors(user.id, since)
        # Not where older factors stay: whoever reads the mails would get as many guesses more with each link.
        if since is None:
            self._throttles.reset(user.id, SECOND_FACTOR)
        factor = ALL if since is None else RECENT
        return self._changes.apply(user, EventType.FACTOR_RESET, context, scope=LogoutScope.GLOBAL, factor=factor)

    def send_sessions_ended(self, user_id: UUID, ended: int, context: RequestContext) -> None:
        """Send the signal that the sessions ended, after the commit."""
        self._changes.send_sessions_ended(user_id, ended, context)

    def _remove_added_since(
        self, _app: object, *, user_id: UUID, context: RequestContext, since: datetime | None, **_: object
    ) -> None:
        # Who sends the signal ends the sessions.
        if _delete_factors(user_id, since):
            user = db.session.get_one(User, user_id)
            factor = ALL if since is None else RECENT
            self._changes.apply(user, EventType.FACTOR_RESET, context, scope=None, factor=factor)


def _delete_factors(user_id: UUID, since: datetime | None = None) -> bool:
    """Delete the factors and recovery codes of an account that were added after ``since``, and all its challenges.

    Returns whether there were such factors.
    """
    _execute(delete(SecondFactorChallenge).where(SecondFactorChallenge.user_id == user_id))
    _execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id, *_after(RecoveryCode.created_at, since)))
    apps = _execute(delete(TotpFactor).where(TotpFactor.user_id == user_id, *_after(TotpFactor.confirmed_at, since)))
    return apps + _execute(delete(Passkey).where(Passkey.user_id == user_id, *_after(Passkey.created_at, since))) > 0


def _execute(statement: Delete) -> int:
    result: Any = db.session.execute(statement.execution_options(synchronize_session=False))
    return int(result.rowcount)


def _after(time: Any, since: datetime | None) -> tuple[ColumnElement[bool], ...]:
    return () if since is None else (time > since,)
