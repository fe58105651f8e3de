"""Bearer tokens (RFC 6750): where one is looked for, and what Flask-JWT-Extended asks about it."""

import re
from typing import Any, cast

from flask import Flask, Response, current_app, request
from flask_jwt_extended import get_current_user, get_jwt

from authapp.api.bodies import parser
from authapp.api.errors import render
from authapp.api.schemas.tokens import RefreshSchema
from authapp.domain import UseCases
from authapp.domain.callers import Caller
from authapp.errors import (
    FreshTokenRequired,
    MalformedRequest,
    Refusal,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
    TokenRevoked,
)
from authapp.extensions import jwt
from authapp.security.tokens import Claims

_ANSWER = "authapp.caller"
_BLANKS = re.compile("[ \t]+")
_IN_BODY = RefreshSchema()
_COMPACT_JWS = re.compile(r"[A-Za-z0-9_.-]+")


def init_app(app: Flask) -> None:
    """Bind Flask-JWT-Extended to ``app``, with headers as the only place where it looks."""
    app.config.update(JWT_TOKEN_LOCATION=["headers"], JWT_HEADER_NAME="Authorization", JWT_HEADER_TYPE="Bearer")
    jwt.init_app(app)


def verify_access_token() -> None:
    """Let the caller in who sends a live access token.

    Raises ``TokenMissing`` or a ``TokenRefused``; what Flask-JWT-Extended raises is answered by its loaders below.
    """
    _verify(_token_in_header())


def verify_refresh_token() -> None:
    """Let the caller in who sends a live refresh token, as bearer or as ``refresh_token`` in the JSON body."""
    in_body = _token_in_body()
    if in_body is not None and "Authorization" in request.headers:
        raise MalformedRequest("Send the token in the header or in the body, not in both (RFC 6750, section 2).")
    _verify(_token_in_header() if in_body is None else in_body, refresh=True)


def caller() -> Caller:
    """Return who is calling; only behind a guard."""
    return cast("Caller", get_current_user())


def claims() -> Claims:
    """Return the claims of the caller's token; only behind a guard."""
    return cast("Claims", get_jwt())


def _verify(token: str, *, refresh: bool = False) -> None:
    if not _COMPACT_JWS.fullmatch(token):
        raise TokenInvalid
    # Flask-JWT-Extended compares the scheme by letter case, and of several tokens between commas takes the first:
    # behind this door ``@jwt_required()`` is shown the one token, spelled its way, and never what the client sent.
    request.environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    jwt.let_in(token, token_type="refresh" if refresh else "access")


def _token_in_header() -> str:
    # By spaces and tabs alone: a proxy in front would not take the other characters that Unicode calls white space.
    header: str = request.environ.get("HTTP_AUTHORIZATION", "")
    if header.startswith("Bearer ") and _COMPACT_JWS.fullmatch(header, len("Bearer ")):
        return header[len("Bearer ") :]
    scheme, *credentials = _BLANKS.split(header.strip(" \t"))
    if scheme.lower() != "bearer" or not credentials:
        raise TokenMissing
    if len(credentials) > 1:
        raise TokenInvalid("The header holds more than one token.")
    return credentials[0]


def _token_in_body() -> str | None:
    if not request.content_length and "Transfer-Encoding" not in request.headers:
        return None
    body: dict[str, str] = parser.parse(_IN_BODY, request, location="json")
    return body.get("refresh_token")


@jwt.token_reader_loader
def _read(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, token_claims = UseCases.of(current_app).tokens.read_whole(token)
    return header, cast("dict[str, Any]", token_claims)


def _ask(token_claims: Claims) -> Caller:
    """Ask the database once a request: the blocklist loader and the user loader share the answer."""
    # It is kept with the request and nowhere longer: flask.g outlives a request when an application context was there
    # before it, and an answer of a moment ago may be wrong by now.
    environ = request.environ
    answer: tuple[str, Caller | None] | None = environ.get(_ANSWER)
    if answer is None or answer[0] != token_claims["jti"]:
        answer = (token_claims["jti"], UseCases.of(current_app).sessions.caller(token_claims))
        environ[_ANSWER] = answer
    if answer[1] is None:
        raise TokenInvalid("Its session is not known.")
    return answer[1]


@jwt.token_in_blocklist_loader
def _is_revoked(_header: dict[str, Any], token_claims: dict[str, Any]) -> bool:
    return _ask(cast("Claims", token_claims)).revoked


@jwt.user_lookup_loader
def _caller(_header: dict[str, Any], token_claims: dict[str, Any]) -> Caller:
    return _ask(cast("Claims", token_claims))


def _answer_with(refusal: type[Refusal]) -> Any:
    def answer(*_details: Any) -> Response:
        return render(refusal())

    return answer


jwt.unauthorized_loader(_answer_with(TokenMissing))
jwt.invalid_token_loader(_answer_with(TokenInvalid))
jwt.expired_token_loader(_answer_with(TokenExpired))
jwt.revoked_token_loader(_answer_with(TokenRevoked))
jwt.needs_fresh_token_loader(_answer_with(FreshTokenRequired))
jwt.user_lookup_error_loader(_answer_with(TokenInvalid))
jwt.token_verification_failed_loader(_answer_with(TokenInvalid))
