"""For other services: may this token pass? (part of blueprint ``auth``)."""

from typing import Any

from flask import Response, current_app

from authapp.api import bearer
from authapp.api.guards import requires
from authapp.api.openapi import Blueprint
from authapp.api.origins import origin
from authapp.api.responses import no_content
from authapp.api.schemas.tokens import IntrospectionSchema, TokenSchema
from authapp.domain import UseCases
from authapp.domain.permissions import Permission

blueprint = Blueprint("inspection", __name__, description="For other services")

_HEADERS = ("X-Auth-User-Id", "X-Auth-Username", "X-Auth-Roles", "X-Auth-Session-Id")


@blueprint.get("/verify")
@blueprint.response(204, headers={name: {"schema": {"type": "string"}, "required": True} for name in _HEADERS})
def verify() -> Response:
    """Tell a proxy whether this request may pass, and whose it is (nginx `auth_request`, forward auth)."""
    caller = bearer.caller()
    response = no_content()
    values = (str(caller.id), caller.username, ",".join(caller.roles), str(caller.session_id))
    response.headers.update(dict(zip(_HEADERS, values, strict=True)))
    return response


@blueprint.post("/introspect")
@requires(Permission.TOKENS_INTROSPECT)
@blueprint.arguments(TokenSchema, location="form")
@blueprint.response(200, IntrospectionSchema)
def introspect(form: dict[str, str]) -> dict[str, Any]:
    """Tell whether a token would be accepted now (RFC 7662); of a dead one, nothing but that it is not."""
    live = UseCases.of(current_app).inspection.introspect(form["token"])
    if live is None:
        return {"active": False}
    details = {name: value for name, value in live.claims.items() if name != "fresh"}
    owner = {"username": live.caller.username, "roles": live.caller.roles}
    return {"active": True, "token_type": "Bearer", **details, **owner}


@blueprint.post("/revoke")
@blueprint.arguments(TokenSchema, location="form")
@blueprint.response(200, description="Done, or there was nothing to do.")
def revoke(form: dict[str, str]) -> Response:
    """Take back one of the caller's own tokens (RFC 7009): a refresh token with its session, an access token alone."""
    caller = bearer.caller()
    UseCases.of(current_app).inspection.revoke(form["token"], caller, origin(caller))
    return Response(status=200)
