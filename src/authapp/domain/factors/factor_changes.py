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
from authapp.domain.sessions.authentication import merged_methods
from authapp.domain.sessions.sessions import LogoutScope
from authapp.domain.users.rows import UserRef, lock_managed, lock_own
from authapp.errors import LastWayIn
from authapp.models import EndReason, Session, User


class FactorChange:
    """A change of the factors of one locked account, within the open transaction."""

    def __init__(self, user: User, settings: Settings, hooks: Hooks) -> None:
        self.user = user
        self.enrolled = factors_of(user.id)
        """The factors of the account before the change."""

        self.sessions_ended: int | None = None
        """How many sessions the change ended; ``None`` if others decide about them."""

        self._settings = settings
        self._hooks = hooks

    def record_added(
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
        self._end_sessions(scope, context)
        self._record(EventType.FACTOR_ADDED, factor, context, **details)
        is_first = factor_kinds[factor].is_second and not self.enrolled.second_factors
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

    def record_removed(
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

        Raises ``LastWayIn`` if there is no other way to log in: the owner would be locked out. An authenticator app and
        recovery codes do not count: nobody logs in with them alone.
        """
        db.session.flush()
        left = factors_of(self.user.id)
        if factor_kinds[factor].ways_in and not left.ways_in(self._settings):
            raise LastWayIn
        if factor_kinds[factor].is_second and not left.second_factors:
            _delete_replacements(self.user.id)
            _remove_multi_factor(self.user.id, context.session_id)
            # Their ``mfa`` would rest on a factor that no longer exists, and would still pass ``@multi_factor``.
            scope = scope or LogoutScope.OTHERS
        self._end_sessions(scope, context)
        self._record(EventType.FACTOR_REMOVED, factor, context, **details)

    def record_reset(self, factors: str, context: RequestContext, *, ends_sessions: bool) -> None:
        """Record that several factors were removed, which ``factors`` describes, and end all sessions, or leave them.

        Recovery codes go with the last second factor here as well. Without ``ends_sessions``, the caller ends the
        sessions and records that.
        """
        db.session.flush()
        if not factors_of(self.user.id).second_factors:
            _delete_replacements(self.user.id)
        if ends_sessions:
            self._end_sessions(LogoutScope.GLOBAL, context)
        self._record(EventType.FACTOR_RESET, factors, context)

    def _end_sessions(self, scope: LogoutScope | None, context: RequestContext) -> None:
        kept = context.session_id if scope is LogoutScope.OTHERS else None
        reason = EndReason.FACTORS_CHANGED
        self.sessions_ended = revocation.end_all(self.user.id, reason, clock.now(), keep=kept) if scope else 0

    def _record(self, event: str, factor: str, context: RequestContext, **details: Any) -> None:
        # No login from before can be completed, since ``users.updated_at`` changes.
        self.user.updated_at = clock.now()
        db.session.flush()
        ended: dict[str, Any] = {} if self.sessions_ended is None else {"sessions_ended": self.sessions_ended}
        audit.record(event, context=context, subject_id=self.user.id, factor=factor, **ended, **details)
        self._send(event, context, factor=factor, **details)
        self._hooks.send_user_changing(self.user, {"factors"}, context=context)

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
        self._send_sessions_ended(change, context)

    @contextmanager
    def by_manager(self, ref: UserRef, context: RequestContext) -> Iterator[FactorChange]:
        """Do the same for an account that the principal manages, which takes two factors whatever that account has.

        Raises what ``lock_managed`` raises, too.
        """
        with transaction():
            change = self.unguarded(lock_managed(ref, context))
            self._policy.require_recent_and_multi_factor(context)
            yield change
        self._send_sessions_ended(change, context)

    def unguarded(self, user: User) -> FactorChange:
        """Return a change of a locked account without asking anything, such as of somebody who proves its address.

        Use ``by_owner`` or ``by_manager`` for what a principal asks.
        """
        return FactorChange(user, self._settings, self._hooks)

    def _send_sessions_ended(self, change: FactorChange, context: RequestContext) -> None:
        """Send the signal that a change ended sessions, if it did; after the commit."""
        if change.sessions_ended:
            self._hooks.send_session_ended(change.user.id, EndReason.FACTORS_CHANGED, context=context)


def _delete_replacements(user_id: UUID) -> None:
    for kind in factor_kinds.values():
        if kind.is_replacement and kind.delete:
            kind.delete(user_id, None)


def _add_methods(user_id: UUID, session_id: UUID | None, amr: Sequence[str]) -> None:
    session = _lock_session(user_id, session_id) if amr else None
    if session is not None:
        session.amr = merged_methods(session.amr, amr)


def _remove_multi_factor(user_id: UUID, session_id: UUID | None) -> None:
    # Or the holder of a role that requires a second factor could remove it, and go on without one.
    session = _lock_session(user_id, session_id)
    if session is not None:
        session.amr = [method for method in session.amr if method != MULTI_FACTOR]


def _lock_session(user_id: UUID, session_id: UUID | None) -> Session | None:
    unended = (Session.user_id == user_id, Session.id == session_id, Session.ended_at.is_(None))
    return db.session.scalars(select(Session).where(*unended).with_for_update(key_share=True)).one_or_none()
