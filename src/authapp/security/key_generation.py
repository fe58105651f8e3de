"""Generating new private keys, as JWKs (RFC 7517)."""

from collections.abc import Callable
from secrets import token_bytes
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from authapp.security import base64url

RSA_BITS = 3072
HMAC_BYTES = 64


def _generate_ec() -> dict[str, Any]:
    return ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)


def _generate_okp() -> dict[str, Any]:
    return OKPAlgorithm.to_jwk(Ed25519PrivateKey.generate(), as_dict=True)


def _generate_rsa() -> dict[str, Any]:
    return RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, RSA_BITS), as_dict=True)


def _generate_oct() -> dict[str, Any]:
    return {"kty": "oct", "k": base64url.encode(token_bytes(HMAC_BYTES))}


GENERATORS: dict[str, Callable[[], dict[str, Any]]] = {
    "ES256": _generate_ec,
    "EdDSA": _generate_okp,
    "RS256": _generate_rsa,
    "HS256": _generate_oct,
}
"""For each algorithm, the function that generates a key."""
