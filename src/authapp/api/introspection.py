"""Blueprint ``introspection``: other services ask whether a token is valid, and clients revoke tokens."""

from typing import Any

from flask import Response, current_app

from authapp.api.authenticate import current_principal
from authapp.api.basic import HTTPBasic
from authapp.api.context import request_context
from authapp.api.guards import accepts, requires
from authapp.api.openapi import Blueprint, refuses
from authapp.api.schemas.tokens import IntrospectionSchema, TokenSchema
from authapp.domain import hooks
from authapp.domain.roles.permissions import Permission
from authapp.domain.services import Services

blueprint = Blueprint("introspection", __name__, description="For other services")

BASIC = HTTPBasic()


@blueprint.post("/introspect")
@accepts(BASIC)
@requires(Permission.TOKENS_INTROSPECT)
@blueprint.arguments(TokenSchema, location="form")
@blueprint.response(200, IntrospectionSchema)
@refuses(signals=(hooks.before_session_start,))
def introspect_token(form: dict[str, str]) -> dict[str, Any]:
    """Introspect a token.

    This says whether the token would be accepted now (RFC 7662). For a token that would not be accepted, the response
    is only `{"active": false}`.
    """
    token = Services.of(current_app).introspection.introspect(form["token"])
    if token is None:
        return {"active": False}
    details = {name: value for name, value in token.claims.items() if name != "fresh"}
    principal = token.principal
    is_verified = principal.email_verified_at is not None
    owner = {"username": principal.username, "roles": principal.roles, "email_verified": is_verified}
    return {"active": True, "token_type": "Bearer", **details, **owner}


@blueprint.post("/revoke")
@accepts(BASIC)
@blueprint.arguments(TokenSchema, location="form")
@blueprint.response(200, description="The token is revoked, or there was nothing to revoke.")
@refuses(signals=(hooks.before_session_start,))
def revoke_token(form: dict[str, str]) -> Response:
    """Revoke one of your own tokens.

    This is RFC 7009. Revoking a refresh token ends its session. Revoking an access token affects only that token.
    """
    Services.of(current_app).introspection.revoke(form["token"], current_principal().id, request_context())
    return Response(status=200)
