"""The doors: every route is locked unless its view is marked, in this application and in any blueprint added to it."""

from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

from flask import Flask, Response, current_app, request

from authapp.api.bearer import verify_access_token, verify_refresh_token
from authapp.api.responses import no_content

View = TypeVar("View", bound=Callable[..., Any])


class Door(Enum):
    """What a route asks of who comes."""

    ACCESS = "access"
    REFRESH = "refresh"
    PUBLIC = "public"


def public(view: View) -> View:
    """Open a view to guests. ``tests/api/test_doors.py`` lists every open route."""
    return _mark(view, Door.PUBLIC)


def refresh_token(view: View) -> View:
    """Ask for a refresh token where an access token is the rule."""
    return _mark(view, Door.REFRESH)


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
    if request.routing_exception is not None or request.endpoint is None:
        return None  # no view will run: the routing error is the answer
    if request.method == "OPTIONS":
        return _methods()
    match door_of(current_app.view_functions[request.endpoint]):
        case Door.ACCESS:
            verify_access_token()
        case Door.REFRESH:
            verify_refresh_token()
        case Door.PUBLIC:
            pass
    return None


def _methods() -> Response:
    response = no_content()
    response.allow.update(current_app.make_default_options_response().allow)
    return response
