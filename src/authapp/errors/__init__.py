"""Every refusal, as one tree of exceptions.

A refusal is an expected outcome, not a bug: a use case raises it, the API renders it as problem+json and the CLI prints
it as one line on stderr. Nothing here knows HTTP status codes; ``api/errors.py`` maps the kinds in
``refusals.py`` to statuses.

Each leaf class has a stable ``code`` for clients to match, a ``title`` for people to read, and a docstring that says
when it happens and what the client should do. ``GET /problems/{code}`` returns that docstring.
"""

from authapp.errors.accounts import EmailNotVerified, EmailTaken, RegistrationClosed, ServiceAccount, UsernameTaken
from authapp.errors.factors import (
    ChallengeInvalid,
    FactorExists,
    SecondFactorEnrolmentRequired,
    SecondFactorInvalid,
    SecondFactorRequired,
)
from authapp.errors.limits import TooManyRequests
from authapp.errors.one_time_tokens import OneTimeTokenInvalid
from authapp.errors.passkeys import LastWayIn, PasskeyInvalid, TooManyPasskeys
from authapp.errors.passwords import InvalidCredentials, PasswordRejected, WrongPassword
from authapp.errors.providers import (
    AccountExists,
    ProviderAlreadyLinked,
    ProviderLoginFailed,
    ProviderUnavailable,
)
from authapp.errors.refusals import (
    Conflict,
    FieldError,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    Quota,
    Refusal,
    TooMany,
    Unauthenticated,
    Unavailable,
    catalogue,
)
from authapp.errors.requests import (
    MalformedRequest,
    MethodNotAllowed,
    OriginNotAllowed,
    PayloadTooLarge,
    ResourceNotFound,
    UnsupportedMediaType,
    ValidationFailed,
)
from authapp.errors.roles import LastAdmin, PermissionDenied, RoleProtected, RoleTaken
from authapp.errors.service import InternalError, ServiceUnavailable
from authapp.errors.tokens import (
    FreshTokenRequired,
    RefreshTokenReused,
    StepUpRequired,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
    TokenRefused,
    TokenRevoked,
)

__all__ = [
    "AccountExists",
    "ChallengeInvalid",
    "Conflict",
    "EmailNotVerified",
    "EmailTaken",
    "FactorExists",
    "FieldError",
    "Forbidden",
    "FreshTokenRequired",
    "InternalError",
    "Invalid",
    "InvalidCredentials",
    "LastAdmin",
    "LastWayIn",
    "Malformed",
    "MalformedRequest",
    "MethodNotAllowed",
    "NotFound",
    "OneTimeTokenInvalid",
    "OriginNotAllowed",
    "PasskeyInvalid",
    "PasswordRejected",
    "PayloadTooLarge",
    "PermissionDenied",
    "ProviderAlreadyLinked",
    "ProviderLoginFailed",
    "ProviderUnavailable",
    "Quota",
    "RefreshTokenReused",
    "Refusal",
    "RegistrationClosed",
    "ResourceNotFound",
    "RoleProtected",
    "RoleTaken",
    "SecondFactorEnrolmentRequired",
    "SecondFactorInvalid",
    "SecondFactorRequired",
    "ServiceAccount",
    "ServiceUnavailable",
    "StepUpRequired",
    "TokenExpired",
    "TokenInvalid",
    "TokenMissing",
    "TokenRefused",
    "TokenRevoked",
    "TooMany",
    "TooManyPasskeys",
    "TooManyRequests",
    "Unauthenticated",
    "Unavailable",
    "UnsupportedMediaType",
    "UsernameTaken",
    "ValidationFailed",
    "WrongPassword",
    "catalogue",
]
