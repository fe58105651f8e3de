"""The doors: every route is locked unless its view is marked, in this application and in any blueprint added to it."""

from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

from flask import Flask, Response, current_app, request

from authapp.api.bearer import caller, claims, verify_access_token, verify_refresh_token
from authapp.api.responses import no_content
from authapp.domain import UseCases
from authapp.domain.address_limits import LimitName
from authapp.domain.permissions import Permission
from authapp.errors import FreshTokenRequired, PermissionDenied

View = TypeVar("View", bound=Callable[..., Any])


class Door(Enum):
    """What a route asks of who comes."""

    ACCESS = "access"
    FRESH = "fresh"
    REFRESH = "refresh"
    PUBLIC = "public"


def public(view: View) -> View:
    """Open a view to guests. ``tests/api/access_table.py`` lists every route with its door."""
    return _mark(view, Door.PUBLIC)


def refresh_token(view: View) -> View:
    """Ask for a refresh token where an access token is the rule."""
    return _mark(view, Door.REFRESH)


def fresh(view: View) -> View:
    """Ask for an access token that comes from a login, not from a refresh: the person is there."""
    return _mark(view, Door.FRESH)


def requires(permission: Permission) -> Callable[[View], View]:
    """Ask for a caller one of whose roles holds ``permission``. It is asked of the database on each request."""

    def mark(view: View) -> View:
        view.permission = permission  # type: ignore[attr-defined]
        return view

    return mark


def limited(name: LimitName) -> Callable[[View], View]:
    """Count the requests for a view by client address, in PostgreSQL; too many are answered 429."""

    def mark(view: View) -> View:
        view.limit = name  # type: ignore[attr-defined]
        return view

    return mark


def limit_of(view: Callable[..., Any]) -> LimitName | None:
    """Return the limit that ``view`` is under, if any."""
    name: LimitName | None = getattr(view, "limit", None)
    return name


def permission_of(view: Callable[..., Any]) -> Permission | None:
    """Return the permission that ``view`` requires, if any."""
    permission: Permission | None = getattr(view, "permission", None)
    return permission


def door_of(view: Callable[..., Any]) -> Door:
    """Return what ``view`` asks of who comes: an access token, unless it is marked otherwise."""
    door: Door = getattr(view, "door", Door.ACCESS)
    return door


def init_app(app: Flask) -> None:
    """Stand before every view of ``app``."""
    app.before_request(_guard)


def _mark(view: View, door: Door) -> View:
    view.door = door  # type: ignore[attr-defined]
    return view


def _guard() -> Response | None:
    incoming = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - Werkzeug's public name
    if incoming.routing_exception is not None or incoming.endpoint is None:
        return None  # no view will run: the routing error is the answer
    if incoming.method == "OPTIONS":
        return _methods()
    view = current_app.view_functions[incoming.endpoint]
    door = door_of(view)
    if door is not Door.PUBLIC:
        _let_in(door, permission_of(view))
    # Behind the door: whoever has no token for it is refused at no cost, and costs nobody else of that address.
    if limit := limit_of(view):
        UseCases.of(current_app).address_limits.charge(limit, request.remote_addr)
    return None


def _let_in(door: Door, permission: Permission | None) -> None:
    if door is Door.REFRESH:
        verify_refresh_token()
    else:
        verify_access_token()
    # After all else: a token that is stale and revoked is revoked above all.
    if door is Door.FRESH and not claims()["fresh"]:
        raise FreshTokenRequired
    if permission is not None and not caller().may(permission):
        raise PermissionDenied


def _methods() -> Response:
    response = no_content()
    response.allow.update(current_app.make_default_options_response().allow)
    return response
