"""Blueprint ``forced_resets``: an administrator has a user choose another password."""

from uuid import UUID

from flask import Response, current_app

from authapp.api.context import request_context
from authapp.api.guards import offered_multi_factor, recent, requires
from authapp.api.openapi import Blueprint, refuses
from authapp.api.responses import no_content
from authapp.api.schemas.forced_resets import ForcedResetSchema
from authapp.domain import hooks
from authapp.domain.roles.permissions import Permission
from authapp.domain.services import Services
from authapp.errors import ResourceNotFound, ServiceAccount

blueprint = Blueprint("forced_resets", __name__, description="Passwords that administrators void")


@blueprint.put("/<uuid:user_id>/password")
@recent()
@offered_multi_factor
@requires(Permission.USERS_WRITE)
@blueprint.arguments(ForcedResetSchema)
@blueprint.response(204)
@refuses(ResourceNotFound, ServiceAccount, signals=(hooks.user_changing,))
def force_password_reset(body: dict[str, str], user_id: UUID) -> Response:  # noqa: ARG001 - its schema has no members
    """Force a password reset.

    The password is void and every session ends. A mail to the user has a link to choose another password.
    """
    Services.of(current_app).email.forced_resets.force(user_id, request_context())
    return no_content()
