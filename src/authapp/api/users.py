"""Blueprint ``users``: the caller's own account."""

from flask import Response, current_app

from authapp.api import bearer
from authapp.api.guards import fresh
from authapp.api.openapi import Blueprint, refuses
from authapp.api.responses import no_content
from authapp.api.schemas.users import ConfirmationSchema, PasswordChangeSchema, RenameSchema, UserSchema
from authapp.domain import UseCases
from authapp.domain.callers import Caller
from authapp.errors import PasswordRejected, UsernameTaken, WrongPassword
from authapp.models import User

blueprint = Blueprint("users", __name__, description="The caller's own account")


@blueprint.get("/me")
@blueprint.response(200, UserSchema)
def me() -> Caller:
    """Show who is calling."""
    return bearer.caller()


@blueprint.patch("/me")
@blueprint.arguments(RenameSchema)
@blueprint.response(200, UserSchema)
@refuses(UsernameTaken)
def rename(body: dict[str, str]) -> Caller | User:
    """Change the username."""
    caller = bearer.caller()
    return UseCases.of(current_app).accounts.rename(caller.id, body.get("username", caller.username))


@blueprint.delete("/me")
@fresh
@blueprint.arguments(ConfirmationSchema)
@blueprint.response(204)
@refuses(WrongPassword)
def close(body: dict[str, str]) -> Response:
    """Delete the account, with its sessions and its tokens."""
    UseCases.of(current_app).accounts.close(bearer.caller().id, body["password"])
    return no_content()


@blueprint.put("/me/password")
@blueprint.arguments(PasswordChangeSchema)
@blueprint.response(204)
@refuses(WrongPassword, PasswordRejected)
def change_password(body: dict[str, str]) -> Response:
    """Change the password; every other session ends."""
    caller = bearer.caller()
    accounts = UseCases.of(current_app).accounts
    accounts.change_password(caller.id, caller.session_id, body["current_password"], body["new_password"])
    return no_content()
