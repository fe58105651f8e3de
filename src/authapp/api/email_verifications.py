"""Blueprint ``email_verifications``: proofs that somebody reads the mail of an address."""

from flask import Response, current_app, request

from authapp.api.authenticate import BearerJWT, authenticate_if_possible
from authapp.api.context import request_context
from authapp.api.guards import limited, public
from authapp.api.openapi import Blueprint, reads, refuses
from authapp.api.responses import no_content
from authapp.api.schemas.email_verifications import EmailVerificationSchema, OneTimeTokenSchema
from authapp.api.schemas.mail import AcceptedSchema, MailRequestSchema
from authapp.domain import hooks
from authapp.domain.services import Services
from authapp.errors import EmailTaken, OneTimeTokenInvalid, ServiceUnavailable, TooManyRequests, WrongPassword
from authapp.shared_names import EXTENSION

blueprint = Blueprint("email_verifications", __name__, description="Verification of email addresses")


@blueprint.post("")
@public
@limited("mail")
@blueprint.arguments(MailRequestSchema)
@blueprint.response(202, AcceptedSchema)
def request_email_verification(body: dict[str, str]) -> dict[str, str]:
    """Request a link to verify an address.

    If an active account has the address and it is not verified, a mail with a link is sent to it. The answer does not
    tell.
    """
    Services.of(current_app).email.verifications.request(body["email"], request_context())
    return {}


@blueprint.put("")
@public
@reads(BearerJWT(), required=False)
@blueprint.arguments(EmailVerificationSchema)
@blueprint.response(204)
@refuses(
    *(OneTimeTokenInvalid, WrongPassword, EmailTaken, TooManyRequests, ServiceUnavailable),
    signals=(hooks.user_changing, hooks.credentials_voiding),
    of_services=lambda services: services.email.link_confirmations.refusals(),
)
def confirm_link(body: dict[str, str]) -> Response:
    """Confirm a link.

    What the link of a mail is for happens: an address is verified, changed or restored, or the second factors that were
    added lately are removed, which ends all sessions.

    To confirm a new address, also send the password, or an access token of the account; to verify one, where that is
    required before a login. A refused password leaves the token good.
    """
    authenticate_if_possible(request, current_app.extensions[EXTENSION].authenticators)
    Services.of(current_app).email.link_confirmations.confirm(body["token"], body.get("password"), request_context())
    return no_content()


@blueprint.delete("")
@public
@blueprint.arguments(OneTimeTokenSchema)
@blueprint.response(204)
@refuses(OneTimeTokenInvalid, ServiceUnavailable)
def delete_unverified_account(body: dict[str, str]) -> Response:
    """Delete an account that you did not register.

    The token is that of the mail which asks to verify your address. An account that was never verified, and
    has no role, is deleted with its sessions.
    """
    Services.of(current_app).email.verifications.delete_unverified(body["token"], request_context())
    return no_content()
