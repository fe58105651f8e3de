"""Blueprint ``introspection``: other services ask whether a token is valid, and clients revoke tokens."""

from typing import Any

from flask import Response, current_app

from authapp.api.authenticate import current_principal
from authapp.api.basic import BASIC
from authapp.api.context import request_context
from authapp.api.guards import accepts, requires
from authapp.api.openapi import Blueprint, refuses
from authapp.api.schemas.tokens import IntrospectionSchema, TokenSchema
from authapp.context import Principal
from authapp.domain import hooks
from authapp.domain.api_keys.verification import FoundApiKey
from authapp.domain.roles.permissions import Permission
from authapp.domain.services import Services
from authapp.security.api_keys import TAG, prefix_of

blueprint = Blueprint("introspection", __name__, description="For other services")


@blueprint.post("/introspect")
@accepts(BASIC)
@requires(Permission.TOKENS_INTROSPECT)
@blueprint.arguments(TokenSchema, location="form")
@blueprint.response(200, IntrospectionSchema)
@refuses(signals=(hooks.before_session_start,))
def introspect_token(form: dict[str, str]) -> dict[str, Any]:
    """Introspect a token.

    This says whether the token would be accepted now (RFC 7662). For a token that would not be accepted, the response
    is only `{"active": false}`. An API key is a token, too.
    """
    services = Services.of(current_app)
    if form["token"].startswith(TAG):
        return _of_key(services.api_key_verifier.introspect(form["token"]))
    token = services.introspection.introspect(form["token"])
    if token is None:
        return {"active": False}
    details = {name: value for name, value in token.claims.items() if name != "fresh"}
    return {"active": True, "token_type": "Bearer", **details, **_owner(token.principal)}


@blueprint.post("/revoke")
@accepts(BASIC)
@blueprint.arguments(TokenSchema, location="form")
@blueprint.response(200, description="The token is revoked, or there was nothing to revoke.")
@refuses(signals=(hooks.before_session_start,))
def revoke_token(form: dict[str, str]) -> Response:
    """Revoke one of your own tokens.

    This is RFC 7009. Revoking a refresh token ends its session. Revoking an access token affects only that token.
    Revoking an API key deletes it.
    """
    services = Services.of(current_app)
    revoke = services.api_keys.delete_presented if form["token"].startswith(TAG) else services.introspection.revoke
    revoke(form["token"], current_principal().id, request_context())
    return Response(status=200)


def _of_key(key: FoundApiKey | None) -> dict[str, Any]:
    if key is None:
        return {"active": False}
    user_id = key.principal.id
    details = {"sub": user_id, "type": "access", "akid": key.id, "client_id": prefix_of(user_id, key.id)}
    if key.expires_at is not None:
        details["exp"] = int(key.expires_at.timestamp())
    return {"active": True, "token_type": "Bearer", **details, **_owner(key.principal)}


def _owner(principal: Principal) -> dict[str, Any]:
    is_verified = principal.email_verified_at is not None
    owner = {"username": principal.username, "roles": principal.roles, "email_verified": is_verified}
    # What a key may do is no role: another service goes by its permissions.
    return owner if principal.api_key_id is None else {**owner, "scope": " ".join(sorted(principal.permissions))}
