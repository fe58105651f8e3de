"""Blueprint ``login_links``: logging in with a link or a code in a mail."""

from flask import current_app

from authapp.api.context import request_context
from authapp.api.guards import limited, public
from authapp.api.openapi import Blueprint, refuses
from authapp.api.schemas.login_links import CHALLENGE, CODE, LoginChallengeSchema, LoginLinkSchema
from authapp.api.schemas.mail import MailRequestSchema
from authapp.api.schemas.tokens import TokenPairSchema
from authapp.domain import hooks
from authapp.domain.email.login_links import LoginChallenge
from authapp.domain.services import Services
from authapp.domain.sessions.token_pairs import TokenPair
from authapp.errors import OneTimeTokenInvalid

blueprint = Blueprint("login_links", __name__, description="Logging in with a mail")


@blueprint.post("")
@public
@limited("mail")
@blueprint.arguments(MailRequestSchema)
@blueprint.response(202, LoginChallengeSchema)
def create_login_link(body: dict[str, str]) -> LoginChallenge:
    """Request a login link.

    If an account has the address, a mail to it has a link and a code of eight digits. The answer is the same if none
    has. Keep the challenge: the link and the code are good only together with it.
    """
    return Services.of(current_app).email.login_links.request(body["email"], request_context())


@blueprint.put("")
@public
@limited("login")
@blueprint.arguments(LoginLinkSchema, example={"challenge": CHALLENGE, "code": CODE})
@blueprint.response(200, TokenPairSchema)
@refuses(OneTimeTokenInvalid, signals=(hooks.before_session_start, hooks.user_changing, hooks.credentials_voiding))
def log_in_with_link(body: dict[str, str]) -> TokenPair:
    """Log in with a login link.

    The body has either the token of the link or the code. Five codes may be tried for a challenge. A link is used once.
    """
    return Services.of(current_app).email.login_links.log_in(body.pop("challenge"), request_context(), **body)
