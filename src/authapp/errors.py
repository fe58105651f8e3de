"""Every refusal, by name.

A refusal is an answer, not an accident: a use case raises it, the API shows it as problem+json and the CLI as one
line on stderr. This module knows no status code; ``api/errors.py`` maps the kinds to statuses.

Each leaf has a stable ``code`` that clients match, a ``title`` that people read, and a docstring that says when it
happens and what the client does about it. The docstring is what ``GET /problems/{code}`` shows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class FieldError:
    """One field that is not acceptable.

    ``pointer`` is a JSON pointer fragment (RFC 6901, section 6) such as ``#/email``; ``detail`` is a sentence.
    """

    pointer: str
    detail: str


@dataclass(frozen=True)
class Quota:
    """A limit that is used up: its name, and how many requests it allows in how many seconds."""

    name: str
    amount: int
    seconds: int


class Refusal(Exception):
    """The root of every refusal.

    ``detail`` explains this occurrence, ``field_errors`` name the fields to correct and ``retry_after`` is in seconds.
    """

    code: ClassVar[str]
    title: ClassVar[str]

    def __init__(
        self, detail: str = "", *, field_errors: Sequence[FieldError] = (), retry_after: int | None = None
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.field_errors = tuple(field_errors)
        self.retry_after = retry_after

    def __str__(self) -> str:
        """Return one line that a person can act on."""
        reasons = [f"{error.pointer.removeprefix('#/')}: {error.detail}" for error in self.field_errors]
        return " ".join(filter(None, [self.title, self.detail, *reasons]))


# --- kinds -----------------------------------------------------------------------------------------------------------


class Malformed(Refusal):
    """The request cannot be read."""


class Unauthenticated(Refusal):
    """The caller has not shown who they are."""


class Forbidden(Refusal):
    """The caller is known, and may not do this."""


class NotFound(Refusal):
    """There is nothing here."""


class Conflict(Refusal):
    """The request collides with what is there."""


class Invalid(Refusal):
    """The request can be read, and some of it is not acceptable."""


class TooMany(Refusal):
    """The caller must slow down; ``quota`` is the limit that was used up, when it is one that can be told."""

    def __init__(self, detail: str = "", *, retry_after: int, quota: Quota | None = None) -> None:
        super().__init__(detail, retry_after=retry_after)
        self.quota = quota


class Unavailable(Refusal):
    """The question cannot be answered now."""


# --- the request -----------------------------------------------------------------------------------------------------


class MalformedRequest(Malformed):
    """The body is not what this route reads, or the request contradicts itself.

    A JSON body must be one object in UTF-8 without a byte order mark, not nested too deeply, without repeated keys,
    NUL, lone surrogates and numbers that JSON does not have; a form must not repeat a parameter; a token must not come
    in two places. Correct the request; sending it again unchanged will not help.
    """

    code = "malformed_request"
    title = "The request cannot be read."


class MethodNotAllowed(Refusal):
    """The path exists, and does not answer this method.

    Use one of the methods that the `Allow` header lists.
    """

    code = "method_not_allowed"
    title = "This method is not allowed here."


class PayloadTooLarge(Refusal):
    """The body is over 64 KiB.

    Send less.
    """

    code = "payload_too_large"
    title = "The body is too large."


class UnsupportedMediaType(Refusal):
    """The body is of another media type than this route reads, or it is compressed.

    Send `Content-Type: application/json`, or `application/x-www-form-urlencoded` to introspect and revoke, and no
    `Content-Encoding`.
    """

    code = "unsupported_media_type"
    title = "The body is of a type that is not read here."


class ResourceNotFound(NotFound):
    """There is nothing at this path, or nothing that the caller may know of.

    Check the path and the id.
    """

    code = "not_found"
    title = "There is nothing here."


class ValidationFailed(Invalid):
    """A field is missing, unknown, of the wrong type, or breaks its rule.

    `errors` names each field at fault by its JSON pointer. Correct those fields and send the request again.
    """

    code = "validation_failed"
    title = "Some fields are not valid."


# --- accounts --------------------------------------------------------------------------------------------------------


class UsernameTaken(Conflict):
    """Another account has this username, in this or another letter case.

    Choose another username.
    """

    code = "username_taken"
    title = "This username is taken."


class EmailTaken(Conflict):
    """Another account has this email address, in this or another letter case.

    Log in with it, or use another address.
    """

    code = "email_taken"
    title = "This email address is taken."


class PasswordRejected(Invalid):
    """The password is too short, too long, too common, or contains the username or the name in the email address.

    `errors` gives the reason. Choose another password; any characters are welcome, and no mix of kinds is asked for.
    """

    code = "password_rejected"
    title = "This password cannot be used."


class RegistrationClosed(Forbidden):
    """This service does not let people register themselves.

    Ask its operator for an account.
    """

    code = "registration_closed"
    title = "Registration is closed."


class InvalidCredentials(Unauthenticated):
    """No active account has this username or email together with this password.

    The answer is the same whether the account is missing or disabled or the password is wrong, so that nobody learns
    which accounts exist. Ask the person to check both.
    """

    code = "invalid_credentials"
    title = "The username or the password is wrong."


class WrongPassword(Forbidden):
    """The current password in the body is not the caller's; the token is fine.

    Ask the person for it again.
    """

    code = "wrong_password"
    title = "The current password is wrong."


class PermissionDenied(Forbidden):
    """The caller is known, and has no role with the permission that this needs.

    That is the permission of the route, or one that the caller would give away or overrule without holding it: nobody
    grants a role, or changes an account, that may do more than they themselves, nor a role that they neither have nor
    could make. Ask an administrator for a role; it counts from the next request on, with the same token.
    """

    code = "permission_denied"
    title = "You may not do this."


class TooManyRequests(TooMany):
    """There were too many attempts at this account, or too many requests from this address.

    Nothing was looked at, a right password neither. Wait for the seconds in `Retry-After`; trying sooner does not
    help. After 100 failed attempts in a row only an administrator, or a new password set by one, opens an account
    again. Its live sessions go on.
    """

    code = "too_many_requests"
    title = "There were too many requests."


class LastAdmin(Conflict):
    """The change would leave no active account with the role `admin`.

    Give the role to another active account first.
    """

    code = "last_admin"
    title = "This is the last administrator."


# --- roles -----------------------------------------------------------------------------------------------------------


class RoleTaken(Conflict):
    """There is a role of this name.

    Change that one, or choose another name.
    """

    code = "role_taken"
    title = "This name of a role is taken."


class RoleProtected(Conflict):
    """The role is built in, and can be neither changed nor deleted.

    Make a role of your own with the permissions that you need.
    """

    code = "role_protected"
    title = "This role is built in."


# --- tokens ----------------------------------------------------------------------------------------------------------


class TokenMissing(Unauthenticated):
    """This route needs a token, and the request carries none where tokens are read.

    Log in, and send the access token as `Authorization: Bearer <token>`.
    """

    code = "token_missing"
    title = "A token is required."


class TokenRefused(Unauthenticated):
    """A token was sent, and it opens nothing."""


class TokenInvalid(TokenRefused):
    """The token is not one that this service issued for this purpose.

    It is damaged, signed by another key, meant for another service, or of the other type (a refresh token where an
    access token is due, or the reverse). Log in again.
    """

    code = "token_invalid"
    title = "The token is not valid."


class TokenExpired(TokenRefused):
    """The token was good, and its time has passed.

    Refresh an access token; log in again when the refresh token has expired.
    """

    code = "token_expired"
    title = "The token has expired."


class TokenRevoked(TokenRefused):
    """The token was good, and has been revoked, alone or with its session, or its account was disabled.

    Log in again.
    """

    code = "token_revoked"
    title = "The token has been revoked."


class RefreshTokenReused(TokenRefused):
    """This refresh token was already exchanged for a newer one, so two parties hold tokens of this session.

    The session has been ended, because one of them may be a thief. Log in again; the person's other sessions live on.
    """

    code = "refresh_token_reused"
    title = "The refresh token was used before."


class FreshTokenRequired(TokenRefused):
    """This route needs an access token that comes from a login, and the one sent comes from a refresh.

    Ask the person for the password, log in again, and use the new token.
    """

    code = "fresh_token_required"
    title = "A fresh token is required."


# --- the service -----------------------------------------------------------------------------------------------------


class ServiceUnavailable(Unavailable):
    """The database cannot be asked, so nothing can be allowed; or too many passwords are being checked at once.

    Nothing was decided. Send the request again after the seconds in `Retry-After`.
    """

    code = "service_unavailable"
    title = "The service cannot answer now."


class InternalError(Refusal):
    """Something broke that should not have.

    It is logged under the `request_id` of this answer; give that to the operator.
    """

    code = "internal_error"
    title = "Something went wrong on the server."


def catalogue() -> dict[str, type[Refusal]]:
    """Return every refusal that has a code, by its code, sorted."""

    def leaves(kind: type[Refusal]) -> Iterator[type[Refusal]]:
        for child in kind.__subclasses__():
            yield from leaves(child)
        if "code" in vars(kind):
            yield kind

    return {leaf.code: leaf for leaf in sorted(leaves(Refusal), key=lambda leaf: leaf.code)}
