"""Blueprint ``step_ups``: the user of a session is authenticated again."""

from typing import Any

from flask import current_app, request

from authapp.api import jwt_extended, refresh_cookie
from authapp.api.context import request_context
from authapp.api.guards import limited, without_required_factor
from authapp.api.openapi import Blueprint, refuses
from authapp.api.schemas.step_ups import StepUpSchema
from authapp.api.schemas.tokens import TokenPairSchema
from authapp.domain.services import Services
from authapp.domain.sessions.token_pairs import TokenPair
from authapp.errors import PasskeyInvalid, PermissionDenied, SecondFactorInvalid, StepUpRequired, WrongPassword

blueprint = Blueprint("step_ups", __name__, description="Authenticating again")


@blueprint.post("/step-ups")
@limited("password")
@without_required_factor
@blueprint.arguments(StepUpSchema, example={"password": "a long sentence is easy to keep"})
@blueprint.response(200, TokenPairSchema)
@refuses(WrongPassword, SecondFactorInvalid, PasskeyInvalid, StepUpRequired, PermissionDenied)
def create_step_up(body: dict[str, Any]) -> TokenPair:
    """Authenticate again.

    The answer is a new token pair of the same session (RFC 9470): it is fresh, and `auth_time` is now. The access token
    of the request is revoked, and the refresh token is replaced.
    """
    ((method, answer),) = body.items()
    step_ups, is_shared = Services.of(current_app).step_ups, refresh_cookie.is_asked_for(request)
    return step_ups.step_up(method, answer, jwt_extended.claims(), request_context(), is_shared=is_shared)
