"""Refusals of access and refresh tokens, and of sessions that have to be renewed by a step-up."""

from types import MappingProxyType

from authapp.errors.refusals import Unauthenticated


class TokenMissing(Unauthenticated):
    """This route needs a token, and the request has none.

    Log in, and send the access token as `Authorization: Bearer <token>`.
    """

    code = "token_missing"
    title = "A token is required."


class TokenRefused(Unauthenticated):
    """The request has a token, but the token is not accepted."""

    auth_params = MappingProxyType({"error": "invalid_token"})


class TokenInvalid(TokenRefused):
    """This service did not issue the token, or did not issue it for this purpose.

    It is damaged, signed with an unknown key, meant for another service, or of the wrong type (a refresh token where an
    access token is needed, or the reverse). Log in again.
    """

    code = "token_invalid"
    title = "The token is not valid."


class TokenExpired(TokenRefused):
    """The token has passed its expiry time.

    If it is an access token, use the refresh token to get a new one. If it is a refresh token, log in again.
    """

    code = "token_expired"
    title = "The token has expired."


class TokenRevoked(TokenRefused):
    """The token has been revoked, its session has ended, or its account is disabled.

    Log in again.
    """

    code = "token_revoked"
    title = "The token has been revoked."


class RefreshTokenReused(TokenRefused):
    """This refresh token was already exchanged for a newer one, so two parties may have tokens of this session.

    One of them may be a thief, so the session has been ended. Log in again. The user's other sessions continue.
    """

    code = "refresh_token_reused"
    title = "The refresh token was used before."


class FreshTokenRequired(TokenRefused):
    """This route needs an access token from a login or a step-up, and this one comes from a refresh.

    Ask the user for a code or a passkey, or for the password if the account has no second factor, send it to `POST
    /api/v1/auth/step-ups`, and use the new token.
    """

    code = "fresh_token_required"
    title = "A fresh token is required."


class StepUpRequired(Unauthenticated):
    """The token is valid, but its user has to be authenticated again: more recently, or by more factors (RFC 9470).

    `WWW-Authenticate` says what is needed: `max_age` is how many seconds ago the last authentication may have been, and
    `acr_values="mfa"` asks for a second factor. Ask the user for a code or a passkey, send it to `POST
    /api/v1/auth/step-ups`, and repeat the request with the new token. The password is enough only for an
    account without a second factor: for any other, a step-up with it gets this error.
    """

    code = "step_up_required"
    title = "The user has to be authenticated again."

    def __init__(self, detail: str = "", *, max_age: int | None = None, acr_values: str | None = None) -> None:
        """Take ``max_age`` in seconds; ``acr_values`` are separated by blanks (RFC 9470, section 3)."""
        super().__init__(detail)
        wanted = {"max_age": max_age, "acr_values": acr_values}
        self.auth_params = {
            "error": "insufficient_user_authentication",
            "error_description": self.title,
            **{name: str(value) for name, value in wanted.items() if value is not None},
        }
