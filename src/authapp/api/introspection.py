"""For other services: may this token pass? (part of blueprint ``auth``)."""

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
    """Tell a proxy whether this request may pass, and whose it is (nginx `auth_request`, forward auth)."""
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
    """Tell whether a token would be accepted now (RFC 7662); of a dead one, nothing but that it is not."""
    live = Services.of(current_app).introspection.introspect(form["token"])
    if live is None:
        return {"active": False}
    details = {name: value for name, value in live.claims.items() if name != "fresh"}
    owner = {"username": live.principal.username, "roles": live.principal.roles}
    return {"active": True, "token_type": "Bearer", **details, **owner}


@blueprint.post("/revoke")
@blueprint.arguments(TokenSchema, location="form")
@blueprint.response(200, description="Done, or there was nothing to do.")
def revoke_token(form: dict[str, str]) -> Response:
    """Take back one of the caller's own tokens (RFC 7009): a refresh token with its session, an access token alone."""
    Services.of(current_app).introspection.revoke(form["token"], current_principal().id, request_context())
    return Response(status=200)
