"""Blueprints of registration: one answers with the account, and one, where its address must be verified, does not."""

from flask import current_app

from authapp.api.context import request_context
from authapp.api.guards import limited, public
from authapp.api.openapi import Blueprint, refuses
from authapp.api.paths import LOCATION, user_path
from authapp.api.schemas.mail import AcceptedSchema
from authapp.api.schemas.users import RegistrationSchema, UserSchema
from authapp.domain import hooks
from authapp.domain.services import Services
from authapp.errors import EmailTaken, PasswordRejected, RegistrationClosed, ServiceUnavailable, UsernameTaken
from authapp.models import User

TAGS = ["auth"]
"""Those of the other routes below ``/auth``: generated clients group by them."""

blueprint = Blueprint("registrations", __name__)
verified = Blueprint("registrations", __name__)

_REFUSALS = (UsernameTaken, PasswordRejected, RegistrationClosed, ServiceUnavailable)
_SIGNALS = (hooks.before_registration, hooks.user_creating)


@blueprint.post("", tags=TAGS)
@public
@limited("register")
@blueprint.arguments(RegistrationSchema)
@blueprint.response(201, UserSchema, headers=LOCATION)
@refuses(*_REFUSALS, EmailTaken, signals=_SIGNALS)
def register_user(body: dict[str, str]) -> tuple[User, dict[str, str]]:
    """Register an account."""
    user = Services.of(current_app).accounts.register(**body, context=request_context())
    return user, {"Location": user_path(user.id)}


@verified.post("", tags=TAGS, endpoint="register_user")
@public
@limited("register")
@verified.arguments(RegistrationSchema)
@verified.response(202, AcceptedSchema)
@refuses(*_REFUSALS, signals=_SIGNALS)
def register_unverified_user(body: dict[str, str]) -> dict[str, str]:
    """Register an account.

    A mail with a link is sent to the address. Log in when it has been verified. The answer is the same if another
    account has the address; then a mail tells its owner.
    """
    Services.of(current_app).verified_registration.register(**body, context=request_context())
    return {}
