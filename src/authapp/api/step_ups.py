"""Blueprint ``step_ups``: the user of a session is authenticated again."""

from typing import Any
from uuid import UUID

from flask import Response, current_app, request

from authapp.api import jwt_extended, refresh_cookie
from authapp.api.context import request_context
from authapp.api.guards import limited, without_required_factor
from authapp.api.openapi import Blueprint, refuses
from authapp.api.responses import as_json
from authapp.api.schemas.factors import AnsweredSchemas
from authapp.api.schemas.step_ups import StepUpSchema
from authapp.api.schemas.tokens import TokenPairSchema
from authapp.domain.services import Services
from authapp.errors import PasskeyInvalid, PermissionDenied, SecondFactorInvalid, StepUpRequired, WrongPassword

_EITHER = {"oneOf": AnsweredSchemas(TokenPairSchema)}
_EITHER_IS = "The tokens."

blueprint = Blueprint("step_ups", __name__, description="Authenticating again")


@blueprint.post("/step-ups")
@limited("password")
@without_required_factor
@blueprint.arguments(StepUpSchema, example={"password": "a long sentence is easy to keep"})
@blueprint.response(200)
@blueprint.doc(responses={"200": {"description": _EITHER_IS, "content": {"application/json": {"schema": _EITHER}}}})
@refuses(WrongPassword, SecondFactorInvalid, PasskeyInvalid, StepUpRequired, PermissionDenied)
def create_step_up(body: dict[str, Any]) -> Response:
    """Authenticate again.

    The answer is a new token pair of the same session (RFC 9470): it is fresh, and `auth_time` is now. The access token
    of the request is revoked, and the refresh token is replaced.
    """
    services, claims, context = Services.of(current_app), jwt_extended.claims(), request_context()
    ((method, proof),) = body.items()
    if method == "options":
        return as_json(services.factors.second_factors.step_up_options(UUID(claims["sub"]), proof, context), 200)
    is_shared = refresh_cookie.is_asked_for(request)
    pair = services.step_ups.step_up(method, proof, claims, context, is_shared=is_shared)
    return as_json(TokenPairSchema().dump(pair), 200)
