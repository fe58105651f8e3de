"""JSON Web Tokens (RFC 7519): the only place that signs and reads them, following RFC 8725 and RFC 9068."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, NotRequired, TypedDict
from uuid import UUID

from authapp import clock
from authapp.context import acr_of
from authapp.errors import TokenExpired, TokenInvalid
from authapp.security import base64url, strict_json
from authapp.security.api_keys import prefix_of
from authapp.security.keys import Key, KeyRing

MAX_LENGTH = 4096
"""A longer token, in characters, is refused before it is parsed. Tokens issued here have about 700."""

REMEMBERED = 4096
"""For how many tokens each worker caches that the signature and the form are valid. This takes about 10 MB.

Whether a token has been revoked is not cached: the database is asked on every request.
"""

Header = dict[str, Any]
TokenType = Literal["access", "refresh"]
TYP = {"access": "at+jwt", "refresh": "rt+jwt"}
"""The ``typ`` header for each token type, so that one type cannot be used as another (RFC 8725, section 3.11).

``at+jwt`` is from RFC 9068.
"""

_HEADER = {"alg", "kid", "typ"}


class Claims(TypedDict):
    """The claims of a token. All are required, but for ``acr``: version 0.2.0 did not write it.

    An access token that was issued for an API key has ``akid``, the id of the key, and maybe ``scope``, in place of
    ``sid``, ``auth_time``, ``amr`` and ``acr``: nobody has logged in. Its ``client_id`` is the prefix of the key.
    """

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
    client_id: str
    auth_time: int
    amr: list[str]
    acr: NotRequired[str]
    akid: NotRequired[str]
    scope: NotRequired[str]


@dataclass(frozen=True, kw_only=True)
class TokenRules:
    """What a token must contain. Times are in seconds."""

    issuer: str
    audience: str
    access_ttl: int
    refresh_ttl: int
    leeway: int

    def lifetime(self, type_: TokenType) -> int:
        """Return the maximum lifetime of a token of this type, in seconds."""
        return self.access_ttl if type_ == "access" else self.refresh_ttl


class Tokens:
    """Signs tokens, and reads tokens that were signed by this service."""

    def __init__(self, keys: KeyRing, rules: TokenRules) -> None:
        self.keys = keys
        self.rules = rules
        key = keys.signing
        self._headers = {type_: _segment({"alg": key.alg, "kid": key.kid, "typ": typ}) for type_, typ in TYP.items()}
        # A refused token raises and is not cached, so that guests cannot push valid tokens out of the cache.
        self._verified_once = lru_cache(maxsize=REMEMBERED)(self._verified)

    def sign(
        self,
        type_: TokenType,
        *,
        user_id: UUID,
        session_id: UUID,
        jti: UUID,
        issued_at: datetime,
        expires_at: datetime,
        amr: list[str],
        auth_time: datetime,
        fresh: bool = False,
        extra: Mapping[str, Any] | None = None,
    ) -> str:
        """Return a signed token in JWS compact form (RFC 7515, section 3.1).

        ``extra`` holds further claims. They cannot override the claims of ``Claims``.
        """
        claims = {
            **self._common(type_, user_id, jti, issued_at, expires_at),
            "sid": str(session_id),
            "fresh": fresh,
            "client_id": self.rules.audience,
            "auth_time": int(auth_time.timestamp()),
            "amr": amr,
            "acr": acr_of(amr),
        }
        return self._signed(type_, {**(extra or {}), **claims})

    def sign_for_key(
        self,
        *,
        user_id: UUID,
        key_id: UUID,
        jti: UUID,
        issued_at: datetime,
        expires_at: datetime,
        scope: str | None,
        extra: Mapping[str, Any] | None = None,
    ) -> str:
        """Return a signed access token for an API key. ``scope`` limits it (RFC 9068, section 2.2.3)."""
        claims = {
            **self._common("access", user_id, jti, issued_at, expires_at),
            "akid": str(key_id),
            "fresh": False,
            "client_id": prefix_of(user_id, key_id),
            **({} if scope is None else {"scope": scope}),
        }
        return self._signed("access", {**(extra or {}), **claims})

    def _common(
        self, type_: TokenType, user_id: UUID, jti: UUID, issued_at: datetime, expires_at: datetime
    ) -> dict[str, Any]:
        issued = int(issued_at.timestamp())
        return {
            "iss": self.rules.issuer,
            "aud": self.rules.audience,
            "sub": str(user_id),
            "iat": issued,
            "nbf": issued,
            "exp": int(expires_at.timestamp()),
            "jti": str(jti),
            "type": type_,
        }

    def _signed(self, type_: TokenType, claims: Mapping[str, Any]) -> str:
        signing_input = f"{self._headers[type_]}.{_segment(claims)}"
        return f"{signing_input}.{base64url.encode(self.keys.signing.sign(signing_input.encode()))}"

    def read(self, token: str) -> Claims:
        """Return the claims of ``token``.

        This does not check whether the token has been revoked: only the database knows that.

        Raises ``TokenExpired`` if the token has expired, and ``TokenInvalid`` for every other problem.
        """
        return self.read_whole(token)[1]

    def read_whole(self, token: str) -> tuple[Header, Claims]:
        """Return the header and the claims of ``token``. Raises the same errors as ``read``."""
        if len(token) > MAX_LENGTH:
            raise TokenInvalid("It is too long.")
        if not token.isascii():
            raise TokenInvalid
        header, claims = self._verified_once(token)
        # Not cached: the times are the only part of the check whose result changes.
        self._check_times(claims)
        return header.copy(), _copied(claims)

    def _verified(self, token: str) -> tuple[Header, Claims]:
        try:
            header, claims = self._parse(token)
        except ValueError:
            raise TokenInvalid from None
        if not self._is_well_formed(claims) or header["typ"] != TYP[claims["type"]]:
            raise TokenInvalid("Its claims are not those of a token of this service.")
        return header, claims

    def _parse(self, token: str) -> tuple[Header, Claims]:
        """Return the header and the claims if the signature is valid. Raises ``ValueError``."""
        signing_input, _, signature = token.rpartition(".")
        encoded_header, _, encoded_claims = signing_input.partition(".")
        header = strict_json.loads_object(base64url.decode(encoded_header))
        key = self._key(header)
        if not key.verify(signing_input.encode("ascii"), base64url.decode(signature)):
            raise ValueError("wrong signature")
        claims: Any = strict_json.loads_object(base64url.decode(encoded_claims))
        return header, claims

    def _key(self, header: dict[str, Any]) -> Key:
        # Other header members could supply the attacker's own key (jwk, jku, x5u, x5c) or change what is signed (crit,
        # b64). Tokens issued here never have them, so they are refused (RFC 8725, section 3.10; RFC 7515, 4.1.11).
        if header.keys() != _HEADER or not isinstance(header["kid"], str):
            raise ValueError("unknown header")
        key = self.keys.get(header["kid"])
        # The key determines the algorithm, and the header must agree (algorithm confusion: CVE-2022-29217).
        if key is None or header["alg"] != key.alg:
            raise ValueError("unknown key")
        return key

    def _is_well_formed(self, claims: Any) -> bool:
        if not all(check(claims.get(name)) for name, check in _CLAIM_CHECKS.items()):
            return False
        if not (_is_of_key(claims) if "akid" in claims else self._is_of_session(claims)):
            return False
        # Compared with ==, because "in" would accept any substring of the issuer (CVE-2024-53861).
        is_for_us = bool(claims["iss"] == self.rules.issuer and claims["aud"] == self.rules.audience)
        return is_for_us and 0 < claims["exp"] - claims["iat"] <= self.rules.lifetime(claims["type"])

    def _is_of_session(self, claims: Any) -> bool:
        if not _is_uuid(claims.get("sid")) or "scope" in claims:
            return False
        # Tokens issued by version 0.1 have none of these claims; they stay valid until they expire.
        if any(name in claims for name in _CLAIM_CHECKS_SINCE_0_2):
            if not all(check(claims.get(name)) for name, check in _CLAIM_CHECKS_SINCE_0_2.items()):
                return False
            if claims["client_id"] != self.rules.audience:
                return False
        return _is_text(claims.get("acr", ""))

    def _check_times(self, claims: Claims) -> None:
        now, leeway = clock.now().timestamp(), self.rules.leeway
        if max(claims["iat"], claims["nbf"]) > now + leeway:
            raise TokenInvalid("It is not valid yet.")
        if claims["exp"] <= now - leeway:
            raise TokenExpired


def _is_of_key(claims: Any) -> bool:
    """Tell whether an access token is one that was issued for an API key, and nothing says that somebody logged in."""
    if not _is_uuid(claims["akid"]) or claims["type"] != "access" or claims["fresh"]:
        return False
    if _OF_A_LOGIN & claims.keys() or not _is_text(claims.get("scope", "")):
        return False
    return bool(claims.get("client_id") == prefix_of(UUID(claims["sub"]), UUID(claims["akid"])))


def _copied(value: Any) -> Any:
    """Return a copy of a JSON value: what is remembered must not change when a view changes what it was given."""
    if value.__class__ is dict:
        return {name: member if member.__class__ in _IMMUTABLE else _copied(member) for name, member in value.items()}
    return list(map(_copied, value)) if value.__class__ is list else value


_IMMUTABLE: frozenset[type] = frozenset({str, int, float, bool, type(None)})


_encode = json.JSONEncoder(separators=(",", ":")).encode


def _segment(members: Any) -> str:
    return base64url.encode(_encode(members).encode())


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_time(value: Any) -> bool:
    # In Python, JSON's true is an int. Integers above 2^53 are not exact in every JSON parser.
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
    "type": lambda value: isinstance(value, str) and value in TYP,
    "fresh": lambda value: isinstance(value, bool),
}
_OF_A_LOGIN = {"sid", "auth_time", "amr", "acr"}
_CLAIM_CHECKS_SINCE_0_2: dict[str, Callable[[Any], bool]] = {
    "client_id": _is_text,
    "auth_time": _is_time,
    "amr": lambda value: isinstance(value, list) and bool(value) and all(map(_is_text, value)),
}
