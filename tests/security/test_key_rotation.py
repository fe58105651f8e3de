"""Keys in turn: first the standby, then the one that signs, then one that verifies what it signed."""

from dataclasses import replace
from datetime import timedelta

import pytest

from authapp import clock
from authapp.errors import TokenInvalid
from authapp.security import identifiers, key_rotation
from authapp.security.key_rotation import KeyRole
from authapp.security.keys import InvalidKey, Key, KeyRing
from authapp.security.tokens import Tokens
from security.forging import RULES

NOW = 1_800_000_000
LIFETIME = RULES.refresh_ttl + RULES.leeway


def dated(**dates: int) -> Key:
    key = Key.generate()
    return replace(key, jwk={**key.jwk, **dates})


def roles(ring: KeyRing, now: int = NOW) -> list[str]:
    return [str(key_rotation.role_of(key, ring, now)) for key in ring]


def turned(ring: KeyRing, now: int = NOW) -> KeyRing:
    """Return the ring after one rotation, with the next standby."""
    return key_rotation.with_standby(key_rotation.rotated(ring, now, LIFETIME), "ES256", now)


def test_the_first_key_signs_whatever_its_dates_are() -> None:
    for first in (dated(), dated(iat=NOW + 1), dated(exp=NOW - 1)):
        assert roles(KeyRing([first])) == ["signs"]


def test_a_key_made_after_the_one_that_signs_is_the_standby() -> None:
    assert roles(KeyRing([dated(iat=NOW), dated(iat=NOW + 1)])) == ["signs", "standby"]
    assert roles(KeyRing([dated(), dated(iat=NOW)])) == ["signs", "standby"]


def test_a_key_of_unknown_age_or_of_the_same_or_an_earlier_second_verifies() -> None:
    for other in (dated(), dated(iat=NOW), dated(iat=NOW - 1)):
        assert roles(KeyRing([dated(iat=NOW), other])) == ["signs", "verifies"]


def test_a_key_with_an_end_verifies_until_then_and_is_expired_from_that_second_on() -> None:
    ring = KeyRing([dated(), dated(iat=NOW, exp=NOW + 10)])

    assert roles(ring, NOW + 9) == ["signs", "verifies"]
    assert roles(ring, NOW + 10) == ["signs", "expired"]


@pytest.mark.parametrize("signer", [{}, {"iat": NOW - 1}, {"iat": NOW}, {"iat": NOW + 3600}])
def test_the_standby_is_made_later_than_the_signer_also_within_one_second_or_with_a_clock_behind(
    signer: dict[str, int],
) -> None:
    ring = key_rotation.with_standby(KeyRing([dated(**signer)]), "EdDSA", NOW)

    made = list(ring)[-1]
    assert roles(ring) == ["signs", "standby"]
    assert made.alg == "EdDSA"
    assert made.jwk["iat"] == max(NOW, signer.get("iat", 0) + 1)
    assert "exp" not in made.jwk


def test_a_rotation_lets_the_standby_sign_and_dates_the_key_that_signed_until_then() -> None:
    old, standby, older = dated(), dated(iat=NOW - 5), dated(exp=NOW + 5)

    ring = key_rotation.rotated(KeyRing([old, standby, older]), NOW, LIFETIME)

    assert [key.kid for key in ring] == [standby.kid, old.kid, older.kid]
    assert ring.signing is standby
    assert [key.jwk.get("exp") for key in ring] == [None, NOW + LIFETIME, NOW + 5]
    assert roles(ring) == ["signs", "verifies", "verifies"]
    assert roles(ring, NOW + LIFETIME) == ["signs", "expired", "expired"]
    assert "exp" not in old.jwk


def test_a_ring_without_a_standby_is_not_rotated() -> None:
    for others in ([], [dated()], [dated(iat=NOW, exp=NOW + 5)]):
        with pytest.raises(InvalidKey, match="no standby"):
            key_rotation.rotated(KeyRing([dated(), *others]), NOW, LIFETIME)


def test_rotations_within_one_second_keep_their_order() -> None:
    ring = key_rotation.with_standby(KeyRing([dated()]), "ES256", NOW)
    signed = [ring.signing.kid]
    for _ in range(3):
        expected = list(ring)[-1].kid
        ring = turned(ring)
        assert ring.signing.kid == expected
        assert sorted(roles(ring)) == ["signs", "standby", *["verifies"] * len(signed)]
        signed.append(ring.signing.kid)
    assert len(set(signed)) == 4


def test_of_several_standby_keys_the_first_is_next() -> None:
    first, second = dated(iat=NOW), dated(iat=NOW + 1)

    ring = key_rotation.rotated(KeyRing([dated(), first, second]), NOW, LIFETIME)

    assert ring.signing is first
    assert roles(ring) == ["signs", "verifies", "standby"]


def test_a_token_is_read_through_every_rotation_until_its_key_is_retired() -> None:
    def issued(ring: KeyRing) -> str:
        return Tokens(ring, RULES).sign(
            "access",
            user_id=identifiers.time_ordered(),
            session_id=identifiers.time_ordered(),
            jti=identifiers.unguessable(),
            issued_at=clock.now(),
            expires_at=clock.now() + timedelta(seconds=60),
            amr=["pwd"],
            auth_time=clock.now(),
        )

    ring = key_rotation.with_standby(KeyRing([dated()]), "ES256", NOW)
    first, issued_tokens = ring.signing.kid, [issued(ring)]
    for _ in range(3):
        ring = KeyRing.from_json(turned(ring).to_json())
        issued_tokens.append(issued(ring))
        assert all(Tokens(ring, RULES).read(token) for token in issued_tokens)

    left = Tokens(key_rotation.without(ring, first), RULES)
    assert all(left.read(token) for token in issued_tokens[1:])
    with pytest.raises(TokenInvalid):
        left.read(issued_tokens[0])


def test_roles_and_dates_survive_the_file() -> None:
    ring = turned(key_rotation.with_standby(KeyRing([dated()]), "RS256", NOW))

    read = KeyRing.from_json(ring.to_json())

    assert [key.jwk for key in read] == [key.jwk for key in ring]
    assert roles(read) == roles(ring) == ["signs", "verifies", "standby"]


def test_what_is_published_tells_no_dates_and_no_secrets() -> None:
    ring = turned(key_rotation.with_standby(KeyRing([dated()]), "ES256", NOW))

    assert len(ring.public()) == 3
    assert all(key.keys() == {"kty", "kid", "alg", "use", "crv", "x", "y"} for key in ring.public())


def test_a_key_is_taken_out_unless_it_signs_or_is_not_there() -> None:
    ring = KeyRing([dated(), dated(iat=NOW), dated(exp=NOW)])
    signing, standby, expired = (key.kid for key in ring)

    assert [key.kid for key in key_rotation.without(ring, standby)] == [signing, expired]
    assert [key.kid for key in key_rotation.without(ring, expired)] == [signing, standby]
    with pytest.raises(InvalidKey, match="this key signs"):
        key_rotation.without(ring, signing)
    with pytest.raises(InvalidKey, match="no such key"):
        key_rotation.without(ring, "another")
    assert len(list(ring)) == 3


def test_every_role_has_a_word() -> None:
    assert [str(role) for role in KeyRole] == ["signs", "standby", "verifies", "expired"]
