"""Turning the key ring: a key is published before it signs, and stays until the last token it signed has expired.

The dates are the ``iat`` and ``exp`` members of a JWK (registered by OpenID Federation 1.0): when the key was made, and
when the last token that it signed expires. A key made after the one that signs is the standby, next in turn.
"""

from dataclasses import replace
from enum import StrEnum

from authapp.security.keys import InvalidKey, Key, KeyRing


class KeyRole(StrEnum):
    """What a key of the ring is for."""

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
    """Return a new key for ``alg``, which says when it was ``made``, in seconds since the epoch."""
    return _dated(Key.generate(alg), iat=made)


def with_standby(ring: KeyRing, alg: str, now: int) -> KeyRing:
    """Return the ring with a new key at the end, which verifies from the next reload on, and signs after a rotation."""
    made = max(now, ring.signing.jwk.get("iat", 0) + 1)
    return KeyRing([*ring, new_key(alg, made)])


def rotated(ring: KeyRing, now: int, lifetime: int) -> KeyRing:
    """Return the ring with its standby key first.

    The key that signed until now keeps verifying for ``lifetime``, in seconds, the longest that a token lives.

    Raises ``InvalidKey`` when no standby is there: a key that starts to sign at the moment it is published would be
    unknown to the workers and services that have not read the ring anew, and they would refuse good tokens.
    """
    standby = next((key for key in ring if role_of(key, ring, now) is KeyRole.STANDBY), None)
    if standby is None:
        raise InvalidKey("the ring has no standby key.")
    old = _dated(ring.signing, exp=now + lifetime)
    return KeyRing([standby, *(old if key is ring.signing else key for key in ring if key is not standby)])


def without(ring: KeyRing, kid: str) -> KeyRing:
    """Return the ring without one key. Raises ``InvalidKey`` for the key that signs, and for one that is not there."""
    if ring.get(kid) is None:
        raise InvalidKey("the ring has no such key.")
    if kid == ring.signing.kid:
        raise InvalidKey("this key signs: rotate first.")
    return KeyRing([key for key in ring if key.kid != kid])


def _dated(key: Key, **dates: int) -> Key:
    return replace(key, jwk={**key.jwk, **dates})
