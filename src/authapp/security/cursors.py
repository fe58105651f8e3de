"""Cursors: where a page of a list ended, signed, so that a client can hand it back and not make one up."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from itsdangerous import BadData, URLSafeSerializer

from authapp.security.keys import KeyRing

MAX_LENGTH = 1024
"""No cursor of ours is longer; the schema of pages refuses those that are before they are read."""


class Cursors:
    """Writes and reads cursors, under keys derived from the key ring: every worker and node has the same."""

    def __init__(self, keys: KeyRing) -> None:
        # The last key signs here, and the first one in the ring; a cursor outlives the rotation of keys.
        self._secrets = [_derived(key.jwk) for key in keys][::-1]

    def write(self, purpose: str, filters: Mapping[str, Any], position: list[str]) -> str:
        """Return the cursor for ``position``; it is good for the list ``purpose`` with the same ``filters`` alone."""
        return str(self._serializer(purpose, filters).dumps(position))

    def read(self, purpose: str, filters: Mapping[str, Any], cursor: str) -> list[str]:
        """Return the position in ``cursor``. Raises ``ValueError`` unless it was written for this list."""
        try:
            position: list[str] = self._serializer(purpose, filters).loads(cursor)
        except BadData:
            raise ValueError("It is not a cursor of this list.") from None
        return position

    def _serializer(self, purpose: str, filters: Mapping[str, Any]) -> URLSafeSerializer:
        bound = sha256(json.dumps(dict(filters), sort_keys=True, default=str).encode()).hexdigest()
        options = {"key_derivation": "hmac", "digest_method": sha256}
        return URLSafeSerializer(self._secrets, salt=f"authapp.cursor.{purpose}.{bound}", signer_kwargs=options)


def _derived(jwk: Mapping[str, Any]) -> bytes:
    # By a key derivation function (RFC 5869): one key is for one purpose.
    secret = str(jwk["k"] if jwk["kty"] == "oct" else jwk["d"])
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"authapp cursors").derive(secret.encode())
