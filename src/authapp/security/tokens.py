"""JSON Web Tokens (RFC 7519), signed and read in this one place, as strictly as RFC 8725 and RFC 9068 ask."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal, TypedDict
from uuid import UUID

from authapp import clock
from authapp.errors import TokenExpired, TokenInvalid
from authapp.security import base64url, strict_json
from authapp.security.keys import Key, KeyRing
from authapp.security.recent import Recent

MAX_LENGTH = 4096
"""A longer token is refused before it is parsed; ours are about 600 characters."""

REMEMBERED = 4096
"""Of so many tokens each worker remembers that their signature was good, by a digest: about 8 MB.

Whether a token is still good is not remembered: that is asked of the database each time.
"""

Header = dict[str, Any]
TokenType = Literal["access", "refresh"]
TYP = {"access": "at+jwt", "refresh": "rt+jwt"}
"""The ``typ`` header by token type: one purpose per token (RFC 8725, section 3.11; ``at+jwt`` is RFC 9068's)."""

_HEADER = {"alg", "kid", "typ"}


class Claims(TypedDict):
    """The claims of a token; each of them is required."""

    iss: str
    aud: str
    sub: str
    iat: int
    nbf: int
    exp: int
    jti: str
    sid: str
    type: TokenType
    fresh: bool


@dataclass(frozen=True, kw_only=True)
class TokenRules:
    """What a token must say. Times are in seconds."""

    issuer: str
    audience: str
    access_ttl: int
    refresh_ttl: int
    leeway: int

    def lifetime(self, type_: TokenType) -> int:
        """Return the longest lifetime of a token of this type, in seconds."""
        return self.access_ttl if type_ == "access" else self.refresh_ttl


class Tokens:
    """Signs tokens, and reads those that were signed here."""

    def __init__(self, keys: KeyRing, rules: TokenRules) -> None:
        self.keys = keys
        self.rules = rules
        key = keys.signing
        self._headers = {type_: _segment({"alg": key.alg, "kid": key.kid, "typ": typ}) for type_, typ in TYP.items()}
        self._known: Recent[tuple[Header, Claims]] = Recent(REMEMBERED)

    def sign(
        self,
        type_: TokenType,
        *,
        user_id: UUID,
        session_id: UUID,
        jti: UUID,
        issued_at: datetime,
        expires_at: datetime,
        fresh: bool = False,
    ) -> str:
        """Return a signed token in JWS compact form (RFC 7515, section 3.1)."""
        key = self.keys.signing
        issued = int(issued_at.timestamp())
        claims: Claims = {
            "iss": self.rules.issuer,
            "aud": self.rules.audience,
            "sub": str(user_id),
            "iat": issued,
            "nbf": issued,
            "exp": int(expires_at.timestamp()),
            "jti": str(jti),
            "sid": str(session_id),
            "type": type_,
            "fresh": fresh,
        }
        signing_input = f"{self._headers[type_]}.{_segment(claims)}"
        return f"{signing_input}.{base64url.encode(key.sign(signing_input.encode()))}"

    def read(self, token: str) -> Claims:
        """Return the claims of ``token``.

        Its session may have ended since: only the database knows that.

        Raises ``TokenExpired`` for a token whose time has passed, and ``TokenInvalid`` for everything else.
        """
        return self.read_whole(token)[1]

    def read_whole(self, token: str) -> tuple[Header, Claims]:
        """Return the header and the claims of ``token``; otherwise like ``read``."""
        if len(token) > MAX_LENGTH:
            raise TokenInvalid("It is too long.")
        if not token.isascii():
            raise TokenInvalid
        digest = sha256(token.encode("ascii")).digest()
        known = self._known.get(digest)
        header, claims = known or self._judged(token)
        # Time goes by: of all that was found out about a token, this alone can change.
        self._check_times(claims)
        if known is None:
            self._known.add(digest, (header, claims))
        return header.copy(), claims.copy()

    def _judged(self, token: str) -> tuple[Header, Claims]:
        try:
            header, claims = self._verified(token)
        except ValueError:
            raise TokenInvalid from None
        if not self._well_formed(claims) or header["typ"] != TYP[claims["type"]]:
            raise TokenInvalid("Its claims are not those of a token of this service.")
        return header, claims

    def _verified(self, token: str) -> tuple[Header, Claims]:
        """Return header and claims under a valid signature; raises ``ValueError``."""
        signing_input, _, signature = token.rpartition(".")
        encoded_header, _, encoded_claims = signing_input.partition(".")
        header = strict_json.loads_object(base64url.decode(encoded_header))
        key = self._key(header)
        if not key.verify(signing_input.encode("ascii"), base64url.decode(signature)):
            raise ValueError("wrong signature")
        claims: Any = strict_json.loads_object(base64url.decode(encoded_claims))
        return header, claims

    def _key(self, header: dict[str, Any]) -> Key:
        # Members beyond these three could bring a key of the sender's (jwk, jku, x5u, x5c) or change what is signed
        # (crit, b64): none is ever ours, so none is let through (RFC 8725, section 3.10; RFC 7515, section 4.1.11).
        if header.keys() != _HEADER or not isinstance(header["kid"], str):
            raise ValueError("unknown header")
        key = self.keys.get(header["kid"])
        # The key decides the algorithm; the header only has to agree (CVE-2022-29217: algorithm confusion).
        if key is None or header["alg"] != key.alg:
            raise ValueError("unknown key")
        return key

    def _well_formed(self, claims: Any) -> bool:
        if not all(check(claims.get(name)) for name, check in _CLAIM_CHECKS.items()):
            return False
        # Equality, not membership: "in" would take any substring of the issuer (CVE-2024-53861).
        ours = bool(claims["iss"] == self.rules.issuer and claims["aud"] == self.rules.audience)
        return ours and 0 < claims["exp"] - claims["iat"] <= self.rules.lifetime(claims["type"])

    def _check_times(self, claims: Claims) -> None:
        now, leeway = clock.now().timestamp(), self.rules.leeway
        if max(claims["iat"], claims["nbf"]) > now + leeway:
            raise TokenInvalid("It is not valid yet.")
        if claims["exp"] <= now - leeway:
            raise TokenExpired


_encode = json.JSONEncoder(separators=(",", ":")).encode


def _segment(members: Any) -> str:
    return base64url.encode(_encode(members).encode())


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_time(value: Any) -> bool:
    # JSON's true is an int to Python; and beyond 2^53 JSON parsers disagree on what a number is.
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _is_uuid(value: Any) -> bool:
    try:
        return isinstance(value, str) and str(UUID(value)) == value
    except ValueError:
        return False


_CLAIM_CHECKS: dict[str, Callable[[Any], bool]] = {
    "iss": _is_text,
    "aud": _is_text,
    "sub": _is_uuid,
    "iat": _is_time,
    "nbf": _is_time,
    "exp": _is_time,
    "jti": _is_uuid,
    "sid": _is_uuid,
    "type": lambda value: isinstance(value, str) and value in TYP,
    "fresh": lambda value: isinstance(value, bool),
}
