"""Blueprint ``introspection``: other services ask whether a token is valid, and clients revoke tokens."""

from typing import Any

from flask import Response, current_app

from authapp.api.authenticate import current_principal
from authapp.api.basic import BASIC
from authapp.api.context import request_context
from authapp.api.guards import accepts, requires
from authapp.api.openapi import Blueprint, refuses
from authapp.api.schemas.tokens import IntrospectionSchema, TokenSchema
from authapp.api.token_kinds import TokenKind
from authapp.domain import hooks
from authapp.domain.roles.permissions import Permission
from authapp.shared_names import EXTENSION

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
    members = _kind_of(form["token"]).introspect(form["token"])
    return {"active": False} if members is None else {"active": True, "token_type": "Bearer", **members}


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
    _kind_of(form["token"]).revoke(form["token"], current_principal().id, request_context())
    return Response(status=200)


def _kind_of(token: str) -> TokenKind:
    kinds: list[TokenKind] = current_app.extensions[EXTENSION].token_kinds
    return next(kind for kind in kinds if kind.recognizes(token))
