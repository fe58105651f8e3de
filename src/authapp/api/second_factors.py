"""Blueprint ``second_factors``: the second step of a login."""

from flask import current_app

from authapp.api.context import request_context
from authapp.api.guards import limited, public
from authapp.api.openapi import Blueprint, refuses
from authapp.api.schemas.factors import SecondFactorSchema
from authapp.api.schemas.tokens import TokenPairSchema
from authapp.domain import hooks
from authapp.domain.services import Services
from authapp.domain.sessions.token_pairs import TokenPair
from authapp.errors import SecondFactorInvalid

blueprint = Blueprint("second_factors", __name__, description="Second factors")


@blueprint.post("/second-factors")
@public
@limited("login")
@blueprint.arguments(SecondFactorSchema)
@blueprint.response(200, TokenPairSchema)
@refuses(SecondFactorInvalid, signals=(hooks.before_session_start,))
def complete_login(body: dict[str, str]) -> TokenPair:
    """Complete a login with a second factor.

    A login whose first factor was right is answered with 401 `second_factor_required`, which has the challenge. Five
    wrong codes spend it.
    """
    second_factors = Services.of(current_app).factors.second_factors
    return second_factors.log_in(body["challenge"], body["factor"], body["code"], request_context())
