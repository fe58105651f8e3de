"""Every refusal, as one tree of exceptions.

A refusal is an expected outcome, not a bug: a use case raises it, the API renders it as problem+json and the CLI prints
it as one line on stderr. This module knows no HTTP status codes; ``api/errors.py`` maps the kinds below to statuses.

Each leaf class has a stable ``code`` for clients to match, a ``title`` for people to read, and a docstring that says
when it happens and what the client should do. ``GET /problems/{code}`` returns that docstring.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar


@dataclass(frozen=True)
class FieldError:
    """One invalid field of a request.

    ``pointer`` is a JSON pointer fragment (RFC 6901, section 6) such as ``#/email``; ``detail`` is a sentence.
    """

    pointer: str
    detail: str


@dataclass(frozen=True)
class Quota:
    """A rate limit that is used up: its ``name``, and the ``amount`` of requests it allows per ``seconds``."""

    name: str
    amount: int
    seconds: int


class Refusal(Exception):
    """The base class of all refusals.

    ``detail`` explains this occurrence, ``field_errors`` name the fields to correct and ``retry_after`` is in seconds.
    ``members`` are further members of the problem document (RFC 9457, section 3.2), which a subclass may set; it then
    gives an example of each in ``member_examples``, for the OpenAPI document.
    ``is_final`` is false for an answer that asks for another step, such as a second factor, and is no failure.
    """

    code: ClassVar[str]
    title: ClassVar[str]
    members: Mapping[str, object] = MappingProxyType({})
    member_examples: ClassVar[Mapping[str, object]] = MappingProxyType({})
    is_final: ClassVar[bool] = True

    def __init__(
        self, detail: str = "", *, field_errors: Sequence[FieldError] = (), retry_after: int | None = None
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.field_errors = tuple(field_errors)
        self.retry_after = retry_after

    def __str__(self) -> str:
        """Return the title, the detail and the field errors in one line."""
        reasons = [f"{error.pointer.removeprefix('#/')}: {error.detail}" for error in self.field_errors]
        return " ".join(filter(None, [self.title, self.detail, *reasons]))


# --- kinds -----------------------------------------------------------------------------------------------------------


class Malformed(Refusal):
    """The request cannot be parsed."""


class Unauthenticated(Refusal):
    """The request has no valid credential.

    ``auth_schemes`` and ``auth_params`` make the challenges in ``WWW-Authenticate`` (RFC 9110, section 11.6.1), without
    the realm. Without a credential there are no parameters (RFC 6750, section 3.1).
    """

    auth_schemes: Sequence[str] = ("Bearer",)
    auth_params: Mapping[str, str] = MappingProxyType({})


class Forbidden(Refusal):
    """The request is valid, but the principal is not allowed to do this."""


class NotFound(Refusal):
    """The resource does not exist, or is hidden from the principal."""


class Conflict(Refusal):
    """The request conflicts with stored data."""


class Invalid(Refusal):
    """The request can be parsed, but some of its values are not acceptable; ``example`` is one for the documents."""

    example: ClassVar[FieldError] = FieldError("#/email", "Not a valid email address.")


class TooMany(Refusal):
    """A limit is used up; ``quota`` is that limit, or ``None``."""

    def __init__(self, detail: str = "", *, retry_after: int, quota: Quota | None = None) -> None:
        super().__init__(detail, retry_after=retry_after)
        self.quota = quota


class Unavailable(Refusal):
    """The service cannot answer now; the same request may succeed later."""


# --- the request -----------------------------------------------------------------------------------------------------


class MalformedRequest(Malformed):
    """The body cannot be parsed, or the request contradicts itself.

    A JSON body must be one object, in UTF-8 without a byte order mark. It must not be nested too deeply, and must not
    contain duplicate keys, NUL characters, lone surrogates or invalid numbers. A form must not repeat a parameter.
    Correct the request; sending it again unchanged will not help.
    """

    code = "malformed_request"
    title = "The request cannot be read."


class MethodNotAllowed(Refusal):
    """The path exists, but does not support this method.

    Use one of the methods in the `Allow` header.
    """

    code = "method_not_allowed"
    title = "This method is not allowed here."


class PayloadTooLarge(Refusal):
    """The body is larger than 64 KiB.

    Send a smaller body.
    """

    code = "payload_too_large"
    title = "The body is too large."


class UnsupportedMediaType(Refusal):
    """The body has a media type that this route does not accept, or it is compressed.

    Send `Content-Type: application/json`, or `application/x-www-form-urlencoded` to introspect or revoke a token. Do
    not send `Content-Encoding`.
    """

    code = "unsupported_media_type"
    title = "The body is of a type that is not read here."


class ResourceNotFound(NotFound):
    """There is nothing at this path, or nothing that you may see.

    Check the path and the id.
    """

    code = "not_found"
    title = "There is nothing here."


class ValidationFailed(Invalid):
    """A field is missing, unknown, of the wrong type, or breaks its rule.

    `errors` lists each invalid field by its JSON pointer. Correct those fields and send the request again.
    """

    code = "validation_failed"
    title = "Some fields are not valid."


# --- accounts --------------------------------------------------------------------------------------------------------


class UsernameTaken(Conflict):
    """Another account already has this username (upper and lower case are the same).

    Choose another username.
    """

    code = "username_taken"
    title = "This username is taken."


class EmailTaken(Conflict):
    """Another account already has this email address (upper and lower case are the same).

    Log in with that account, or use another address.
    """

    code = "email_taken"
    title = "This email address is taken."


class PasswordRejected(Invalid):
    """The password is too short, too long or too common, contains a name of the account, or was in a data breach.

    `errors` gives each reason. Choose another password. All characters are allowed, and no mix of letters, digits and
    symbols is required.
    """

    code = "password_rejected"
    title = "This password cannot be used."
    example = FieldError("#/password", "It is one of the most common passwords.")


class RegistrationClosed(Forbidden):
    """Self-registration is turned off on this service.

    Ask its operator for an account.
    """

    code = "registration_closed"
    title = "Registration is closed."


class InvalidCredentials(Unauthenticated):
    """No active account has this username or email address together with this password.

    The answer is the same for a missing account, a disabled account and a wrong password, so that it does not reveal
    which accounts exist. Ask the user to check both fields.
    """

    code = "invalid_credentials"
    title = "The username or the password is wrong."


class WrongPassword(Forbidden):
    """The current password in the body is wrong. The token is valid.

    Ask the user for the password again.
    """

    code = "wrong_password"
    title = "The current password is wrong."


class PermissionDenied(Forbidden):
    """You have no role with a permission that this request needs.

    The route may need a permission that you do not have. Or the request would grant a role, or change an account, that
    has permissions you do not have; or grant a role that you neither have nor may create.
    Ask an administrator for a role. It takes effect on the next request, with the same token.
    """

    code = "permission_denied"
    title = "You may not do this."


class EmailNotVerified(Forbidden):
    """The email address of the account has not been verified, which this service or this route requires.

    Ask the user to open the link in the mail that was sent to the address, and repeat the request. Another mail can be
    requested.
    """

    code = "email_not_verified"
    title = "The email address is not verified."


class TooManyRequests(TooMany):
    """There were too many login attempts under this name, or too many requests from this address.

    The request was not processed, and a password in it was not checked. Wait for the number of seconds in
    `Retry-After`; trying sooner does not help. After many failed attempts in a row (50 by default) a name is locked
    until an administrator unlocks the account or sets a new password. The other name of the account, and its live
    sessions, continue. A session in which as many wrong passwords were sent takes no more of them: log in again.
    """

    code = "too_many_requests"
    title = "There were too many requests."


class ServiceAccount(Conflict):
    """The account is that of a service: it has no password and no email address.

    Give it API keys.
    """

    code = "service_account"
    title = "A service account has no password and no email address."


class FactorExists(Conflict):
    """The account already has a factor of this kind.

    Remove it first; or go on to use it.
    """

    code = "factor_exists"
    title = "There is such a factor already."


class LastAdmin(Conflict):
    """The change would leave no active account with the role `admin`.

    Grant the role to another active account first.
    """

    code = "last_admin"
    title = "This is the last administrator."


# --- roles -----------------------------------------------------------------------------------------------------------


class RoleTaken(Conflict):
    """A role with this name already exists, or was deleted and is still being removed from its many holders.

    Change that role, or choose another name. The name of a deleted role is free again after `flask tokens prune`.
    """

    code = "role_taken"
    title = "This name of a role is taken."


class RoleProtected(Conflict):
    """The role is built in and cannot be changed or deleted.

    Create another role with the permissions that you need.
    """

    code = "role_protected"
    title = "This role is built in."


# --- tokens ----------------------------------------------------------------------------------------------------------


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

    Ask the user for the password, send it to `POST /api/v1/auth/step-ups`, and use the new token.
    """

    code = "fresh_token_required"
    title = "A fresh token is required."


