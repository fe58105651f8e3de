"""Blueprint ``registrations``: guests create accounts for themselves."""

from flask import current_app

from authapp.api.context import request_context
from authapp.api.guards import limited, public
from authapp.api.openapi import Blueprint, refuses
from authapp.api.paths import LOCATION, user_path
from authapp.api.schemas.users import RegistrationSchema, UserSchema
from authapp.domain import hooks
from authapp.domain.services import Services
from authapp.errors import EmailTaken, PasswordRejected, RegistrationClosed, ServiceUnavailable, UsernameTaken
from authapp.models import User

TAGS = ["auth"]
"""Those of the other routes below ``/auth``: generated clients group by them."""

blueprint = Blueprint("registrations", __name__)

REFUSALS = (UsernameTaken, PasswordRejected, RegistrationClosed, ServiceUnavailable)
SIGNALS = (hooks.before_registration, hooks.user_creating)


@blueprint.post("", tags=TAGS)
@public
@limited("register")
@blueprint.arguments(RegistrationSchema)
@blueprint.response(201, UserSchema, headers=LOCATION)
@refuses(*REFUSALS, EmailTaken, signals=SIGNALS)
def register_user(body: dict[str, str]) -> tuple[User, dict[str, str]]:
    """Register an account."""
    user = Services.of(current_app).accounts.register(**body, context=request_context())
    return user, {"Location": user_path(user.id)}
