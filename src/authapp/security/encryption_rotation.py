"""Rotation of the keys that encrypt: every server must have a key before the first of them encrypts with it.

The date ``iat`` in a JWK says when its key was made. A key that is newer than the first one is the standby key, which
encrypts after the next rotation; older ones decrypt what has not been encrypted anew.
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
    return EncryptionRole.STANDBY if _made(key) > _made(keys.first) else EncryptionRole.DECRYPTS


def standby_of(keys: EncryptionKeys) -> EncryptionKey | None:
    """Return the key that encrypts after the next rotation, if there is one."""
    return next((key for key in keys if role_of(key, keys) is EncryptionRole.STANDBY), None)


def with_standby(keys: EncryptionKeys, now: int) -> EncryptionKeys:
    """Return the keys with a new standby key at the end; ``now`` is in seconds since the epoch."""
    return EncryptionKeys([*keys, EncryptionKey.generate(max(now, _made(keys.first) + 1))])


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
