"""Blueprint ``users``: the caller's own account, and for administrators everybody's."""

from typing import Any
from uuid import UUID

from flask import Response, current_app

from authapp.api import bearer
from authapp.api.guards import fresh, limited, requires
from authapp.api.openapi import Blueprint, refuses
from authapp.api.origins import origin
from authapp.api.paths import LOCATION, user_path
from authapp.api.responses import no_content
from authapp.api.schemas.users import (
    ConfirmationSchema,
    PasswordChangeSchema,
    RenameSchema,
    UserChangeSchema,
    UserCreationSchema,
    UserPageSchema,
    UserQuerySchema,
    UserSchema,
)
from authapp.domain import UseCases
from authapp.domain.address_limits import LimitName
from authapp.domain.administration import Changes
from authapp.domain.callers import Caller
from authapp.domain.directory import UserFilter
from authapp.domain.pages import Page
from authapp.domain.permissions import Permission
from authapp.errors import (
    EmailTaken,
    LastAdmin,
    PasswordRejected,
    ResourceNotFound,
    UsernameTaken,
    WrongPassword,
)
from authapp.models import User

blueprint = Blueprint("users", __name__, description="Accounts")


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
    if "username" not in body:
        return caller
    return UseCases.of(current_app).accounts.rename(caller.id, body["username"], origin(caller))


@blueprint.delete("/me")
@fresh
@limited(LimitName.PASSWORD)
@blueprint.arguments(ConfirmationSchema)
@blueprint.response(204)
@refuses(WrongPassword, LastAdmin)
def close(body: dict[str, str]) -> Response:
    """Delete the account, with its sessions and its tokens."""
    caller = bearer.caller()
    UseCases.of(current_app).accounts.close(caller.id, body["password"], origin(caller))
    return no_content()


@blueprint.put("/me/password")
@limited(LimitName.PASSWORD)
@blueprint.arguments(PasswordChangeSchema)
@blueprint.response(204)
@refuses(WrongPassword, PasswordRejected)
def change_password(body: dict[str, str]) -> Response:
    """Change the password; every other session ends."""
    caller = bearer.caller()
    UseCases.of(current_app).accounts.change_password(
        caller.id, caller.session_id, body["current_password"], body["new_password"], origin(caller)
    )
    return no_content()


@blueprint.get("")
@requires(Permission.USERS_READ)
@blueprint.arguments(UserQuerySchema, location="query")
@blueprint.response(200, UserPageSchema)
def search(query: dict[str, Any]) -> Page[User]:
    """List the users, the newest first; with `q` those whose username or email address begins so, by name."""
    limit, cursor = query.pop("limit"), query.pop("cursor")
    return UseCases.of(current_app).directory.users(UserFilter(**query), limit, cursor)


@blueprint.post("")
@requires(Permission.USERS_WRITE)
@blueprint.arguments(UserCreationSchema)
@blueprint.response(201, UserSchema, headers=LOCATION)
@refuses(UsernameTaken, EmailTaken, PasswordRejected)
def create(body: dict[str, Any]) -> tuple[User, dict[str, str]]:
    """Create an account, also where registration is closed; with roles that may do no more than the caller."""
    user = UseCases.of(current_app).accounts.create(**body, by=origin(bearer.caller()))
    return user, {"Location": user_path(user.id)}


@blueprint.get("/<uuid:user_id>")
@requires(Permission.USERS_READ)
@blueprint.response(200, UserSchema)
@refuses(ResourceNotFound)
def show(user_id: UUID) -> User:
    """Show a user."""
    return UseCases.of(current_app).accounts.find(user_id)


@blueprint.patch("/<uuid:user_id>")
@requires(Permission.USERS_WRITE)
@blueprint.arguments(UserChangeSchema)
@blueprint.response(200, UserSchema)
@refuses(ResourceNotFound, UsernameTaken, EmailTaken, LastAdmin)
def change(body: dict[str, Any], user_id: UUID) -> User:
    """Change an account. Disabling kills its tokens at once; `active` also forgets its failed logins."""
    return UseCases.of(current_app).administration.change(user_id, Changes(**body), origin(bearer.caller()))


@blueprint.delete("/<uuid:user_id>")
@requires(Permission.USERS_WRITE)
@blueprint.response(204)
@refuses(ResourceNotFound, LastAdmin)
def delete(user_id: UUID) -> Response:
    """Delete an account, with its sessions and its tokens."""
    UseCases.of(current_app).administration.delete(user_id, origin(bearer.caller()))
    return no_content()


@blueprint.delete("/<uuid:user_id>/sessions")
@requires(Permission.USERS_WRITE)
@blueprint.response(204)
@refuses(ResourceNotFound)
def end_sessions(user_id: UUID) -> Response:
    """End every session of a user: all their tokens are dead on the next request."""
    UseCases.of(current_app).administration.end_sessions(user_id, origin(bearer.caller()))
    return no_content()
