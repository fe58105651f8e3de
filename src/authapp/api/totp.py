"""Blueprint ``totp``: the authenticator app of one's own account."""

from typing import Any

from flask import Response, current_app

from authapp.api.authenticate import current_principal
from authapp.api.context import request_context
from authapp.api.guards import limited, multi_factor, recent, without_required_factor
from authapp.api.openapi import Blueprint, refuses
from authapp.api.responses import no_content
from authapp.api.schemas.factor_changes import KeptSessionsSchema, NoMembersSchema, ended_scope
from authapp.api.schemas.factors import EnrolmentSchema, RecoveryCodesSchema, TotpCodeSchema
from authapp.domain.factors.totp_factors import TotpSecret
from authapp.domain.services import Services
from authapp.errors import FactorExists, ResourceNotFound, SecondFactorInvalid

blueprint = Blueprint("totp", __name__, description="Second factors")


@blueprint.post("")
@without_required_factor
@recent()
@limited("password")
@blueprint.arguments(NoMembersSchema)
@blueprint.response(201, EnrolmentSchema)
@refuses(FactorExists)
def create_totp_secret(body: dict[str, Any]) -> TotpSecret:  # noqa: ARG001 - it is empty
    """Get a secret for an authenticator app.

    It counts once a code of it is sent with PUT, within ten minutes. Another request replaces it.
    """
    return Services.of(current_app).factors.totp_enrolment.begin(current_principal().id, request_context())


@blueprint.put("")
@without_required_factor
@recent()
@limited("password")
@blueprint.arguments(TotpCodeSchema)
@blueprint.arguments(KeptSessionsSchema, location="query")
@blueprint.response(200, RecoveryCodesSchema)
@refuses(SecondFactorInvalid)
def confirm_totp(body: dict[str, str], query: dict[str, str]) -> dict[str, list[str]]:
    """Add the authenticator app.

    From now on, a login with the password asks for a code as well. The answer has recovery codes, which are not shown
    again. The other sessions end, and the owner gets a mail.
    """
    totp_enrolment = Services.of(current_app).factors.totp_enrolment
    scope = ended_scope(query)
    codes = totp_enrolment.confirm(current_principal().id, body["code"], request_context(), scope=scope)
    return {"recovery_codes": codes}


@blueprint.delete("")
@recent()
@multi_factor
@limited("password")
@blueprint.arguments(KeptSessionsSchema, location="query")
@blueprint.response(204)
@refuses(ResourceNotFound)
def delete_totp(query: dict[str, str]) -> Response:
    """Remove the authenticator app.

    The other sessions end, and the owner gets a mail.
    """
    services = Services.of(current_app)
    services.factors.totp_enrolment.remove(current_principal().id, request_context(), scope=ended_scope(query))
    return no_content()
