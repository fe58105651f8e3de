"""The keys that encrypt what is stored: a JWK Set (RFC 7517) of ``oct`` keys. The first encrypts; each decrypts.

AES-256-GCM with a random nonce of 96 bits (NIST SP 800-38D, section 8.2.2), by ``cryptography``. The associated data
are the purpose, the user and the key, so that a value that was moved to another row or column is not accepted.
"""

import json
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from secrets import token_bytes
from typing import Any, NamedTuple, Self
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from authapp.security import base64url
from authapp.security.keys import (
    MIN_HMAC_DISTINCT_BYTES,
    InvalidKey,
    jwk_date,
    jwks_in,
    problems_of_set,
    thumbprint,
)
from authapp.security.published_keys import PUBLISHED_THUMBPRINTS

ALGORITHM = "A256GCM"
KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16


class CannotDecrypt(Exception):
    """A stored value cannot be decrypted."""


class UnknownKey(CannotDecrypt):
    """The value was encrypted with a key that is not in the ring."""


class ForgedValue(CannotDecrypt):
    """The value is not what was encrypted with this key for this purpose and user."""


class Sealed(NamedTuple):
    """An encrypted value: the id of the key, and the nonce, the ciphertext and the tag in one."""

    key_id: str
    data: bytes


@dataclass(frozen=True, eq=False)
class EncryptionKey:
    """One key of 256 bits. ``kid`` is its thumbprint, so that no other key can take its place under its name."""

    kid: str
    jwk: dict[str, Any] = field(repr=False)
    _aead: AESGCM = field(repr=False)

    @classmethod
    def from_jwk(cls, jwk: Any) -> Self:
        """Return the key in a JWK; ``kid``, ``alg`` and ``use`` are added when missing.

        Raises ``InvalidKey`` for a key that is of another type or length, weak, published, or inconsistent.
        """
        if not isinstance(jwk, dict) or jwk.get("kty") != "oct":
            raise InvalidKey('is not a JWK with "kty": "oct".')
        try:
            secret = base64url.decode(jwk["k"])
        except (KeyError, TypeError, ValueError):
            raise InvalidKey('has no "k" in base64url without padding.') from None
        if len(secret) != KEY_BYTES:
            raise InvalidKey(f"has {len(secret)} bytes, and {KEY_BYTES} are needed.")
        canonical = {"kty": "oct", "k": jwk["k"]}
        kid = thumbprint(canonical)
        if len(set(secret)) < MIN_HMAC_DISTINCT_BYTES or kid in PUBLISHED_THUMBPRINTS:
            raise InvalidKey("is weak or was published. Generate one at random.")
        required = {"kid": kid, "alg": ALGORITHM, "use": "enc"}
        for name, value in required.items():
            if jwk.get(name, value) != value:
                raise InvalidKey(f'has a "{name}" other than {value}: leave it out, or set that.')
        dates = {"iat": jwk_date(jwk, "iat")} if "iat" in jwk else {}
        return cls(kid, {**canonical, **required, **dates}, AESGCM(secret))

    @classmethod
    def generate(cls, made: int) -> Self:
        """Return a new key; ``made``, its creation time in seconds since the epoch, is stored in it."""
        return cls.from_jwk({"kty": "oct", "k": base64url.encode(token_bytes(KEY_BYTES)), "iat": made})

    def seal(self, plaintext: bytes, purpose: str, user_id: UUID) -> bytes:
        """Return the nonce, the ciphertext and the tag."""
        nonce = token_bytes(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, plaintext, self._associated_data(purpose, user_id))

    def open(self, data: bytes, purpose: str, user_id: UUID) -> bytes:
        """Return the plaintext. Raises ``ForgedValue``."""
        if len(data) < NONCE_BYTES + TAG_BYTES:
            raise ForgedValue("A stored value is too short to have been encrypted.")
        try:
            nonce, ciphertext = data[:NONCE_BYTES], data[NONCE_BYTES:]
            return self._aead.decrypt(nonce, ciphertext, self._associated_data(purpose, user_id))
        except InvalidTag:
            raise ForgedValue(f"A stored value was not encrypted with {self.kid} for this purpose and user.") from None

    def _associated_data(self, purpose: str, user_id: UUID) -> bytes:
        # With the length before each part, no two triples have the same bytes.
        parts = (purpose.encode(), user_id.bytes, self.kid.encode())
        return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


class EncryptionKeys:
    """The configured keys, in order."""

    def __init__(self, keys: Sequence[EncryptionKey]) -> None:
        """Take the keys; the first one encrypts. Raises ``InvalidKey`` if there are none, or if one is given twice."""
        if not keys:
            raise InvalidKey("the set holds no key.")
        self._by_kid = {key.kid: key for key in keys}
        if len(self._by_kid) != len(keys):
            raise InvalidKey("the set holds one key twice.")
        self.first = keys[0]

    def __iter__(self) -> Iterator[EncryptionKey]:
        return iter(self._by_kid.values())

    def __contains__(self, kid: object) -> bool:
        return kid in self._by_kid

    @classmethod
    def from_json(cls, text: str, *, reserved: Container[str] = ()) -> Self:
        """Read a JWK Set. Raises ``InvalidKey`` with every problem in it: see ``problems``."""
        if problems := list(cls.problems(text, reserved=reserved)):
            raise InvalidKey(" ".join(problems))
        return cls([EncryptionKey.from_jwk(jwk) for jwk in jwks_in(text)])

    @classmethod
    def problems(cls, text: str, *, reserved: Container[str] = ()) -> Iterator[str]:
        """Yield one sentence for each reason why ``text`` cannot be used.

        ``reserved`` are the ids of keys with another purpose: whoever gets one of those, such as a service that
        verifies tokens, must not be able to decrypt.
        """

        def read(jwk: Any) -> EncryptionKey:
            key = EncryptionKey.from_jwk(jwk)
            if key.kid in reserved:
                raise InvalidKey("is one of AUTHAPP_JWT_KEYS. Generate another one.")
            return key

        yield from problems_of_set(text, read)

    @classmethod
    def generate(cls, made: int) -> Self:
        """Return a ring of one new key, made at ``made`` seconds since the epoch."""
        return cls([EncryptionKey.generate(made)])

    def encrypt(self, plaintext: bytes, purpose: str, user_id: UUID) -> Sealed:
        """Encrypt ``plaintext`` with the first key, for one purpose, such as ``totp``, and one user."""
        return Sealed(self.first.kid, self.first.seal(plaintext, purpose, user_id))

    def decrypt(self, key_id: str, data: bytes, purpose: str, user_id: UUID) -> bytes:
        """Return what was encrypted for this purpose and user.

        Raises ``UnknownKey`` if the key is not in the ring, and ``ForgedValue`` if it did not encrypt this value for
        them.
        """
        key = self._by_kid.get(key_id)
        if key is None:
            raise UnknownKey(f"AUTHAPP_ENCRYPTION_KEYS has no key {key_id}.")
        return key.open(data, purpose, user_id)

    def to_json(self) -> str:
        """Return the JWK Set, secrets included."""
        return json.dumps({"keys": [key.jwk for key in self]}, indent=2)
