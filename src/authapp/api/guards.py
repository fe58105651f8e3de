"""Guards: every covered route is locked unless its view is marked, in blueprints of ours and of yours alike."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, TypeVar

from flask import Flask, Request, Response, current_app, request

from authapp.api import bodies, middleware
from authapp.api.authenticate import Authenticator, authenticate, authenticate_refresh_token
from authapp.api.jwt_extended import claims
from authapp.api.responses import no_content
from authapp.config import rate_limits
from authapp.database import deadline
from authapp.domain.roles.permissions import permissions
from authapp.domain.services import EXTENSION
from authapp.errors import FreshTokenRequired, PermissionDenied

View = TypeVar("View", bound=Callable[..., Any])


class AccessLevel(Enum):
    """Which credential a view asks for."""

    ACCESS = "access"
    FRESH = "fresh"
    REFRESH = "refresh"
    PUBLIC = "public"


@dataclass(frozen=True)
class Guard:
    """What a view asks of a request: the sum of its marks."""

    level: AccessLevel = AccessLevel.ACCESS
    permission: str | None = None
    limit: str | None = None


def public(view: View) -> View:
    """Open a view to guests. ``tests/api/access_table.py`` lists every route with its access level."""
    return _mark(view, level=AccessLevel.PUBLIC)


def refresh_token(view: View) -> View:
    """Ask for a refresh token where an access token is the rule."""
    return _mark(view, level=AccessLevel.REFRESH)


def fresh(view: View) -> View:
    """Ask for an access token that comes from a login, not from a refresh: the person is there."""
    return _mark(view, level=AccessLevel.FRESH)


def requires(permission: str) -> Callable[[View], View]:
    """Ask for a principal one of whose roles holds ``permission``. The database is asked on each request.

    Raises ``KeyError`` for a permission that is not registered (``authapp.permissions``).
    """
    permissions[permission]
    return lambda view: _mark(view, permission=permission)


def limited(name: str) -> Callable[[View], View]:
    """Count the requests for a view by client address, in PostgreSQL; too many are answered 429.

    Raises ``KeyError`` for a limit that is not registered (``authapp.rate_limits``).
    """
    rate_limits[name]
    return lambda view: _mark(view, limit=name)


def guard_of(view: Callable[..., Any]) -> Guard:
    """Return what ``view`` asks of a request: an access token, unless it is marked otherwise."""
    guard: Guard = getattr(view, "guard", _LOCKED)
    return guard


def init_app(app: Flask) -> None:
    """Stand before every covered view of ``app``."""
    app.before_request(check_request)


def check_request() -> Response | None:
    """Let a request through to its view, or refuse it: deadline, credential, freshness, permission, limit."""
    # Each look at a proxy costs a microsecond, so the objects are passed on from here.
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - Werkzeug's public name
    incoming = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
    extension = app.extensions[EXTENSION]
    if incoming.endpoint is None or not extension.covers(incoming.blueprints):
        return None  # no view will run, and the routing error is the answer; or the view is not ours to guard
    middleware.cover(incoming.environ)
    deadline.start(extension.services.settings.database_timeout)
    incoming.max_content_length = bodies.MAX_BYTES + 1  # one more than is allowed, to tell what is too much
    if incoming.method == "OPTIONS":
        return _methods()
    guard = guard_of(app.view_functions[incoming.endpoint])
    _check_credential(guard, incoming, extension.authenticators)
    # After the credential: a refused request costs nothing, and costs nobody else of that address.
    if guard.limit:
        extension.services.rate_limits.charge(guard.limit, incoming.remote_addr)
    return None


def _check_credential(guard: Guard, incoming: Request, authenticators: Sequence[Authenticator]) -> None:
    if guard.level is AccessLevel.PUBLIC:
        return
    if guard.level is AccessLevel.REFRESH:
        principal = authenticate_refresh_token(incoming)
    else:
        principal = authenticate(incoming, authenticators)
    # After all else: a token that is stale and revoked is revoked above all.
    if guard.level is AccessLevel.FRESH and not claims()["fresh"]:
        raise FreshTokenRequired
    if guard.permission is not None and not principal.may(guard.permission):
        raise PermissionDenied


_LOCKED = Guard()


def _mark(view: View, **changes: Any) -> View:
    view.guard = replace(guard_of(view), **changes)  # type: ignore[attr-defined]
    return view


def _methods() -> Response:
    response = no_content()
    response.allow.update(current_app.make_default_options_response().allow)
    return response
