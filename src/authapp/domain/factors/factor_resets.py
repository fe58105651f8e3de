"""Removing factors of an account: all second ones when their owner lost them, or the latest ones after a theft."""

from datetime import datetime
from uuid import UUID

from authapp.context import RequestContext
from authapp.database.session import db
from authapp.domain.factors.factor_changes import FactorChange, FactorChanges
from authapp.domain.factors.kinds import factor_kinds
from authapp.domain.hooks import credentials_voiding
from authapp.domain.sessions.sessions import LogoutScope
from authapp.domain.throttle_scopes import second_factor_scopes, throttle_scopes
from authapp.domain.throttles import Throttles
from authapp.domain.users.rows import UserRef
from authapp.models import User

ALL, ADDED_LATELY = "all", "added_lately"
"""What a reset says in place of one factor: all of them, or those that were added since a time."""


class FactorResets:
    """The use cases of removing several factors of an account at once."""

    def __init__(self, throttles: Throttles, changes: FactorChanges) -> None:
        self._throttles = throttles
        self._changes = changes

    def connect(self, app: object) -> None:
        """Remove the factors that somebody else may have added to an account of ``app``.

        The hook refers to this object weakly: keep a reference.
        """
        credentials_voiding.connect(self._remove_added_since, sender=app)

    def reset(self, ref: UserRef, context: RequestContext) -> User:
        """Remove all second factors of an account, end its sessions, and forget its wrong codes.

        Raises what ``FactorChanges.by_manager`` raises.
        """
        with self._changes.by_manager(ref, context) as change:
            for name in second_factor_scopes():
                self._throttles.reset_failures(change.user.id, throttle_scopes[name])
            # A way in that is no second factor stays: who has lost a phone is not to lose that, too.
            _delete_factors(change.user.id, only_second=True)
            _record(change, None, context, LogoutScope.GLOBAL)
        return change.user

    def remove(self, user: User, context: RequestContext, *, since: datetime) -> int:
        """Remove what was added after ``since`` from a locked account, within the open transaction; end its sessions.

        Returns how many sessions were ended; pass it to ``send_sessions_ended`` after the commit. Wrong codes are not
        forgotten, because older factors stay: whoever reads the mails would get as many guesses more with each link.
        """
        _delete_factors(user.id, since)
        change = self._changes.unguarded(user)
        _record(change, since, context, LogoutScope.GLOBAL)
        return change.ended

    def send_sessions_ended(self, user_id: UUID, ended: int, context: RequestContext) -> None:
        """Send the signal that the sessions ended, after the commit."""
        self._changes.send_sessions_ended(user_id, ended, context)

    def _remove_added_since(
        self, _app: object, *, user_id: UUID, context: RequestContext, since: datetime | None, **_: object
    ) -> None:
        if _delete_factors(user_id, since):
            # Who sends the signal ends the sessions.
            _record(self._changes.unguarded(db.session.get_one(User, user_id)), since, context, None)


def _record(change: FactorChange, since: datetime | None, context: RequestContext, scope: LogoutScope | None) -> None:
    change.reset(ALL if since is None else ADDED_LATELY, context, scope=scope)


def _delete_factors(user_id: UUID, since: datetime | None = None, *, only_second: bool = False) -> bool:
    """Delete the factors of an account that were added after ``since``, and the recovery codes.

    Returns whether there were factors that do more than replace others.
    """
    found = False
    for kind in factor_kinds.values():
        if kind.delete and (kind.is_second or kind.is_replacement or not only_second):
            deleted = kind.delete(user_id, since)
            found = found or (deleted > 0 and not kind.is_replacement)
    return found
