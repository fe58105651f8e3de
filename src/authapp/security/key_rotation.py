"""Key rotation: a key is published before it signs, and kept until the last token it signed has expired.

Two dates are stored in each JWK (members registered by OpenID Federation 1.0): ``iat``, when the key was created, and
``exp``, when the last token that it signed expires. A key that is newer than the signing key is the standby key, which
signs after the next rotation.
"""

from dataclasses import replace
from enum import StrEnum

from authapp.security.keys import InvalidKey, Key, KeyRing


class KeyRole(StrEnum):
    """What a key in the ring is used for."""

    SIGNS = "signs"
    STANDBY = "standby"
    VERIFIES = "verifies"
    EXPIRED = "expired"


def role_of(key: Key, ring: KeyRing, now: int) -> KeyRole:
    """Return the role of ``key`` in ``ring``; ``now`` is in seconds since the epoch."""
    if key is ring.signing:
        return KeyRole.SIGNS
    if "exp" not in key.jwk and key.jwk.get("iat", 0) > ring.signing.jwk.get("iat", 0):
        return KeyRole.STANDBY
    return KeyRole.EXPIRED if key.jwk.get("exp", now + 1) <= now else KeyRole.VERIFIES


def new_key(alg: str, made: int) -> Key:
    """Return a new key for ``alg``; ``made``, its creation time in seconds since the epoch, is stored in it."""
    return _dated(Key.generate(alg), iat=made)


def with_standby(ring: KeyRing, alg: str, now: int) -> KeyRing:
    """Return the ring with a new standby key at the end.

    Servers verify with it after their next reload, and sign with it after the next rotation.
    """
    made = max(now, ring.signing.jwk.get("iat", 0) + 1)
    return KeyRing([*ring, new_key(alg, made)])


def rotated(ring: KeyRing, now: int, lifetime: int) -> KeyRing:
    """Return the ring with its standby key first, so that it signs.

    The previous signing key still verifies for ``lifetime`` seconds, the longest that a token can be valid.

    Raises ``InvalidKey`` when there is no standby key. A key must be published before it signs: workers and services
    that have not reloaded the ring do not know a new key, and would refuse valid tokens.
    """
    standby = next((key for key in ring if role_of(key, ring, now) is KeyRole.STANDBY), None)
    if standby is None:
        raise InvalidKey("the ring has no standby key.")
    old = _dated(ring.signing, exp=now + lifetime)
    return KeyRing([standby, *(old if key is ring.signing else key for key in ring if key is not standby)])


def without(ring: KeyRing, kid: str) -> KeyRing:
    """Return the ring without the key ``kid``. Raises ``InvalidKey`` if it is the signing key or not in the ring."""
    if ring.get(kid) is None:
        raise InvalidKey("the ring has no such key.")
    if kid == ring.signing.kid:
        raise InvalidKey("this key signs: rotate first.")
    return KeyRing([key for key in ring if key.kid != kid])


def _dated(key: Key, **dates: int) -> Key:
    return replace(key, jwk={**key.jwk, **dates})
