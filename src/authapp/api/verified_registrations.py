"""Blueprint ``registrations`` where addresses must be verified: no answer tells whether an account has the address."""

from flask import current_app

from authapp.api.context import request_context
from authapp.api.guards import limited, public
from authapp.api.openapi import Blueprint, refuses
from authapp.api.registrations import REFUSALS, SIGNALS, TAGS
from authapp.api.schemas.mail import AcceptedSchema
from authapp.api.schemas.users import RegistrationSchema
from authapp.domain.services import Services

blueprint = Blueprint("registrations", __name__)


@blueprint.post("", tags=TAGS, endpoint="register_user")
@public
@limited("register")
@blueprint.arguments(RegistrationSchema)
@blueprint.response(202, AcceptedSchema)
@refuses(*REFUSALS, signals=SIGNALS)
def register_unverified_user(body: dict[str, str]) -> dict[str, str]:
    """Register an account.

    A mail with a link is sent to the address. Log in when it has been verified. The answer is the same if another
    account has the address; then a mail tells its owner.
    """
    Services.of(current_app).email.verified_registrations.register(**body, context=request_context())
    return {}
