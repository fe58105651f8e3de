"""Requiring a recent login in a use case, where it depends on the request whether one is needed."""

from authapp.context import Principal, RequestContext
from authapp.errors import FreshTokenRequired, PermissionDenied


def require_recent_login(context: RequestContext) -> None:
    """Do nothing if the principal has just logged in, or is an operator.

    Views that always need a recent login have a mark. This is for use cases that need one for some requests.

    Raises ``FreshTokenRequired``, or ``PermissionDenied`` for a credential that no login can make recent.
    """
    if not isinstance(context.principal, Principal):
        return
    if context.principal.session_id is None:
        raise PermissionDenied("This needs a login: no other credential will do.")
    if not context.principal.fresh:
        raise FreshTokenRequired
