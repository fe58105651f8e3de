"""Blueprint ``users``: the caller's own account."""

from authapp.api import bearer
from authapp.api.openapi import Blueprint
from authapp.api.schemas.users import UserSchema
from authapp.domain.callers import Caller

blueprint = Blueprint("users", __name__, description="The caller's own account")


@blueprint.get("/me")
@blueprint.response(200, UserSchema)
def me() -> Caller:
    """Show who is calling."""
    return bearer.caller()
