"""What every change of factors asks for, and what it does: it ends sessions, is recorded, and the owner gets a mail."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import select

from authapp import clock
from authapp.config import Settings
from authapp.context import MULTI_FACTOR, RequestContext
from authapp.database.session import db, transaction
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.factors import recovery_codes
from authapp.domain.factors.enrolled import factors_of
from authapp.domain.factors.kinds import factor_kinds
from authapp.domain.hooks import Hooks, factors_changing
from authapp.domain.principals.recent import ActorPolicy
from authapp.domain.sessions import revocation
from authapp.domain.sessions.sessions import LogoutScope
from authapp.domain.users.rows import UserRef, lock_managed, lock_own
from authapp.errors import LastWayIn
from authapp.models import EndReason, Session, User


class FactorChange:
    """A change of the factors of one locked account, within the open transaction."""

    def __init__(self, user: User, settings: Settings, hooks: Hooks) -> None:
        self.user = user
        self.ended = 0
        """How many sessions were ended."""

        self._settings = settings
        self._hooks = hooks
        self._had_second_factors = bool(factors_of(user.id).second_factors)

    def added(
        self,
        factor: str,
        context: RequestContext,
        *,
        scope: LogoutScope | None = LogoutScope.OTHERS,
        proven: Sequence[str] = (),
        **details: Any,
    ) -> list[str]:
        """Record that a factor of this kind was added, and end the sessions that ``scope`` selects.

        ``proven`` are the methods that the session of ``context`` has proven by it, and ``details`` are for the event.
        Returns recovery codes to show to the owner, if it is the first second factor of the account.
        """
        _add_methods(self.user.id, context.session_id, proven)
        self._record(EventType.FACTOR_ADDED, factor, context, scope, details)
        is_first = factor_kinds[factor].is_second and not self._had_second_factors
        return self._create_recovery_codes(context) if is_first else []

    def renew_recovery_codes(self, context: RequestContext) -> list[str]:
        """Return new recovery codes, which are never shown again. Those from before are void; the owner gets a mail."""
        codes = self._create_recovery_codes(context)
        self._send(EventType.RECOVERY_CODES_CREATED, context)
        return codes

    def _create_recovery_codes(self, context: RequestContext) -> list[str]:
        codes = recovery_codes.replace_all(self.user.id)
        audit.record(EventType.RECOVERY_CODES_CREATED, context=context, subject_id=self.user.id)
        return codes

    def removed(
        self,
        factor: str,
        context: RequestContext,
        *,
        scope: LogoutScope | None = LogoutScope.OTHERS,
        **details: Any,
    ) -> None:
        """Record that a factor of this kind was removed, after its rows were, and end the sessions of ``scope``.

        Recovery codes go with the last second factor, which they replace. So do ``mfa`` in the session of ``context``,
        and the other sessions, whatever ``scope`` is.

        Raises ``LastWayIn`` if there is no other way to log in: the owner would be locked out. Second factors are none,
        and neither are recovery codes.
        """
        db.session.flush()
        left = factors_of(self.user.id)
        if factor_kinds[factor].ways_in and not left.ways_in(self._settings):
            raise LastWayIn
        if factor_kinds[factor].is_second and not left.second_factors:
            _delete_replacements(self.user.id)
            _remove_multi_factor(self.user.id, context.session_id)
            # They would keep ``mfa``, and could remove the factors of others with one that is gone.
            scope = scope or LogoutScope.OTHERS
        self._record(EventType.FACTOR_REMOVED, factor, context, scope, details)

    def reset(self, factors: str, context: RequestContext, *, scope: LogoutScope | None) -> None:
        """Record that several factors were removed, which ``factors`` describes, and end the sessions of ``scope``.

        Recovery codes go with the last second factor here as well.
        """
        db.session.flush()
        if not factors_of(self.user.id).second_factors:
            _delete_replacements(self.user.id)
        self._record(EventType.FACTOR_RESET, factors, context, scope, {})

    def _record(
        self, event: str, factor: str, context: RequestContext, scope: LogoutScope | None, details: dict[str, Any]
    ) -> None:
        # No login from before can be completed, since ``users.updated_at`` changes.
        user = self.user
        user.updated_at = now = clock.now()
        db.session.flush()
        kept = context.session_id if scope is LogoutScope.OTHERS else None
        self.ended = revocation.end_all(user.id, EndReason.FACTORS_CHANGED, now, keep=kept) if scope else 0
        audit.record(event, context=context, subject_id=user.id, factor=factor, sessions_ended=self.ended, **details)
        self._send(event, context, factor=factor, **details)
        self._hooks.send_user_changing(user, {"factors"}, context=context)

    def _send(self, event: str, context: RequestContext, **details: Any) -> None:
        self._hooks.send_within(factors_changing, context=context, user_id=self.user.id, event=event, details=details)


class FactorChanges:
    """The one guard of all changes of factors."""

    def __init__(self, settings: Settings, policy: ActorPolicy, hooks: Hooks) -> None:
        self._settings = settings
        self._policy = policy
        self._hooks = hooks

    @contextmanager
    def by_owner(self, user_id: UUID, context: RequestContext) -> Iterator[FactorChange]:
        """Open a transaction that changes the factors of the principal's own account, which is locked.

        Raises ``TokenRevoked`` if the account was disabled or the session has ended meanwhile; ``StepUpRequired``
        unless the login is recent, and has proven a second factor if the account has one.
        """
        with transaction():
            change = self.unguarded(lock_own(user_id, context))
            self._policy.require_recent(context)
            self._policy.require_proven_factor(user_id, context)
            yield change
        self.send_sessions_ended(user_id, change.ended, context)

    @contextmanager
    def by_manager(self, ref: UserRef, context: RequestContext) -> Iterator[FactorChange]:
        """Do the same for an account that the principal manages, which takes two factors whatever that account has.

        Raises what ``lock_managed`` raises, too.
        """
        with transaction():
            change = self.unguarded(lock_managed(ref, context))
            self._policy.require_recent_and_multi_factor(context)
            yield change
        self.send_sessions_ended(change.user.id, change.ended, context)

    def unguarded(self, user: User) -> FactorChange:
        """Return a change of a locked account without asking anything, such as of somebody who proves its address.

        Use ``by_owner`` or ``by_manager`` for what a principal asks.
        """
        return FactorChange(user, self._settings, self._hooks)

    def send_sessions_ended(self, user_id: UUID, ended: int, context: RequestContext) -> None:
        """Send the signal that a change of factors ended sessions, if there were any; after the commit."""
        if ended:
            self._hooks.send_session_ended(user_id, EndReason.FACTORS_CHANGED, context=context)


def _delete_replacements(user_id: UUID) -> None:
    for kind in factor_kinds.values():
        if kind.is_replacement and kind.delete:
            kind.delete(user_id, None)


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
