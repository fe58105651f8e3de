"""Removing factors of an account: all second ones when their owner lost them, or those that a thief may have added."""

from datetime import datetime
from uuid import UUID

from authapp.context import RequestContext
from authapp.database.session import db
from authapp.domain.factors.factor_changes import FactorChanges
from authapp.domain.factors.kinds import ADDED_LATELY, ALL_FACTORS, factor_kinds
from authapp.domain.hooks import credentials_voiding
from authapp.domain.throttle_scopes import second_factor_scopes, throttle_scopes
from authapp.domain.throttles import Throttles
from authapp.domain.users.rows import UserRef, require_person
from authapp.models import User


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

    def reset(self, ref: UserRef, context: RequestContext) -> bool:
        """Remove all second factors of an account, end its sessions, and forget its wrong codes.

        Returns whether there were any. Without one, no session ends, nothing is recorded, and nobody gets a mail.

        Raises ``ServiceAccount``, or what ``FactorChanges.by_manager`` raises.
        """
        with self._changes.by_manager(ref, context) as change:
            require_person(change.user)
            for name in second_factor_scopes():
                self._throttles.reset_failures(change.user.id, throttle_scopes[name])
            # A way in that is no second factor stays: who has lost a phone is not to lose that, too.
            found = _delete_factors(change.user.id, only_second=True)
            if found:
                change.record_reset(ALL_FACTORS, context, ends_sessions=True)
        return found

    def _remove_added_since(
        self, _app: object, *, user_id: UUID, context: RequestContext, since: datetime | None, **_: object
    ) -> None:
        # Wrong codes are not forgotten where older factors stay: whoever reads the mails would get as many guesses more
        # with each link.
        if _delete_factors(user_id, since):
            change = self._changes.unguarded(db.session.get_one(User, user_id))
            # The sender of the signal ends the sessions.
            change.record_reset(ALL_FACTORS if since is None else ADDED_LATELY, context, ends_sessions=False)


def _delete_factors(user_id: UUID, since: datetime | None = None, *, only_second: bool = False) -> bool:
    """Delete the factors and the recovery codes of an account that were added after ``since``, and say if any were."""
    deletes = [kind.delete for kind in factor_kinds.values() if kind.delete and (kind.second_step or not only_second)]
    return sum(delete(user_id, since) for delete in deletes) > 0