class StepUpRequired(Unauthenticated):
    """The token is valid, but its user has to be authenticated again: more recently, or by more factors (RFC 9470).

    `WWW-Authenticate` says what is needed: `max_age` is how many seconds ago the last authentication may have been, and
    `acr_values="mfa"` asks for a second factor. Ask the user for a code or a passkey, or for the password if only
    `max_age` is named, send it to `POST /api/v1/auth/step-ups`, and repeat the request with the new token.
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


# --- second factors --------------------------------------------------------------------------------------------------


class SecondFactorRequired(Unauthenticated):
    """The first factor was right, and the account has a second one.

    Send `challenge` with one of `factors` to `POST /api/v1/auth/second-factors`, within `expires_in` seconds. HTTP
    Basic has no second step: it is not accepted for such an account, and gets none of these.
    """

    code = "second_factor_required"
    title = "A second factor is required."
    member_examples = MappingProxyType(
        {
            "challenge": "AZrHxFs-fVOmsjwdng9KdwyVsUgtBoEDNHFDSg7ZYdzKE0ZN9qOWYzMDbTM3G1J_",
            "factors": ["totp", "recovery_code"],
            "expires_in": 300,
        }
    )
    is_final = False

    def __init__(self, **members: object) -> None:
        """Take the ``challenge``, the ``factors`` that complete the login, and for how many seconds it waits."""
        super().__init__()
        self.members = MappingProxyType(members)


class ChallengeInvalid(Unauthenticated):
    """The challenge is not that of a login that waits for its second factor, or no longer.

    It is good for five minutes, five wrong codes and one login, and void when the account changes. Log in again.
    """

    code = "challenge_invalid"
    title = "The challenge is not valid."


class SecondFactorInvalid(Unauthenticated):
    """The second factor was not right, or was used before.

    Ask the user for the next code. After five wrong ones, log in again.
    """

    code = "second_factor_invalid"
    title = "The second factor was not accepted."


class SecondFactorEnrolmentRequired(Forbidden):
    """A role of the account requires a second factor, and the account has none.

    Add one: `POST /api/v1/users/me/totp` or `POST /api/v1/users/me/passkeys/challenges`.
    """

    code = "second_factor_enrolment_required"
    title = "This account has to get a second factor first."


# --- passkeys --------------------------------------------------------------------------------------------------------


class PasskeyInvalid(Unauthenticated):
    """The answer of the authenticator was not accepted.

    Its challenge has expired or was used, it is from another page, the user was not verified, or no active account has
    this passkey. The answer is the same for all of these, so that it does not reveal who has a passkey. Get another
    challenge and ask the user again.
    """

    code = "passkey_invalid"
    title = "The passkey was not accepted."


class TooManyPasskeys(Conflict):
    """The account has as many passkeys as it may have: 20.

    Delete one first.
    """

    code = "too_many_passkeys"
    title = "There are too many passkeys."


class LastWayIn(Conflict):
    """Without this, nobody could log in to the account any more.

    Set a password or add another passkey first. Recovery codes and authenticator apps do not count: they are second
    factors.
    """

    code = "last_way_in"
    title = "This is the last way to log in."


# --- one-time tokens -------------------------------------------------------------------------------------------------


class OneTimeTokenInvalid(Malformed):
    """This link or code is not valid, or no longer.

    It is unknown, expired, already used, or for something else; or the account is disabled or has another address by
    now; or too many codes were wrong. The answer is the same for all of these. Request another mail.
    """

    code = "one_time_token_invalid"
    title = "This link or code is not valid."


# --- the service -----------------------------------------------------------------------------------------------------


class ServiceUnavailable(Unavailable):
    """The database does not answer, so no request can be authorized; or too many passwords are being checked at once.

    The request was neither accepted nor refused. Send it again after the number of seconds in `Retry-After`.
    """

    code = "service_unavailable"
    title = "The service cannot answer now."


class InternalError(Refusal):
    """An unexpected error occurred in the service.

    The error is logged with the `request_id` of this response. Give that id to the operator.
    """

    code = "internal_error"
    title = "Something went wrong on the server."


def catalogue() -> dict[str, type[Refusal]]:
    """Return every refusal that has a code, as a dict sorted by code. Raises ``ValueError`` if two have the same."""

    def leaves(kind: type[Refusal]) -> Iterator[type[Refusal]]:
        for child in kind.__subclasses__():
            yield from leaves(child)
        if "code" in vars(kind):
            yield kind

    refusals: dict[str, type[Refusal]] = {}
    for leaf in sorted(leaves(Refusal), key=lambda leaf: leaf.code):
        if refusals.setdefault(leaf.code, leaf) is not leaf:
            raise ValueError(f"Two refusals have the code {leaf.code}: {refusals[leaf.code]!r} and {leaf!r}.")
    return refusals
