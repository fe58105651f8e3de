"""Blueprint ``roles``: named sets of permissions."""

from typing import Any

from flask import Response, current_app

from authapp.api import bearer
from authapp.api.guards import requires
from authapp.api.openapi import Blueprint, refuses
from authapp.api.origins import origin
from authapp.api.responses import no_content
from authapp.api.schemas.roles import RoleChangeSchema, RoleCreationSchema, RoleListSchema, RoleSchema
from authapp.domain import UseCases
from authapp.domain.permissions import Permission
from authapp.domain.roles import RoleView
from authapp.errors import ResourceNotFound, RoleProtected, RoleTaken

blueprint = Blueprint("roles", __name__, description="Named sets of permissions")


@blueprint.get("")
@requires(Permission.ROLES_READ)
@blueprint.response(200, RoleListSchema)
def every() -> dict[str, list[RoleView]]:
    """List the roles, by name."""
    return {"items": UseCases.of(current_app).roles.all()}


@blueprint.post("")
@requires(Permission.ROLES_WRITE)
@blueprint.arguments(RoleCreationSchema)
@blueprint.response(201, RoleSchema)
@refuses(RoleTaken)
def create(body: dict[str, Any]) -> RoleView:
    """Make a role, of permissions that the caller holds."""
    return UseCases.of(current_app).roles.create(**body, by=origin(bearer.caller()))


@blueprint.patch("/<name>")
@requires(Permission.ROLES_WRITE)
@blueprint.arguments(RoleChangeSchema)
@blueprint.response(200, RoleSchema)
@refuses(ResourceNotFound, RoleProtected)
def change(body: dict[str, Any], name: str) -> RoleView:
    """Change what a role allows, from the next request of those who have it on."""
    return UseCases.of(current_app).roles.change(name, **body, by=origin(bearer.caller()))


@blueprint.delete("/<name>")
@requires(Permission.ROLES_WRITE)
@blueprint.response(204)
@refuses(ResourceNotFound, RoleProtected)
def delete(name: str) -> Response:
    """Delete a role, and take it from everybody who has it."""
    UseCases.of(current_app).roles.delete(name, by=origin(bearer.caller()))
    return no_content()
