"""Requiring a recent authentication (RFC 9470): of every request to a view, or within a use case for some of them."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from authapp import clock
from authapp.context import MULTI_FACTOR, Principal, RequestContext
from authapp.errors import PermissionDenied, StepUpRequired


def require_recent(principal: Principal, max_age: int) -> None:
    """Do nothing if the principal was authenticated at most ``max_age`` seconds ago, by a login or a step-up.

    Raises ``StepUpRequired``, or ``PermissionDenied`` for a credential that no login can make recent.
    """
    require_session(principal)
    # The database's time of the authentication, not the token's claim: a step-up counts for the whole session.
    if principal.auth_time is None or clock.now() - principal.auth_time > timedelta(seconds=max_age):
        raise StepUpRequired(max_age=max_age)


def require_session(principal: Principal) -> None:
    """Raise ``PermissionDenied`` for a credential without a session, which no login can make recent."""
    if principal.session_id is None:
        raise PermissionDenied("This needs a login: no other credential will do.")


def require_login(context: RequestContext) -> None:
    """Raise ``PermissionDenied`` if the principal in ``context`` has no session. Operators need none."""
    if isinstance(context.principal, Principal):
        require_session(context.principal)


def require_multi_factor(principal: Principal) -> None:
    """Do nothing if the principal was authenticated by more than one factor in this session.

    Raises ``StepUpRequired``, or ``PermissionDenied`` for a credential that no login can give a second factor.
    """
    require_session(principal)
    if MULTI_FACTOR not in principal.amr:
        raise StepUpRequired(acr_values=MULTI_FACTOR)


@dataclass(frozen=True)
class ActorPolicy:
    """What a use case asks of the principal who acts, beyond a credential that is accepted. Operators need nothing.

    ``max_age`` is in seconds. ``has_second_factors`` is whether this service has any; where it has none, nobody could
    have a session with ``mfa``. ``second_factors_of`` takes the id of an account, and returns those that it has.
    """

    max_age: int
    has_second_factors: bool
    second_factors_of: Callable[[UUID], Collection[str]]

    def require_recent(self, context: RequestContext) -> None:
        """Raise what ``require_recent`` raises for the principal in ``context``."""
        if isinstance(context.principal, Principal):
            require_recent(context.principal, self.max_age)

    def require_proven_factor(self, user_id: UUID, context: RequestContext) -> None:
        """Raise ``StepUpRequired`` if the account has a second factor that the session of ``context`` has not proven.

        A stolen session, even with the password, would otherwise be enough to take the account over. Raises
        ``PermissionDenied`` for a credential without a session.
        """
        if not isinstance(context.principal, Principal):
            return
        require_session(context.principal)
        if MULTI_FACTOR not in context.principal.amr and self.second_factors_of(user_id):
            raise StepUpRequired(acr_values=MULTI_FACTOR)

    def require_recent_and_multi_factor(self, context: RequestContext) -> None:
        """Raise what ``require_multi_factor`` (where this service has second factors) and ``require_recent`` raise."""
        if self.has_second_factors and isinstance(context.principal, Principal):
            require_multi_factor(context.principal)
        self.require_recent(context)
