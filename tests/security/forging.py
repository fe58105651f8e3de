"""Tokens made by hand, as somebody would make them who holds the key."""

import json
from functools import cache
from typing import Any

from authapp import clock
from authapp.security import base64url, identifiers
from authapp.security.keys import Key, KeyRing
from authapp.security.tokens import TYP, TokenRules, Tokens

ISSUER = "https://auth.example.com"
AUDIENCE = "authapp"
RULES = TokenRules(issuer=ISSUER, audience=AUDIENCE, access_ttl=900, refresh_ttl=3600, leeway=5)
ABSENT = object()
"""Instead of a value: there is no such member."""


_generate_once = cache(Key.generate)


def key_for(alg: str = "ES256") -> Key:
    """Return this run's key for ``alg``."""
    return _generate_once(alg)


TOKENS = Tokens(KeyRing([key_for()]), RULES)


def segment(value: Any) -> str:
    """Return ``value`` as a segment: bytes as they are, and everything else as JSON."""
    return base64url.encode(value if isinstance(value, bytes) else json.dumps(value).encode())


def header(key: Key | None = None, **changes: Any) -> dict[str, Any]:
    """Return the header of a good access token, with ``changes``."""
    key = key or key_for()
    return _present({"alg": key.alg, "kid": key.kid, "typ": TYP["access"], **changes})


def claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a good access token, with ``changes``."""
    now = int(clock.now().timestamp())
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(identifiers.time_ordered()),
        "iat": now,
        "nbf": now,
        "exp": now + RULES.access_ttl,
        "jti": str(identifiers.unguessable()),
        "sid": str(identifiers.time_ordered()),
        "type": "access",
        "fresh": True,
        "client_id": AUDIENCE,
        "auth_time": now,
        "amr": ["pwd"],
    }
    return _present({**good, **changes})


def forged(header_: Any = ABSENT, claims_: Any = ABSENT, key: Key | None = None) -> str:
    """Return a token under a true signature; header and claims are good ones unless they are given."""
    key = key or key_for()
    parts = [header(key) if header_ is ABSENT else header_, claims() if claims_ is ABSENT else claims_]
    return signed(".".join(map(segment, parts)), key)


def signed(signing_input: str, key: Key | None = None) -> str:
    """Return ``signing_input`` with a true signature behind it."""
    return f"{signing_input}.{base64url.encode((key or key_for()).sign(signing_input.encode()))}"


def _present(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not ABSENT}
