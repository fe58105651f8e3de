"""Blueprint ``introspection``: other services ask whether a token is valid, and clients revoke tokens."""

from typing import Any

from flask import Response, current_app

from authapp.api.authenticate import current_principal
from authapp.api.context import request_context
from authapp.api.guards import requires
from authapp.api.openapi import Blueprint
from authapp.api.responses import no_content
from authapp.api.schemas.tokens import IntrospectionSchema, TokenSchema
from authapp.domain.roles.permissions import Permission
from authapp.domain.services import Services

blueprint = Blueprint("introspection", __name__, description="For other services")

_HEADERS = ("X-Auth-User-Id", "X-Auth-Username", "X-Auth-Roles", "X-Auth-Session-Id")


@blueprint.get("/verify")
@blueprint.response(204, headers={name: {"schema": {"type": "string"}, "required": True} for name in _HEADERS})
def verify_request() -> Response:
    """Verify a request for a proxy.

    It is made for nginx's auth_request and for forward auth. A 204 lets the request through. Its headers hold the
    user's id, username, roles and session id.
    """
    principal = current_principal()
    response = no_content()
    values = (str(principal.id), principal.username, ",".join(principal.roles), str(principal.session_id or ""))
    response.headers.update(dict(zip(_HEADERS, values, strict=True)))
    return response


@blueprint.post("/introspect")
@requires(Permission.TOKENS_INTROSPECT)
@blueprint.arguments(TokenSchema, location="form")
@blueprint.response(200, IntrospectionSchema)
def introspect_token(form: dict[str, str]) -> dict[str, Any]:
    """Introspect a token.

    This says whether the token would be accepted now (RFC 7662). For a token that would not be accepted, the response
    is only `{"active": false}`.
    """
    token = Services.of(current_app).introspection.introspect(form["token"])
    if token is None:
        return {"active": False}
    details = {name: value for name, value in token.claims.items() if name != "fresh"}
    owner = {"username": token.principal.username, "roles": token.principal.roles}
    return {"active": True, "token_type": "Bearer", **details, **owner}


@blueprint.post("/revoke")
@blueprint.arguments(TokenSchema, location="form")
@blueprint.response(200, description="The token is revoked, or there was nothing to revoke.")
def revoke_token(form: dict[str, str]) -> Response:
    """Revoke one of your own tokens.

    This is RFC 7009. Revoking a refresh token ends its session. Revoking an access token affects only that token.
    """
    Services.of(current_app).introspection.revoke(form["token"], current_principal().id, request_context())
    return Response(status=200)
