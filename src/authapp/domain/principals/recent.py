"""Requiring a recent authentication (RFC 9470): of every request to a view, or within a use case for some of them."""

from datetime import timedelta

from authapp import clock
from authapp.context import Principal, RequestContext
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


def require_recent_actor(context: RequestContext, max_age: int) -> None:
    """Raise what ``require_recent`` raises for the principal in ``context``. Operators need no recent login."""
    if isinstance(context.principal, Principal):
        require_recent(context.principal, max_age)
