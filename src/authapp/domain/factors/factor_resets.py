"""Removing the second factors of an account: for an owner who has lost them, or who was robbed."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete

from authapp.context import RequestContext
from authapp.database.session import db, transaction
from authapp.domain.audit import EventType
from authapp.domain.factors.factor_changes import FactorChanges
from authapp.domain.hooks import account_claimed
from authapp.domain.passwords.throttles import SECOND_FACTOR, LoginThrottles
from authapp.domain.sessions.sessions import LogoutScope
from authapp.domain.users.rows import UserRef, lock_managed
from authapp.models import Passkey, RecoveryCode, SecondFactorChallenge, TotpFactor, User

ALL = "all"
"""What a reset says in place of one factor."""


class FactorResets:
    """The use case of removing all second factors of an account."""

    def __init__(self, throttles: LoginThrottles, changes: FactorChanges) -> None:
        self._throttles = throttles
        self._changes = changes

    def connect(self, app: object) -> None:
        """Remove the factors of an account of ``app`` whose owner takes it back from somebody who had prepared it."""
        account_claimed.connect(_remove_from_claimed, sender=app)

    def reset(self, ref: UserRef, context: RequestContext) -> User:
        """Remove all factors of an account, end its sessions, and forget its wrong codes.

        Raises ``ResourceNotFound``, or the refusals of ``GrantPolicy``.
        """
        with transaction():
            user = lock_managed(ref, context)
            ended = self.remove(user, context)
        self._changes.announce(user.id, ended, context)
        return user

    def remove(self, user: User, context: RequestContext, *, since: datetime | None = None) -> int:
        """Do the same within the open transaction, on a locked account; return how many sessions were ended.

        With ``since``, only factors that were added after that time are removed. Recovery codes go in any case:
        whoever added a factor may have seen new ones. Send ``session_ended`` after the commit, with ``announce``.
        """
        remove_factors(user.id, since)
        self._throttles.forgive(user.id, SECOND_FACTOR.name)
        return self._changes.note(user, EventType.FACTOR_RESET, context, scope=LogoutScope.GLOBAL, factor=ALL)

    def announce(self, user_id: UUID, ended: int, context: RequestContext) -> None:
        """Send the signal that the sessions ended, after the commit."""
        self._changes.announce(user_id, ended, context)


def remove_factors(user_id: UUID, since: datetime | None = None) -> None:
    """Delete the factors of an account that were added after ``since``, and all its recovery codes and challenges."""
    for rows in (
        delete(TotpFactor).where(TotpFactor.user_id == user_id, *_after(TotpFactor.confirmed_at, since)),
        delete(Passkey).where(Passkey.user_id == user_id, *_after(Passkey.created_at, since)),
        delete(RecoveryCode).where(RecoveryCode.user_id == user_id),
        delete(SecondFactorChallenge).where(SecondFactorChallenge.user_id == user_id),
    ):
        db.session.execute(rows.execution_options(synchronize_session=False))


def _after(time: Any, since: datetime | None) -> tuple[ColumnElement[bool], ...]:
    return () if since is None else (time > since,)


def _remove_from_claimed(_app: object, *, user_id: UUID, **_: object) -> None:
    remove_factors(user_id)
