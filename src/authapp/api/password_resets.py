"""Blueprint ``password_resets``: for users who have lost their password."""

from flask import Response, current_app

from authapp.api.context import request_context
from authapp.api.guards import limited, public
from authapp.api.openapi import Blueprint, refuses
from authapp.api.responses import no_content
from authapp.api.schemas.mail import AcceptedSchema, MailRequestSchema
from authapp.api.schemas.password_resets import PasswordResetSchema
from authapp.domain import hooks
from authapp.domain.services import Services
from authapp.errors import OneTimeTokenInvalid, PasswordRejected, ServiceUnavailable

blueprint = Blueprint("password_resets", __name__, description="Passwords that were lost")


@blueprint.post("")
@public
@limited("mail")
@blueprint.arguments(MailRequestSchema)
@blueprint.response(202, AcceptedSchema)
def request_password_reset(body: dict[str, str]) -> dict[str, str]:
    """Request a link to reset a password.

    If an active account has the address, a mail with a link is sent to it. The answer does not tell.
    """
    Services.of(current_app).email.password_resets.request(body["email"], request_context())
    return {}


@blueprint.put("")
@public
@blueprint.arguments(PasswordResetSchema)
@blueprint.response(204)
@refuses(
    *(OneTimeTokenInvalid, PasswordRejected, ServiceUnavailable),
    signals=(hooks.user_changing, hooks.credentials_voiding),
)
def reset_password(body: dict[str, str]) -> Response:
    """Reset a password.

    All sessions end, the failed logins are forgotten, and the address counts as verified. Log in with the new password.
    A password that is rejected leaves the token good.
    """
    Services.of(current_app).email.password_resets.complete(body["token"], body["new_password"], request_context())
    return no_content()
