"""Which route asks for which access level: the one table of the access matrix, a row for each method of each route."""

from authapp.domain.roles.permissions import Permission

GUEST = "guest"
ACCESS = "access"
FRESH = "fresh"
RECENT = "recent"
WITH_TWO_FACTORS = " with two factors"
TWO_FACTORS = RECENT + WITH_TWO_FACTORS
REFRESH = "refresh"

Access = str

TABLE: dict[str, Access] = {
    "POST   /api/v1/auth/register": GUEST,
    "POST   /api/v1/auth/login": GUEST,
    "POST   /api/v1/auth/refresh": REFRESH,
    "POST   /api/v1/auth/logout": ACCESS,
    "POST   /api/v1/auth/step-ups": ACCESS,
    "POST   /api/v1/auth/password-resets": GUEST,
    "PUT    /api/v1/auth/password-resets": GUEST,
    "POST   /api/v1/auth/email-verifications": GUEST,
    "PUT    /api/v1/auth/email-verifications": GUEST,
    "DELETE /api/v1/auth/email-verifications": GUEST,
    "GET    /api/v1/auth/verify": ACCESS,
    "POST   /api/v1/auth/introspect": Permission.TOKENS_INTROSPECT,
    "POST   /api/v1/auth/revoke": ACCESS,
    "POST   /api/v1/auth/second-factors": GUEST,
    "POST   /api/v1/auth/passkey-challenges": GUEST,
    "POST   /api/v1/auth/passkey-logins": GUEST,
    "POST   /api/v1/auth/login-links": GUEST,
    "PUT    /api/v1/auth/login-links": GUEST,
    "GET    /api/v1/auth/providers": GUEST,
    "POST   /api/v1/auth/providers/<name>/logins": GUEST,
    "PUT    /api/v1/auth/providers/<name>/logins": GUEST,
    "POST   /api/v1/users/me/providers/<name>": RECENT,
    "PUT    /api/v1/users/me/providers/<name>": RECENT,
    "DELETE /api/v1/users/me/providers/<name>": RECENT,
    "POST   /api/v1/users/me/passkeys/challenges": RECENT,
    "POST   /api/v1/users/me/passkeys": RECENT,
    "GET    /api/v1/users/me/passkeys": ACCESS,
    "PATCH  /api/v1/users/me/passkeys/<uuid:passkey_id>": ACCESS,
    "DELETE /api/v1/users/me/passkeys/<uuid:passkey_id>": RECENT,
    "GET    /.well-known/webauthn": GUEST,
    "GET    /api/v1/users/me": ACCESS,
    "PATCH  /api/v1/users/me": ACCESS,
    "DELETE /api/v1/users/me": FRESH,
    "PUT    /api/v1/users/me/password": ACCESS,
    "PUT    /api/v1/users/me/email": RECENT,
    "DELETE /api/v1/users/me/email": RECENT,
    "GET    /api/v1/users/me/factors": ACCESS,
    "POST   /api/v1/users/me/totp": RECENT,
    "PUT    /api/v1/users/me/totp": RECENT,
    "DELETE /api/v1/users/me/totp": TWO_FACTORS,
    "POST   /api/v1/users/me/recovery-codes": TWO_FACTORS,
    "POST   /api/v1/users/me/api-keys": RECENT,
    "GET    /api/v1/users/me/api-keys": ACCESS,
    "DELETE /api/v1/users/me/api-keys/<uuid:key_id>": ACCESS,
    "GET    /api/v1/users/me/sessions": ACCESS,
    "DELETE /api/v1/users/me/sessions/<uuid:session_id>": ACCESS,
    "GET    /api/v1/users/me/activity": ACCESS,
    "GET    /api/v1/users/me/export": RECENT,
    "GET    /api/v1/users": Permission.USERS_READ,
    "POST   /api/v1/users": Permission.USERS_WRITE,
    "GET    /api/v1/users/<uuid:user_id>": Permission.USERS_READ,
    "PATCH  /api/v1/users/<uuid:user_id>": Permission.USERS_WRITE,
    "DELETE /api/v1/users/<uuid:user_id>": Permission.USERS_WRITE,
    "DELETE /api/v1/users/<uuid:user_id>/sessions": Permission.USERS_WRITE,
    "PUT    /api/v1/users/<uuid:user_id>/password": Permission.USERS_WRITE + WITH_TWO_FACTORS,
    "DELETE /api/v1/users/<uuid:user_id>/factors": Permission.USERS_WRITE + WITH_TWO_FACTORS,
    "POST   /api/v1/users/<uuid:user_id>/api-keys": Permission.USERS_WRITE,
    "GET    /api/v1/users/<uuid:user_id>/api-keys": Permission.USERS_WRITE,
    "DELETE /api/v1/users/<uuid:user_id>/api-keys/<uuid:key_id>": Permission.USERS_WRITE,
    "POST   /api/v1/oauth/token": GUEST,
    "GET    /api/v1/roles": Permission.ROLES_READ,
    "POST   /api/v1/roles": Permission.ROLES_WRITE,
    "PATCH  /api/v1/roles/<name>": Permission.ROLES_WRITE,
    "DELETE /api/v1/roles/<name>": Permission.ROLES_WRITE,
    "GET    /api/v1/audit-events": Permission.AUDIT_READ,
    "GET    /api/v1/ping": ACCESS,
    "GET    /health/live": GUEST,
    "GET    /health/ready": GUEST,
    "GET    /.well-known/jwks.json": GUEST,
    "GET    /.well-known/oauth-authorization-server": GUEST,
    "GET    /.well-known/openid-configuration": GUEST,
    "GET    /openapi.json": GUEST,
    "GET    /openapi.yaml": GUEST,
    "GET    /docs": GUEST,
    "GET    /docs/<name>": GUEST,
    "GET    /problems/<code>": GUEST,
    "GET    /account/verify-email": GUEST,
    "GET    /account/reset-password": GUEST,
    "GET    /account/change-email": GUEST,
    "GET    /account/undo-email": GUEST,
    "GET    /account/undo-factors": GUEST,
    "GET    /account/login": GUEST,
    "GET    /account/assets/<name>": GUEST,
    "GET    /console": GUEST,
    "GET    /console/<path:name>": GUEST,
}

