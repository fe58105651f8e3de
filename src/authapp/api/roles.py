"""Blueprint ``roles``: named sets of permissions."""

from typing import Any

from flask import Response, current_app

from authapp.api.context import request_context
from authapp.api.guards import requires
from authapp.api.openapi import Blueprint, refuses
from authapp.api.responses import no_content
from authapp.api.schemas.pages import PageQuerySchema
from authapp.api.schemas.roles import RoleChangeSchema, RoleCreationSchema, RolePageSchema, RoleSchema
from authapp.domain.pages import Page
from authapp.domain.roles.permissions import Permission
from authapp.domain.roles.roles import RoleView
from authapp.domain.services import Services
from authapp.errors import ResourceNotFound, RoleProtected, RoleTaken, StepUpRequired

blueprint = Blueprint("roles", __name__, description="Named sets of permissions")


@blueprint.get("")
@requires(Permission.ROLES_READ)
@blueprint.arguments(PageQuerySchema, location="query")
@blueprint.response(200, RolePageSchema)
def list_roles(query: dict[str, Any]) -> Page[RoleView]:
    """List the roles.

    They are sorted by name.
    """
    return Services.of(current_app).roles.page(**query)


@blueprint.post("")
@requires(Permission.ROLES_WRITE)
@blueprint.arguments(RoleCreationSchema)
@blueprint.response(201, RoleSchema)
@refuses(RoleTaken)
def create_role(body: dict[str, Any]) -> RoleView:
    """Create a role.

    It can only have permissions that you have yourself.
    """
    return Services.of(current_app).roles.create(**body, context=request_context())


@blueprint.patch("/<name>")
@requires(Permission.ROLES_WRITE)
@blueprint.arguments(RoleChangeSchema)
@blueprint.response(200, RoleSchema)
@refuses(ResourceNotFound, RoleProtected, StepUpRequired)
def update_role(body: dict[str, Any], name: str) -> RoleView:
    """Change a role.

    What is left out stays as it is. The change takes effect on the next request of each user with the role. Other
    permissions need a recent login.
    """
    return Services.of(current_app).roles.change(name, **body, context=request_context())


@blueprint.delete("/<name>")
@requires(Permission.ROLES_WRITE)
@blueprint.response(204)
@refuses(ResourceNotFound, RoleProtected)
def delete_role(name: str) -> Response:
    """Delete a role.

    It is revoked from all users who have it, from their next request on.
    """
    Services.of(current_app).roles.delete(name, context=request_context())
    return no_content()
