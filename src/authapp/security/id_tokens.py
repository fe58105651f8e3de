"""Reading the ID tokens of providers (OpenID Connect Core 1.0, section 3.1.3.7), following RFC 8725."""

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256, sha384, sha512
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from authapp import clock
from authapp.security import base64url, strict_json

MAX_LENGTH = 16 * 1024
MAX_AGE = 600
"""How many seconds ago an ID token may have been issued: it comes straight from the provider.

Microsoft dates its tokens back by five minutes. It is the nonce and the flow, each good once, that bind a token.
"""

MAX_SUBJECT = 255
MIN_RSA_BITS = 2048

SECRET_MEMBERS = frozenset({"d", "k"})
"""Members of keys that are not public: private keys and symmetric ones (RFC 7518, section 6)."""

_HASHES = {"256": sha256, "384": sha384, "512": sha512, "DSA": sha512}
"""The hash of ``at_hash``, by the end of the algorithm. For EdDSA it is that of Ed25519."""

JWK = dict[str, Any]
FindKey = Callable[[str | None], JWK | None]
"""Takes the ``kid`` of a token, if it has one, and returns the provider's key."""


class IDTokenRefused(ValueError):
    """The ID token is not accepted. The message says why, in words that quote nothing of it."""


@dataclass(frozen=True)
class IDTokenRules:
    """What an ID token must say. ``leeway`` is in seconds."""

    issuer: str
    client_id: str
    algorithms: Sequence[str]
    nonce: str
    leeway: int


def read(token: str, access_token: str | None, rules: IDTokenRules, find_key: FindKey) -> dict[str, Any]:
    """Return the claims of an ID token. Raises ``IDTokenRefused``, and what ``find_key`` raises."""
    if len(token) > MAX_LENGTH:
        raise IDTokenRefused("it is too long")
    if not token.isascii():
        raise IDTokenRefused("it is not ASCII")
    signing_input, _, signature = token.rpartition(".")
    encoded_header, _, encoded_claims = signing_input.partition(".")
    header = _decoded(encoded_header)
    alg = header.get("alg")
    if not isinstance(alg, str) or alg not in rules.algorithms:
        raise IDTokenRefused("its algorithm is not one of the provider's")
    if "crit" in header:
        raise IDTokenRefused("it has critical headers")
    _check_signature(alg, _found_key(header, alg, find_key), signing_input.encode(), signature)
    claims = _decoded(encoded_claims)
    _check_parties(claims, rules)
    _check_times(claims, rules.leeway)
    _check_access_token(claims, access_token, alg)
    return claims


def _decoded(segment: str) -> dict[str, Any]:
    try:
        return strict_json.loads_object(base64url.decode(segment))
    except ValueError:
        raise IDTokenRefused("it is no token") from None


def _found_key(header: dict[str, Any], alg: str, find_key: FindKey) -> JWK:
    kid = header.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise IDTokenRefused("its key id is no text")
    jwk = find_key(kid)
    if jwk is None:
        raise IDTokenRefused("its key is not one of the provider's")
    # Never a secret that an attacker knows, too. And of a private RSA key, PyJWT would look for the prime factors: with
    # the numbers that fit into a document, that stops all else for hours.
    if jwk.keys() & SECRET_MEMBERS:
        raise IDTokenRefused("its key is not public")
    # A key is for one algorithm if it says so.
    if jwk.get("use", "sig") != "sig" or jwk.get("alg", alg) != alg:
        raise IDTokenRefused("its key is for something else")
    return jwk


def _check_signature(alg: str, jwk: JWK, signing_input: bytes, signature: str) -> None:
    try:
        key = PyJWK(jwk, alg)
        is_short = isinstance(key.key, RSAPublicKey) and key.key.key_size < MIN_RSA_BITS
        is_right = not is_short and key.Algorithm.verify(signing_input, key.key, base64url.decode(signature))
    except (PyJWTError, KeyError, TypeError, ValueError, AttributeError, UnsupportedAlgorithm):
        raise IDTokenRefused("its signature cannot be checked") from None
    if is_short:
        raise IDTokenRefused("its key is too short")
    if not is_right:
        raise IDTokenRefused("its signature is wrong")


def _check_parties(claims: dict[str, Any], rules: IDTokenRules) -> None:
    if claims.get("iss") != rules.issuer:
        raise IDTokenRefused("it is from another issuer")
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or rules.client_id not in audiences:
        raise IDTokenRefused("it is for another audience")
    if (len(audiences) > 1 or "azp" in claims) and claims.get("azp") != rules.client_id:
        raise IDTokenRefused("it was issued to another client")
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), rules.nonce.encode()):
        raise IDTokenRefused("it is for another login")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT:
        raise IDTokenRefused("it has no subject")


def _check_times(claims: dict[str, Any], leeway: int) -> None:
    now = clock.now().timestamp()
    issued, expires, not_before = (_time(claims, name) for name in ("iat", "exp", "nbf"))
    if issued is None or expires is None:
        raise IDTokenRefused("it lacks its times")
    if expires <= now - leeway:
        raise IDTokenRefused("it has expired")
    if issued < now - MAX_AGE - leeway:
        raise IDTokenRefused("it is too old")
    if max(issued, not_before or 0) > now + leeway:
        raise IDTokenRefused("it is from the future")


def _time(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise IDTokenRefused("its times are no numbers")
    return float(value)


def _check_access_token(claims: dict[str, Any], access_token: str | None, alg: str) -> None:
    """Check ``at_hash`` (section 3.1.3.8): the access token came with this ID token."""
    if "at_hash" not in claims:
        return
    if access_token is None or not isinstance(claims["at_hash"], str):
        raise IDTokenRefused("it came without its access token")
    digest = _HASHES[alg[-3:]](access_token.encode()).digest()
    if not hmac.compare_digest(claims["at_hash"].encode(), base64url.encode(digest[: len(digest) // 2]).encode()):
        raise IDTokenRefused("it came with another access token")