TWO_FACTOR_ADMIN = "admin with two factors"

IN = "in"
"""The view answers; what it says is not the guard's business."""

_NO_TOKEN = "401 token_missing"
_NOT_A_TOKEN = "401 token_invalid"
_EXPIRED = "401 token_expired"
_REVOKED = "401 token_revoked"
_NOT_FRESH = "401 fresh_token_required"
_NOT_RECENT = "401 step_up_required"
_NOT_ALLOWED = "403 permission_denied"

REFUSED: dict[str, str] = {
    "guest": _NO_TOKEN,
    "garbage": _NOT_A_TOKEN,
    "expired": _EXPIRED,
    "logged out": _REVOKED,
    "disabled": _REVOKED,
}
"""What a request without a live token gets from every route that is not open to guests."""


def expected(level: Access, credential: str) -> str:
    """Return what a route of this level answers to a request with this credential: one cell of the table."""
    base = level.removesuffix(WITH_TWO_FACTORS)
    answer = expected_without_factors(base, "admin" if credential == TWO_FACTOR_ADMIN else credential)
    if answer == IN and base != level and credential != TWO_FACTOR_ADMIN:
        return _NOT_RECENT
    return answer


def expected_without_factors(level: Access, credential: str) -> str:
    """Return the same, for a route that asks for no second factor."""
    if level == GUEST:
        return IN
    if level == REFRESH and credential in {"logged out", "disabled"}:
        return _NOT_A_TOKEN  # theirs are access tokens, and that is seen first
    if credential in REFUSED:
        return REFUSED[credential]
    if (credential == "refresh token") != (level == REFRESH):
        return _NOT_A_TOKEN
    if ":" in level:
        return IN if credential in {"admin", f"role with {level}"} else _NOT_ALLOWED
    if level == FRESH and credential == "not fresh":
        return _NOT_FRESH
    if level == RECENT and credential == "not recent":
        return _NOT_RECENT
    return IN
