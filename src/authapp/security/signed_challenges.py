"""Challenges that are signed instead of stored, so that a guest who asks for many fills no table.

A challenge is a nonce, its expiry time, and a MAC over both, its purpose and what it is bound to. Whoever verifies a
challenge must also store that it was used: a signature alone does not make it good for one use.
"""

import hmac
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from secrets import token_bytes

from authapp import clock
from authapp.security.derived_keys import derived_keys
from authapp.security.keys import KeyRing

LIFETIME = timedelta(minutes=5)

_HEAD = struct.Struct(">16sQ")
"""The nonce, and the expiry time in whole seconds after the epoch."""

_MAC_BYTES = sha256().digest_size

CHALLENGE_BYTES = _HEAD.size + _MAC_BYTES
"""The length of a challenge."""


@dataclass(frozen=True)
class VerifiedChallenge:
    """A challenge that was signed here for this purpose, and has not expired."""

    hash: bytes
    expires_at: datetime


class SignedChallenges:
    """Signs and verifies challenges."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = derived_keys(keys, "challenges")

    def sign(self, purpose: str, bound_to: bytes, lifetime: timedelta = LIFETIME) -> bytes:
        """Return a new challenge. It is good for ``lifetime``, for this purpose and with the same ``bound_to`` only."""
        head = _HEAD.pack(token_bytes(16), int((clock.now() + lifetime).timestamp()))
        return head + _mac(self._keys[0], purpose, bound_to, head)

    def verify(self, purpose: str, bound_to: bytes, challenge: bytes) -> VerifiedChallenge:
        """Return the hash and the expiry time of a challenge, to be stored when it is used.

        Raises ``ValueError`` if it was not signed here, or for something else, or has expired.
        """
        head, mac = challenge[: _HEAD.size], challenge[_HEAD.size :]
        if len(mac) != _MAC_BYTES:
            raise ValueError("It is not a challenge.")
        if not any(hmac.compare_digest(mac, _mac(key, purpose, bound_to, head)) for key in self._keys):
            raise ValueError("It is not a challenge for this.")
        _, seconds = _HEAD.unpack(head)
        expires_at = datetime.fromtimestamp(seconds, UTC)
        if expires_at <= clock.now():
            raise ValueError("The challenge has expired.")
        return VerifiedChallenge(sha256(challenge).digest(), expires_at)


def _mac(key: bytes, purpose: str, bound_to: bytes, head: bytes) -> bytes:
    # With their lengths, so that no other purpose and binding make the same bytes.
    parts = (purpose.encode(), bound_to, head)
    return hmac.digest(key, b"".join(struct.pack(">I", len(part)) + part for part in parts), "sha256")
