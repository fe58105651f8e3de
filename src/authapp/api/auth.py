"""Blueprint ``auth``: log in, refresh, log out."""

from flask import Response, current_app, request

from authapp.api import jwt_extended, refresh_cookie
from authapp.api.authenticate import RefreshCookie
from authapp.api.context import request_context
from authapp.api.guards import accepts, limited, public, refresh_token, without_required_factor
from authapp.api.openapi import Blueprint, refuses
from authapp.api.responses import no_content
from authapp.api.schemas.tokens import LoginSchema, LogoutSchema, TokenPairSchema
from authapp.domain import hooks
from authapp.domain.services import Services
from authapp.domain.sessions.sessions import LogoutScope
from authapp.domain.sessions.token_pairs import TokenPair
from authapp.errors import InvalidCredentials, PermissionDenied, RefreshTokenReused, ServiceUnavailable

blueprint = Blueprint("auth", __name__, description="Accounts and tokens")


@blueprint.post("/login")
@public
@limited("login")
@blueprint.arguments(LoginSchema)
@blueprint.response(200, TokenPairSchema)
@refuses(InvalidCredentials, ServiceUnavailable, signals=(hooks.before_session_start,))
def log_in(body: dict[str, str]) -> TokenPair:
    """Log in.

    The name is the username or the email address.
    """
    return Services.of(current_app).password_login.log_in(body["username"], body["password"], request_context())


@blueprint.post("/refresh")
@refresh_token
@without_required_factor
@limited("refresh")
@blueprint.response(200, TokenPairSchema)
@refuses(RefreshTokenReused)
def refresh_tokens() -> TokenPair:
    """Exchange a refresh token for a new token pair.

    A refresh token can be exchanged only once.
    """
    claims, is_shared = jwt_extended.claims("refresh"), refresh_cookie.was_taken(request)
    return Services.of(current_app).sessions.refresh(claims, request_context(), is_shared=is_shared)


@blueprint.post("/logout")
@accepts(RefreshCookie())
@without_required_factor
@blueprint.arguments(LogoutSchema, location="query")
@blueprint.response(204)
@refuses(PermissionDenied)
def log_out(query: dict[str, LogoutScope]) -> Response:
    """Log out.

    This ends the current session, all other sessions, or all sessions, as `scope` says. The tokens of the ended
    sessions are refused from the next request on.
    """
    claims = jwt_extended.claims("access", "refresh")
    Services.of(current_app).sessions.log_out(claims, query["scope"], request_context())
    return refresh_cookie.cleared_if_asked(no_content(), query["scope"])
