"""Signed challenges: good for their purpose, binding and five minutes, on every node and after a rotation."""

from collections.abc import Callable

import pytest

from authapp.security.keys import Key, KeyRing
from authapp.security.signed_challenges import SignedChallenges
from clocks import Time

KEYS = [Key.generate(), Key.generate()]


def challenges(*keys: Key) -> SignedChallenges:
    return SignedChallenges(KeyRing(keys or KEYS[:1]))


def test_a_challenge_opens_on_another_node_and_its_hash_is_what_is_stored() -> None:
    challenge = challenges().sign("login", b"")
    first, second = (challenges().verify("login", b"", challenge) for _ in range(2))
    assert first == second
    assert first.hash not in challenge
    assert challenges().sign("login", b"") != challenge


@pytest.mark.parametrize(("purpose", "bound_to"), [("register", b"session"), ("login", b"other"), ("login", b"")])
def test_a_challenge_for_something_else_does_not_open(purpose: str, bound_to: bytes) -> None:
    challenge = challenges().sign("login", b"session")
    with pytest.raises(ValueError, match="not a challenge for this"):
        challenges().verify(purpose, bound_to, challenge)


def test_purpose_and_binding_do_not_run_into_each_other() -> None:
    challenge = challenges().sign("login", b"1")
    with pytest.raises(ValueError, match="not a challenge for this"):
        challenges().verify("login1", b"", challenge)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda _challenge: b"", id="nothing"),
        pytest.param(lambda challenge: challenge[:-1], id="shorter"),
        pytest.param(lambda challenge: challenge + b"\0", id="longer"),
        pytest.param(lambda challenge: bytes([challenge[0] ^ 1]) + challenge[1:], id="another nonce"),
        pytest.param(lambda challenge: challenge[:16] + b"\xff" * 8 + challenge[24:], id="a later end"),
        pytest.param(lambda challenge: challenge[:-1] + bytes([challenge[-1] ^ 1]), id="another signature"),
    ],
)
def test_a_changed_challenge_does_not_open(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ValueError, match="not a challenge"):
        challenges().verify("login", b"", change(challenges().sign("login", b"")))


def test_a_challenge_of_another_service_does_not_open() -> None:
    with pytest.raises(ValueError, match="not a challenge for this"):
        challenges().verify("login", b"", challenges(KEYS[1]).sign("login", b""))


def test_a_challenge_is_good_for_five_minutes(time: Time) -> None:
    challenge = challenges().sign("login", b"")
    time.passes(minutes=4, seconds=58)
    challenges().verify("login", b"", challenge)
    time.passes(seconds=2)
    with pytest.raises(ValueError, match="expired"):
        challenges().verify("login", b"", challenge)


def test_a_challenge_stays_good_when_keys_are_rotated() -> None:
    before, after = challenges(KEYS[0]), challenges(KEYS[1], KEYS[0])
    after.verify("login", b"", before.sign("login", b""))
    with pytest.raises(ValueError, match="not a challenge for this"):
        before.verify("login", b"", after.sign("login", b""))
