"""Blueprint ``second_factors``: the second step of a login."""

from typing import Any

from flask import Response, current_app

from authapp.api.context import request_context
from authapp.api.guards import limited, public
from authapp.api.openapi import Blueprint, refuses
from authapp.api.responses import as_json
from authapp.api.schemas.factors import CHALLENGE, TOTP_CODE, SecondFactorSchema
from authapp.api.schemas.passkeys import PasskeyRequestOptionsSchema
from authapp.api.schemas.tokens import TokenPairSchema
from authapp.domain import hooks
from authapp.domain.factors.kinds import TOTP
from authapp.domain.services import Services
from authapp.errors import ChallengeInvalid, SecondFactorInvalid

blueprint = Blueprint("second_factors", __name__, description="Second factors")

_TOKENS_OR_OPTIONS = {
    "description": "The tokens, or what to ask a passkey with.",
    "content": {"application/json": {"schema": {"oneOf": [TokenPairSchema, PasskeyRequestOptionsSchema]}}},
}


@blueprint.post("/second-factors")
@public
@limited("login")
@blueprint.arguments(SecondFactorSchema, example={"challenge": CHALLENGE, "factor": TOTP, "code": TOTP_CODE})
@blueprint.response(200)
@blueprint.doc(responses={"200": _TOKENS_OR_OPTIONS})
@refuses(SecondFactorInvalid, ChallengeInvalid, signals=(hooks.before_session_start,))
def complete_login(body: dict[str, Any]) -> Response:
    """Complete a login with a second factor.

    A login whose first factor was right is answered with 401 `second_factor_required`, which has the challenge. Five
    wrong codes spend it. The factor `passkey` alone is answered with what to pass to `navigator.credentials.get()`;
    send it again with the `credential` that this returns.
    """
    second_factors, context = Services.of(current_app).factors.second_factors, request_context()
    token, factor = body["challenge"], body["factor"]
    answer = body.get("code", body.get("credential"))
    if answer is None:
        return as_json(second_factors.options(token, factor), 200)
    return as_json(TokenPairSchema().dump(second_factors.log_in(token, factor, answer, context)), 200)
