"""Blueprint ``auth``: register, log in, refresh, log out."""

from flask import Response, current_app

from authapp.api import bearer
from authapp.api.guards import limited, public, refresh_token
from authapp.api.openapi import Blueprint, refuses
from authapp.api.origins import origin
from authapp.api.paths import LOCATION, user_path
from authapp.api.responses import no_content
from authapp.api.schemas.tokens import LoginSchema, LogoutSchema, RefreshSchema, TokenPairSchema
from authapp.api.schemas.users import RegistrationSchema, UserSchema
from authapp.domain import UseCases
from authapp.domain.address_limits import LimitName
from authapp.domain.sessions import LogoutScope
from authapp.domain.token_pairs import TokenPair
from authapp.errors import (
    EmailTaken,
    InvalidCredentials,
    MalformedRequest,
    PasswordRejected,
    PayloadTooLarge,
    RefreshTokenReused,
    RegistrationClosed,
    ServiceUnavailable,
    UnsupportedMediaType,
    UsernameTaken,
    ValidationFailed,
)
from authapp.models import User

blueprint = Blueprint("auth", __name__, description="Accounts and tokens")


@blueprint.post("/register")
@public
@limited(LimitName.REGISTER)
@blueprint.arguments(RegistrationSchema)
@blueprint.response(201, UserSchema, headers=LOCATION)
@refuses(UsernameTaken, EmailTaken, PasswordRejected, RegistrationClosed, ServiceUnavailable)
def register(body: dict[str, str]) -> tuple[User, dict[str, str]]:
    """Create an account."""
    user = UseCases.of(current_app).accounts.register(**body, origin=origin())
    return user, {"Location": user_path(user.id)}


@blueprint.post("/login")
@public
@limited(LimitName.LOGIN)
@blueprint.arguments(LoginSchema)
@blueprint.response(200, TokenPairSchema)
@refuses(InvalidCredentials, ServiceUnavailable)
def login(body: dict[str, str]) -> TokenPair:
    """Start a session, with the username or the email address and the password."""
    return UseCases.of(current_app).sessions.log_in(body["username"], body["password"], origin())


@blueprint.post("/refresh")
@refresh_token
@limited(LimitName.REFRESH)
@blueprint.doc(requestBody={"required": False, "content": {"application/json": {"schema": RefreshSchema}}})
@blueprint.response(200, TokenPairSchema)
@refuses(RefreshTokenReused, MalformedRequest, UnsupportedMediaType, PayloadTooLarge, ValidationFailed)
def refresh() -> TokenPair:
    """Exchange the refresh token, sent as bearer or in the body, for a new pair; it cannot be exchanged again."""
    return UseCases.of(current_app).sessions.refresh(bearer.claims(), origin())


@blueprint.post("/logout")
@blueprint.arguments(LogoutSchema, location="query")
@blueprint.response(204)
def logout(query: dict[str, LogoutScope]) -> Response:
    """End this session, all the others, or every one: their tokens are dead on the next request, everywhere."""
    UseCases.of(current_app).sessions.log_out(bearer.claims(), query["scope"], origin())
    return no_content()
