"""Guards: every covered route needs a valid access token, unless a mark on its view says otherwise.

This applies to authapp's blueprints and to those of the application alike.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from flask import Flask, Request, Response, current_app, request
from werkzeug.exceptions import NotFound

from authapp.api import bodies, middleware
from authapp.api.authenticate import Authenticator, authenticate, authenticate_refresh_token
from authapp.api.client import counted_address
from authapp.api.cors import is_preflight
from authapp.api.index import index
from authapp.api.requirements import (
    Fresh,
    HasPermission,
    MultiFactor,
    Recent,
    Requirement,
    SecondFactorOfRole,
    Verified,
    in_order,
)
from authapp.api.responses import no_content
from authapp.config import rate_limits
from authapp.database import deadline
from authapp.domain.roles.permissions import permissions
from authapp.errors import ResourceNotFound
from authapp.shared_names import EXTENSION

View = TypeVar("View", bound=Callable[..., Any])


class AccessLevel(Enum):
    """Which credential a view requires."""

    ACCESS = "access"
    REFRESH = "refresh"
    PUBLIC = "public"


@dataclass(frozen=True)
class Guard:
    """What a view requires of a request: the combination of its marks.

    ``exempt`` are those of ``AuthApp.requirements`` that the view does not require.
    """

    level: AccessLevel = AccessLevel.ACCESS
    requirements: tuple[Requirement, ...] = ()
    exempt: tuple[type[Requirement], ...] = ()
    limit: str | None = None
    authenticators: tuple[Authenticator, ...] = ()


def public(view: View) -> View:
    """Mark a view as open to guests. ``tests/api/access_table.py`` lists every route with its access level."""
    return mark(view, Guard(level=AccessLevel.PUBLIC))


def refresh_token(view: View) -> View:
    """Require a refresh token instead of an access token."""
    return mark(view, Guard(level=AccessLevel.REFRESH))


def fresh(view: View) -> View:
    """Require an access token from a login or a step-up, not from a refresh."""
    return mark(view, Guard(requirements=(Fresh(),)))


def recent(max_age: int | None = None) -> Callable[[View], View]:
    """Require that the user was authenticated at most ``max_age`` seconds ago, by a login or a step-up (RFC 9470).

    The default is the setting ``AUTHAPP_STEP_UP_MAX_AGE``. Raises ``ValueError`` for anything but a positive number, as
    for ``@recent`` without brackets.
    """
    given: object = max_age
    if given is not None and not (type(given) is int and given > 0):
        raise ValueError("Write @recent(), or @recent(60) with a number of seconds.")
    return lambda view: mark(view, Guard(requirements=(Recent(max_age),)))


def multi_factor(view: View) -> View:
    """Require a session whose user was authenticated by more than one factor: its ``amr`` contains ``mfa``."""
    return mark(view, Guard(requirements=(MultiFactor(),)))


def offered_multi_factor(view: View) -> View:
    """Require the same where this service has second factors; without them, nobody could have such a session."""
    return mark(view, Guard(requirements=(MultiFactor(if_offered=True),)))


def requires(permission: str) -> Callable[[View], View]:
    """Require a principal with ``permission`` in one of their roles. It is read from the database on each request.

    Raises ``KeyError`` for a permission that is not registered (``authapp.permissions``).
    """
    permissions.require(permission)
    return lambda view: mark(view, Guard(requirements=(HasPermission(permission),)))


def verified(view: View) -> View:
    """Require a principal whose email address is verified. It is read from the database on each request."""
    return mark(view, Guard(requirements=(Verified(),)))


def without_required_factor(view: View) -> View:
    """Open a view to users who lack a second factor that their role requires: so they get one."""
    return mark(view, Guard(exempt=(SecondFactorOfRole,)))


def accepts(*authenticators: Authenticator) -> Callable[[View], View]:
    """Accept further kinds of credentials at this view alone, before those of the application."""
    return lambda view: mark(view, Guard(authenticators=authenticators))


def limited(name: str) -> Callable[[View], View]:
    """Limit the requests to a view per client address, counted in PostgreSQL; above the limit the answer is 429.

    Raises ``KeyError`` for a limit that is not registered (``authapp.rate_limits``).
    """
    rate_limits.require(name)
    return lambda view: mark(view, Guard(limit=name))


def mark(view: View, guard: Guard) -> View:
    """Add ``guard`` to what ``view`` requires, and return the view: the way to write a mark of your own.

    Raises ``TypeError`` if it contradicts the marks that the view has, or if the view has been registered already.
    """
    if getattr(view, "is_registered", False):
        # The blueprint registered a wrapper of the view, which would never see this mark.
        raise TypeError("A mark, such as @requires, must be placed below the decorator that registers the view.")
    merged = _merged(getattr(view, "guard", _DEFAULT), guard)
    view.guard = merged  # type: ignore[attr-defined]  # functions take any
    return view


def guard_of(view: Callable[..., Any], method: str = "") -> Guard:
    """Return what ``view`` requires of a request; a view without marks requires an access token.

    For a class-based view these are the marks of the view, of its class, and of the function that answers ``method``.

    Raises ``TypeError`` if these marks contradict each other, or a decorator hides those of the function in it.
    """
    guard: Guard = getattr(view, "guard", _DEFAULT)
    view_class = getattr(view, "view_class", None)
    if view_class is None:
        if guard is _DEFAULT and _hides_marks(view):
            raise TypeError(f"A decorator hides the marks of {view!r}: write it with functools.wraps.")
        return guard
    names = (method.lower(), "get" if method == "HEAD" else "", "dispatch_request")
    functions = (function for name in names if name and (function := getattr(view_class, name, None)))
    for marked in (view_class, *functions):
        guard = _merged(guard, getattr(marked, "guard", _DEFAULT))
    return guard


def init_app(app: Flask) -> None:
    """Check every request to ``app`` before its view runs."""
    app.before_request(check_request)


def check_request() -> Response | None:
    """Start the deadline and limit the body, then check credential, requirements and rate limit.

    Returns ``None`` to let the request through, or the response to OPTIONS. Raises a refusal.
    """
    # The objects and not their proxies: all that follows asks them some twenty times, at 1 us each.
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - Werkzeug documents it
    incoming: Request = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - Werkzeug documents it
    extension = app.extensions[EXTENSION]
    if incoming.endpoint is None:
        return _without_view(incoming, extension)
    guard = guard_of(app.view_functions[incoming.endpoint], incoming.method)
    # A view with a mark is guarded wherever it is: the author of the mark relies on it.
    if guard is _DEFAULT and not extension.covers(incoming.blueprints):
        return None
    middleware.cover(incoming.environ)
    if incoming.environ["PATH_INFO"].startswith("//"):
        # Werkzeug strips leading slashes, so a rule of a proxy for the path with one slash would not have applied.
        raise ResourceNotFound
    deadline.start(extension.services.settings.database_timeout)
    bodies.limit(incoming)
    if is_answered_automatically(incoming):
        return _methods()
    _check_credential(guard, incoming, extension.authenticators, extension.requirements)
    # After the credential, so that refused requests do not use up the limit of others at the same address.
    if guard.limit:
        extension.services.rate_limits.charge(guard.limit, counted_address(incoming.environ))
    return None


def is_answered_automatically(incoming: Request) -> bool:
    """Return whether it is OPTIONS of a view that leaves it to Flask."""
    return incoming.method == "OPTIONS" and getattr(incoming.url_rule, "provide_automatic_options", False)


def _without_view(incoming: Request, extension: Any) -> Response | None:
    """Return what is answered where there is no view; if that is ``None``, Flask answers with the routing error."""
    if not (extension.covers(()) and isinstance(incoming.routing_exception, NotFound)):
        return None
    environ = incoming.environ
    if is_preflight(environ) and environ.get("HTTP_ORIGIN") in extension.allowed_origins:
        return no_content()  # or the browser would hide the 404 from a page that may read it
    return index(incoming, extension.services.settings)


def _check_credential(
    guard: Guard, incoming: Request, authenticators: Sequence[Authenticator], requirements: Sequence[Requirement]
) -> None:
    if guard.level is AccessLevel.PUBLIC:
        return
    if guard.level is AccessLevel.REFRESH:
        principal = authenticate_refresh_token(incoming)
    else:
        principal = authenticate(incoming, [*guard.authenticators, *authenticators])
    # After authenticate(), so that a token that is both stale and revoked is reported as revoked.
    of_application = [each for each in requirements if type(each) not in guard.exempt]
    required = in_order([*guard.requirements, *of_application]) if of_application else guard.requirements
    for requirement in required:
        requirement.check(principal)


_DEFAULT = Guard()
"""That there is no mark. It is compared by identity: a mark of the same value locks a view wherever it is."""


def _merged(guard: Guard, other: Guard) -> Guard:
    """Return the guard with the marks of both. Raises ``TypeError`` rather than let one mark cancel another."""
    if other is _DEFAULT:
        return guard
    if guard is not _DEFAULT and guard == other:
        return guard
    levels = {guard.level, other.level} - {AccessLevel.ACCESS}
    limits = {guard.limit, other.limit} - {None}
    both = Guard(
        level=levels.pop() if levels else AccessLevel.ACCESS,
        requirements=in_order(guard.requirements + other.requirements),
        exempt=tuple(dict.fromkeys(guard.exempt + other.exempt)),
        limit=limits.pop() if limits else None,
        authenticators=tuple(dict.fromkeys(guard.authenticators + other.authenticators)),
    )
    if levels or limits or (both.level is AccessLevel.PUBLIC and both.requirements):
        raise TypeError("These marks contradict each other: one level, one limit, and no condition on guests.")
    if both.level is not AccessLevel.ACCESS and both.authenticators:
        raise TypeError("These marks contradict each other: this view reads no other kind of credential.")
    return both


def _hides_marks(view: Callable[..., Any]) -> bool:
    for cell in getattr(view, "__closure__", None) or ():
        # A cell is empty while the name that it stands for is not bound yet.
        with suppress(ValueError):
            if isinstance(getattr(cell.cell_contents, "guard", None), Guard):
                return True
    return False


def _methods() -> Response:
    response = no_content()
    response.allow.update(current_app.make_default_options_response().allow)
    return response
