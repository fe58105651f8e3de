"""Blueprint ``oauth``: the token endpoint (RFC 6749, sections 3.2 and 4.4), for programs with an API key.

Its errors are those of section 5.2, not problem documents: clients of OAuth read nothing else.
"""

from typing import Any

from flask import Response, current_app, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException, default_exceptions

from authapp.api.basic import BASIC, client_credentials
from authapp.api.bodies import parser, receive
from authapp.api.context import request_context
from authapp.api.errors import render, render_database, render_http
from authapp.api.guards import public
from authapp.api.openapi import Blueprint, reads
from authapp.api.refusal_responses import headers_of
from authapp.api.responses import as_json
from authapp.api.schemas.oauth import CLIENT_CREDENTIALS, KeyTokenSchema, TokenErrorSchema, TokenRequestSchema
from authapp.domain.api_keys.client_credentials import ApiKeyToken, ScopeRefused
from authapp.domain.services import Services
from authapp.errors import Refusal, TooMany, Unauthenticated, Unavailable
from authapp.shared_names import CODE

blueprint = Blueprint("oauth", __name__, description="API keys")

_FORM = TokenRequestSchema()
_DOCUMENTED = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": TokenRequestSchema,
                "example": {"grant_type": CLIENT_CREDENTIALS, "scope": "users:read"},
            }
        },
    },
}


class OAuthError(Exception):
    """A refusal in the words of RFC 6749, section 5.2."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(error)
        self.error = error
        self.description = description


def _examples(*errors: str) -> dict[str, Any]:
    return {error: {"value": {"error": error, "error_description": "..."}} for error in errors}


@blueprint.post("/token")
@public
@reads(BASIC)
@blueprint.response(200, KeyTokenSchema)
@blueprint.alt_response(
    400, schema=TokenErrorSchema, examples=_examples("invalid_request", "invalid_scope", "unsupported_grant_type")
)
@blueprint.alt_response(
    401,
    schema=TokenErrorSchema,
    examples=_examples("invalid_client"),
    headers=headers_of(Unauthenticated),
)
@blueprint.alt_response(
    429, schema=TokenErrorSchema, examples=_examples("temporarily_unavailable"), headers=headers_of(TooMany)
)
@blueprint.alt_response(
    503, schema=TokenErrorSchema, examples=_examples("temporarily_unavailable"), headers=headers_of(Unavailable)
)
@blueprint.doc(**_DOCUMENTED)
def create_token() -> ApiKeyToken:
    """Get an access token for an API key.

    This is the client credentials grant of RFC 6749: HTTP Basic with the prefix of the key as `client_id`, and the key
    as `client_secret`. The token is refused when the key is. There is no refresh token.
    """
    receive(request)  # before the key is looked up: it may be deleted while the body is on the way
    client_id, key = client_credentials(request)
    form = parser.parse(_FORM, request, location="form")
    if form["grant_type"] != CLIENT_CREDENTIALS:
        raise OAuthError("unsupported_grant_type", "The only grant type is client_credentials.")
    # The client is the one that was authenticated, whatever the body says (CVE-2026-118669).
    if "client_secret" in form or form.get("client_id", client_id) != client_id:
        raise OAuthError("invalid_request", "Send the credentials of the client in the Authorization header alone.")
    try:
        return Services.of(current_app).client_credentials.issue_token(
            client_id, key, form.get("scope"), request_context()
        )
    except ScopeRefused as refused:
        raise OAuthError("invalid_scope", str(refused)) from None


@blueprint.errorhandler(OAuthError)
def _answer_error(error: OAuthError) -> Response:
    return _answer(error.error, error.description, 400)


@blueprint.errorhandler(Refusal)
def _answer_refusal(refusal: Refusal) -> Response:
    return _translated(render(refusal), refusal.detail or refusal.title, is_client=isinstance(refusal, Unauthenticated))


@blueprint.errorhandler(SQLAlchemyError)
def _answer_database(error: SQLAlchemyError) -> Response:
    return _translated(render_database(error), "The database cannot be asked.")


@blueprint.errorhandler(HTTPException)
def _answer_http(error: HTTPException) -> Response:
    return _translated(render_http(error), "The request cannot be answered.")


for _status in default_exceptions:
    # Flask looks for a handler of the status first, so without these it would find that of the application.
    blueprint.register_error_handler(_status, _answer_http)


def _translated(rendered: Response, description: str, *, is_client: bool = False) -> Response:
    """Return an answer of ``api/errors.py`` in the form of OAuth, with its headers."""
    if is_client:
        answer = _answer("invalid_client", "The client is not known, or its key is not good any more.", 401)
        answer.headers["WWW-Authenticate"] = 'Basic realm="authapp"'
        return answer
    status = rendered.status_code
    error = (
        "server_error" if status == 500 else "temporarily_unavailable" if status in {429, 503} else "invalid_request"
    )
    answer = _answer(error, description, status if error != "invalid_request" else 400)
    for name in ("Retry-After", "RateLimit", "RateLimit-Policy"):
        if name in rendered.headers:
            answer.headers[name] = rendered.headers[name]
    return answer


def _answer(error: str, description: str, status: int) -> Response:
    request.environ[CODE] = error
    return as_json({"error": error, "error_description": description}, status)
