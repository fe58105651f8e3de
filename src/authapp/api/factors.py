"""Blueprint ``factors``: which second factors an account has. ``resets``: removing those of somebody else."""

from typing import Any
from uuid import UUID

from flask import Response, current_app

from authapp.api.authenticate import current_principal
from authapp.api.context import request_context
from authapp.api.guards import offered_multi_factor, recent, requires, without_required_factor
from authapp.api.openapi import Blueprint, refuses
from authapp.api.responses import no_content
from authapp.api.schemas.factor_kinds import FactorsSchema
from authapp.domain.factors.enrolled import shown_factors
from authapp.domain.roles.permissions import Permission
from authapp.domain.services import Services
from authapp.errors import ResourceNotFound, ServiceAccount

blueprint = Blueprint("factors", __name__, description="Second factors")
resets = Blueprint("factor_resets", __name__, description="Second factors")


@blueprint.get("")
@without_required_factor
@blueprint.response(200, FactorsSchema)
def list_own_factors() -> dict[str, Any]:
    """List one's own factors."""
    return shown_factors(current_principal().id)


@resets.delete("/<uuid:user_id>/factors")
@recent()
@offered_multi_factor
@requires(Permission.USERS_WRITE)
@resets.response(204)
@refuses(ResourceNotFound, ServiceAccount)
def reset_factors(user_id: UUID) -> Response:
    """Remove all second factors of a user.

    It is for an owner who has lost them all. Every session of the account ends, and its owner gets a mail. If there are
    none, nothing happens.
    """
    Services.of(current_app).factors.resets.reset(user_id, request_context())
    return no_content()
