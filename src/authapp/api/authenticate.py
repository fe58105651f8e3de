"""Turns a request into a ``Principal``, with the authenticators of the application."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol, cast

from flask import Request, current_app
from flask import request as current_request

from authapp.api import refresh_cookie
from authapp.api.bearer import bearer_scheme, bearer_token, checked_token
from authapp.api.bodies import has_body, parser, receive
from authapp.api.jwt_extended import forget_token_status, jwt
from authapp.api.schemas.tokens import RefreshSchema
from authapp.context import Principal
from authapp.domain.services import Services
from authapp.errors import (
    Refusal,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
    TokenRefused,
    TokenRevoked,
    Unauthenticated,
)
from authapp.security.tokens import TokenType
from authapp.shared_names import PRINCIPAL

_REFRESH_BODY = RefreshSchema(partial=True)  # the token may be in the header instead


class Authenticator(Protocol):
    """Accepts one kind of credential. ``AuthApp.authenticators`` lists those of an application, in order.

    For the OpenAPI document, ``security_schemes`` are its schemes by name, and ``refusals`` what it raises.
    """

    security_schemes: Mapping[str, Mapping[str, Any]]
    refusals: Sequence[type[Refusal]]

    def authenticate(self, request: Request) -> Principal | None:
        """Return the principal whose credential is in the request, or ``None`` if it has no credential of this kind.

        Raises a refusal, such as ``TokenInvalid``, if the credential is not accepted. It is called again if the request
        has a body that was not here yet, because the credential may have been revoked while the body was on the way.
        """


class BearerJWT:
    """Access tokens in the ``Authorization`` header: every bearer token that no authenticator before has found."""

    security_schemes: Mapping[str, Mapping[str, Any]] = {"accessToken": bearer_scheme("An access token.")}
    refusals: Sequence[type[Refusal]] = (TokenInvalid, TokenExpired, TokenRevoked)

    def authenticate(self, request: Request) -> Principal | None:
        """Return the principal of the bearer token, or ``None`` if there is none.

        Raises a ``TokenRefused``, or ``TooManyRequests`` if there is a limit on the requests of an API key, and the
        token was issued for one.
        """
        token = bearer_token(request)
        if token is None:
            return None
        principal = _read_and_admit(token, "access")
        if principal.api_key_id is not None:
            Services.of(current_app).api_key_verifier.charge(principal.api_key_id)
        return principal


class RefreshCookie:
    """The refresh token of a session, in the cookie of a browser. Of the routes for access tokens, logout takes it."""

    # Which documents have it depends on a setting, and so ``api/cookie_document.py`` writes it there.
    security_schemes: Mapping[str, Mapping[str, Any]] = {}
    refusals: Sequence[type[Refusal]] = ()

    def authenticate(self, request: Request) -> Principal | None:
        """Return the principal of the cookie; ``None`` without one, or if it is refused and there is a bearer token.

        Raises a ``TokenRefused`` or ``OriginNotAllowed``.
        """
        token = refresh_cookie.token_in(request)
        if token is None:
            return None
        try:
            return _read_and_admit(checked_token(token), "refresh")
        except TokenRefused:
            # A logout whose cookie is dead would leave the session of the access token alive.
            if bearer_token(request) is None:
                raise
            return None


def authenticate(request: Request, authenticators: Sequence[Authenticator]) -> Principal:
    """Return the principal of a request, from the first authenticator that finds its kind of credential.

    The answer is never older than the last byte of the body: an authenticator that did not wait for the body before it
    asked is called once more afterwards.

    Raises ``TokenMissing`` if no authenticator finds one, and whatever the authenticators raise.
    """
    for authenticator in authenticators:
        principal = authenticator.authenticate(request)
        if principal is not None:
            if receive(request):
                forget_token_status(request)
                return authenticate(request, authenticators)
            request.environ[PRINCIPAL] = principal
            return principal
    raise TokenMissing


def authenticate_if_possible(request: Request, authenticators: Sequence[Authenticator]) -> None:
    """Look for the principal of a request to a public view; a credential that is not accepted is ignored.

    For a view that a guest may call, and that asks less of the owner of an account.
    """
    with suppress(Unauthenticated):
        authenticate(request, authenticators)


def authenticate_refresh_token(request: Request) -> Principal:
    """Return the principal of the refresh token in a request: in the body, or else in the cookie, or a bearer token.

    Raises ``TokenMissing``, a ``TokenRefused``, ``OriginNotAllowed``, or what reading the body raises.
    """
    token = _refresh_token_in_body(request)
    # With a token in the body or the cookie, the header is not read: clients often send the access token with every
    # request.
    if token is None:
        token = refresh_cookie.token_in(request)
    if token is None:
        token = bearer_token(request)
    if token is None:
        raise TokenMissing
    principal = _read_and_admit(checked_token(token), "refresh")
    request.environ[PRINCIPAL] = principal
    return principal


def current_principal() -> Principal:
    """Return the principal who makes this request. Raises ``LookupError`` if no credential was asked for."""
    principal = principal_or_none()
    if principal is None:
        raise LookupError("No credential was asked for: this view is public.")
    return principal


def principal_or_none() -> Principal | None:
    """Return the principal who makes this request, or ``None`` in a public view."""
    return cast("Principal | None", current_request.environ.get(PRINCIPAL))


def _read_and_admit(token: str, type_: TokenType) -> Principal:
    header, claims = Services.of(current_app).tokens.read_whole(token)
    if claims["type"] != type_:
        raise TokenInvalid
    return jwt.admit(header, claims)


def _refresh_token_in_body(request: Request) -> str | None:
    if not has_body(request):
        return None
    body: dict[str, str] = parser.parse(_REFRESH_BODY, request, location="json")
    return body.get("refresh_token")
