"""Where a bearer token is in a request (RFC 6750, section 2.1)."""

import re

from flask import Request

from authapp.errors import TokenInvalid

_BLANKS = re.compile("[ \t]+")
_COMPACT_JWS = re.compile(r"[A-Za-z0-9_.-]+")


def bearer_token(request: Request) -> str | None:
    """Return the one token in the ``Authorization`` header, or ``None`` when it holds no bearer token.

    Raises ``TokenInvalid`` for more than one, and for what has characters that no token has.
    """
    # By spaces and tabs alone: a proxy in front would not take the other characters that Unicode calls white space.
    header: str = request.environ.get("HTTP_AUTHORIZATION", "")
    if header.startswith("Bearer ") and _COMPACT_JWS.fullmatch(header, len("Bearer ")):
        return header[len("Bearer ") :]
    scheme, *credentials = _BLANKS.split(header.strip(" \t"))
    if scheme.lower() != "bearer" or not credentials:
        return None
    if len(credentials) > 1:
        raise TokenInvalid("The header holds more than one token.")
    return checked_token(credentials[0])


def checked_token(token: str) -> str:
    """Return ``token``. Raises ``TokenInvalid`` when it has characters that no token has."""
    if not _COMPACT_JWS.fullmatch(token):
        raise TokenInvalid
    return token
