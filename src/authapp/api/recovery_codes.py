"""Blueprint ``recovery_codes``: making one's own recovery codes anew."""

from typing import Any

from flask import current_app

from authapp.api.authenticate import current_principal
from authapp.api.context import request_context
from authapp.api.guards import limited, multi_factor, recent
from authapp.api.openapi import Blueprint, refuses
from authapp.api.schemas.factor_changes import NoMembersSchema
from authapp.api.schemas.factors import RecoveryCodesSchema
from authapp.domain.services import Services
from authapp.errors import ResourceNotFound

blueprint = Blueprint("recovery_codes", __name__, description="Second factors")


@blueprint.post("")
@recent()
@multi_factor
@limited("password")
@blueprint.arguments(NoMembersSchema)
@blueprint.response(201, RecoveryCodesSchema)
@refuses(ResourceNotFound)
def create_recovery_codes(body: dict[str, Any]) -> dict[str, list[str]]:  # noqa: ARG001 - it is empty
    """Make new recovery codes.

    Those from before are void.
    """
    services = Services.of(current_app)
    return {"recovery_codes": services.factors.recovery_code_renewal.renew(current_principal().id, request_context())}
