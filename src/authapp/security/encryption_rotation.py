"""Rotation of the keys that encrypt: every server must have a key before the first of them encrypts with it.

The date ``iat`` in a JWK says when its key was made. A key that is newer than the first one is the standby key, which
encrypts after the next rotation; older ones decrypt what has not been encrypted anew. Of a first key without a date,
nobody can tell which others are newer: they all decrypt, and the next rotation dates it.
"""

from enum import StrEnum

from authapp.security.encryption_keys import EncryptionKey, EncryptionKeys
from authapp.security.keys import InvalidKey


class EncryptionRole(StrEnum):
    """What a key in the ring is used for."""

    ENCRYPTS = "encrypts"
    STANDBY = "standby"
    DECRYPTS = "decrypts"


def role_of(key: EncryptionKey, keys: EncryptionKeys) -> EncryptionRole:
    """Return the role of ``key`` among ``keys``."""
    if key.kid == keys.first.kid:
        return EncryptionRole.ENCRYPTS
    is_newer = "iat" in keys.first.jwk and _made(key) > _made(keys.first)
    return EncryptionRole.STANDBY if is_newer else EncryptionRole.DECRYPTS


def standby_of(keys: EncryptionKeys) -> EncryptionKey | None:
    """Return the key that encrypts after the next rotation, if there is one."""
    return next((key for key in keys if role_of(key, keys) is EncryptionRole.STANDBY), None)


def with_standby(keys: EncryptionKeys, now: int) -> EncryptionKeys:
    """Return the keys with a new standby key at the end; ``now`` is in seconds since the epoch.

    A first key without a date gets one later than all others have: otherwise one that it replaced would be the standby.
    """
    first, *others = keys
    if "iat" not in first.jwk:
        first = EncryptionKey.from_jwk({**first.jwk, "iat": max(now, *(_made(key) + 1 for key in keys))})
    return EncryptionKeys([first, *others, EncryptionKey.generate(max(now, _made(first) + 1))])


def rotated(keys: EncryptionKeys) -> EncryptionKeys:
    """Return the keys with the standby key first. Raises ``InvalidKey`` if there is none."""
    standby = standby_of(keys)
    if standby is None:
        raise InvalidKey("the ring has no standby key.")
    return EncryptionKeys([standby, *(key for key in keys if key is not standby)])


def without(keys: EncryptionKeys, kid: str) -> EncryptionKeys:
    """Return the keys without ``kid``. Raises ``InvalidKey`` if it is the first one or not there."""
    if kid not in keys:
        raise InvalidKey("the ring has no such key.")
    if kid == keys.first.kid:
        raise InvalidKey("this key encrypts: rotate first.")
    return EncryptionKeys([key for key in keys if key.kid != kid])


def _made(key: EncryptionKey) -> int:
    made: int = key.jwk.get("iat", 0)
    return made
