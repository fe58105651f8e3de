"""Blueprint ``users``: one's own account and, for administrators, all accounts."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from flask import Response, current_app

from authapp.api import refresh_cookie
from authapp.api.authenticate import current_principal
from authapp.api.context import request_context
from authapp.api.cookie_document import clears_cookie
from authapp.api.guards import fresh, limited, requires
from authapp.api.openapi import Blueprint, refuses
from authapp.api.paths import LOCATION, user_path
from authapp.api.responses import no_content
from authapp.api.schemas.users import (
    ConfirmationSchema,
    OwnUserSchema,
    PasswordChangeSchema,
    RenameSchema,
    UserChangeSchema,
    UserCreationSchema,
    UserPageSchema,
    UserQuerySchema,
    UserSchema,
)
from authapp.context import Principal
from authapp.domain import hooks
from authapp.domain.pages import Page
from authapp.domain.roles.permissions import Permission
from authapp.domain.services import Services
from authapp.domain.sessions.sessions import LogoutScope
from authapp.domain.users.administration import Changes
from authapp.domain.users.search import UserFilter
from authapp.errors import (
    EmailTaken,
    LastAdmin,
    PasswordRejected,
    PermissionDenied,
    ResourceNotFound,
    StepUpRequired,
    UsernameTaken,
    WrongPassword,
)
from authapp.models import User

blueprint = Blueprint("users", __name__, description="Accounts")


@blueprint.get("/me")
@blueprint.response(200, OwnUserSchema)
def get_own_account() -> Principal:
    """Get your own account."""
    return current_principal()


@blueprint.patch("/me")
@blueprint.arguments(RenameSchema)
@blueprint.response(200, OwnUserSchema)
@refuses(UsernameTaken, signals=(hooks.user_changing,))
def update_own_account(body: dict[str, str]) -> Principal:
    """Change your own username."""
    principal = current_principal()
    user = Services.of(current_app).accounts.rename(principal.id, **body, context=request_context())
    return replace(principal, username=user.username, updated_at=user.updated_at)


@blueprint.delete("/me")
@fresh
@limited("password")
@blueprint.arguments(ConfirmationSchema)
@blueprint.response(204)
@refuses(WrongPassword, LastAdmin, StepUpRequired)
@clears_cookie
def delete_own_account(body: dict[str, str]) -> Response:
    """Delete your own account.

    Its sessions and tokens end with it. If the account has a second factor, the session must have proven one.
    """
    principal = current_principal()
    Services.of(current_app).accounts.delete_own(principal.id, body.get("password"), request_context())
    return refresh_cookie.cleared_if_asked(no_content(), LogoutScope.GLOBAL)


@blueprint.put("/me/password")
@limited("password")
@blueprint.arguments(PasswordChangeSchema)
@blueprint.response(204)
@refuses(WrongPassword, PasswordRejected, StepUpRequired, PermissionDenied, signals=(hooks.user_changing,))
def change_own_password(body: dict[str, str]) -> Response:
    """Change your own password.

    All other sessions end. If the account has a second factor, this session must have proven one.
    """
    principal = current_principal()
    Services.of(current_app).accounts.change_password(
        principal.id, principal.session_id, body["current_password"], body["new_password"], request_context()
    )
    return no_content()


@blueprint.get("")
@requires(Permission.USERS_READ)
@blueprint.arguments(UserQuerySchema, location="query")
@blueprint.response(200, UserPageSchema)
def list_users(query: dict[str, Any]) -> Page[User]:
    """List or search users.

    The list is in descending order of the ids: newest first, except for imported users who kept the id that they had
    elsewhere. With `q`, the list has the users whose username or email address starts with `q`, sorted by the matching
    name.
    """
    limit, cursor = query.pop("limit"), query.pop("cursor")
    return Services.of(current_app).user_search.search(UserFilter(**query), limit, cursor)


@blueprint.post("")
@requires(Permission.USERS_WRITE)
@blueprint.arguments(UserCreationSchema)
@blueprint.response(201, UserSchema, headers=LOCATION)
@refuses(UsernameTaken, EmailTaken, PasswordRejected, StepUpRequired, signals=(hooks.user_creating,))
def create_user(body: dict[str, Any]) -> tuple[User, dict[str, str]]:
    """Create an account.

    This also works when registration is closed. The roles cannot have permissions that you do not have yourself, and
    need a recent login. With the kind `service`, it is the account of a program, which has no address and no
    password, and uses API keys alone.
    """
    user = Services.of(current_app).accounts.create(**body, context=request_context())
    return user, {"Location": user_path(user.id)}


@blueprint.get("/<uuid:user_id>")
@requires(Permission.USERS_READ)
@blueprint.response(200, UserSchema)
@refuses(ResourceNotFound)
def get_user(user_id: UUID) -> User:
    """Get a user."""
    return Services.of(current_app).accounts.find(user_id)


@blueprint.patch("/<uuid:user_id>")
@requires(Permission.USERS_WRITE)
@blueprint.arguments(UserChangeSchema)
@blueprint.response(200, UserSchema)
@refuses(
    *(ResourceNotFound, UsernameTaken, EmailTaken, LastAdmin, StepUpRequired),
    signals=(hooks.user_changing,),
)
def update_user(body: dict[str, Any], user_id: UUID) -> User:
    """Change an account.

    What is left out stays as it is. With status `disabled`, its tokens are refused from the next request on. With
    status `active`, its failed logins are also reset. Another email address needs a recent login or step-up. For your
    own, use `PUT /users/me/email` if it exists.
    """
    return Services.of(current_app).administration.change(user_id, Changes(**body), request_context())


@blueprint.delete("/<uuid:user_id>")
@requires(Permission.USERS_WRITE)
@blueprint.response(204)
@refuses(ResourceNotFound, LastAdmin)
def delete_user(user_id: UUID) -> Response:
    """Delete an account.

    Its sessions and tokens end with it.
    """
    Services.of(current_app).administration.delete(user_id, request_context())
    return no_content()


@blueprint.delete("/<uuid:user_id>/sessions")
@requires(Permission.USERS_WRITE)
@blueprint.response(204)
@refuses(ResourceNotFound)
def delete_user_sessions(user_id: UUID) -> Response:
    """End all sessions of a user.

    Their tokens are refused from the next request on.
    """
    Services.of(current_app).administration.end_sessions(user_id, request_context())
    return no_content()
