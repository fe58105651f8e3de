"""The keys that encrypt what is stored: each value is good for one purpose and one user, under the key that made it."""

import itertools
import json
from typing import Any
from uuid import UUID

import pytest

from authapp.security import base64url
from authapp.security.encryption_keys import (
    KEY_BYTES,
    NONCE_BYTES,
    TAG_BYTES,
    EncryptionKey,
    EncryptionKeys,
    ForgedValue,
    UnknownKey,
)
from authapp.security.keys import InvalidKey, Key, KeyRing

ADA, BOB = UUID(int=1), UUID(int=2)
SECRET = b"twenty bytes of text"
MADE = 1_700_000_000
RANDOM = bytes(range(KEY_BYTES))


def jwk(secret: bytes = RANDOM, **members: Any) -> dict[str, Any]:
    return {"kty": "oct", "k": base64url.encode(secret), **members}


def jwks(*keys: Any) -> str:
    return json.dumps({"keys": keys})


@pytest.fixture
def keys() -> EncryptionKeys:
    return EncryptionKeys.generate(MADE)


def test_what_was_encrypted_is_decrypted_for_the_same_purpose_and_user(keys: EncryptionKeys) -> None:
    sealed = keys.encrypt(SECRET, "totp", ADA)

    assert sealed.key_id == keys.first.kid
    assert SECRET not in sealed.data
    assert keys.decrypt(*sealed, "totp", ADA) == SECRET


def test_the_same_value_is_never_encrypted_to_the_same_bytes(keys: EncryptionKeys) -> None:
    made = {keys.encrypt(SECRET, "totp", ADA).data for _ in range(100)}

    assert len({data[:NONCE_BYTES] for data in made}) == 100
    assert {len(data) for data in made} == {NONCE_BYTES + len(SECRET) + TAG_BYTES}


@pytest.mark.parametrize(("purpose", "user_id"), [("totp", BOB), ("other", ADA), ("tot", ADA), ("", ADA)])
def test_a_value_that_was_moved_is_refused(keys: EncryptionKeys, purpose: str, user_id: UUID) -> None:
    sealed = keys.encrypt(SECRET, "totp", ADA)

    with pytest.raises(ForgedValue):
        keys.decrypt(*sealed, purpose, user_id)


def test_no_other_triple_has_the_same_associated_data() -> None:
    key = EncryptionKey.from_jwk(jwk())
    user_id = UUID(bytes=b"x" * 16)

    assert key._associated_data("totp", user_id) == (
        b"\0\0\0\4totp" + b"\0\0\0\x10" + user_id.bytes + b"\0\0\0\x2b" + key.kid.encode()
    )


def test_a_value_under_the_id_of_another_key_is_refused(keys: EncryptionKeys) -> None:
    both = EncryptionKeys([*keys, EncryptionKey.generate(MADE)])
    other = next(key for key in both if key is not both.first)

    with pytest.raises(ForgedValue):
        both.decrypt(other.kid, both.encrypt(SECRET, "totp", ADA).data, "totp", ADA)


def test_every_changed_byte_is_noticed(keys: EncryptionKeys) -> None:
    key_id, data = keys.encrypt(SECRET, "totp", ADA)

    changed = [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in range(len(data))]
    cut = [data[:length] for length in range(len(data))]
    for forged in (*changed, *cut, data + b"\0"):
        with pytest.raises(ForgedValue):
            keys.decrypt(key_id, forged, "totp", ADA)


def test_the_first_key_encrypts_and_each_decrypts(keys: EncryptionKeys) -> None:
    sealed = keys.encrypt(SECRET, "totp", ADA)
    rotated = EncryptionKeys([EncryptionKey.generate(MADE + 1), *keys])

    assert rotated.decrypt(*sealed, "totp", ADA) == SECRET
    assert rotated.encrypt(SECRET, "totp", ADA).key_id == rotated.first.kid != sealed.key_id


def test_a_key_that_is_not_there_is_named(keys: EncryptionKeys) -> None:
    sealed = keys.encrypt(SECRET, "totp", ADA)

    with pytest.raises(UnknownKey, match=sealed.key_id):
        EncryptionKeys.generate(MADE).decrypt(*sealed, "totp", ADA)


def test_a_ring_is_read_as_it_was_written(keys: EncryptionKeys) -> None:
    ring = EncryptionKeys([*keys, EncryptionKey.from_jwk(jwk())])

    read = EncryptionKeys.from_json(ring.to_json())

    assert [key.jwk for key in read] == [key.jwk for key in ring]
    assert (read.first.kid, read.first.jwk["iat"]) == (keys.first.kid, MADE)
    assert read.decrypt(*ring.encrypt(SECRET, "totp", ADA), "totp", ADA) == SECRET


def test_the_id_of_a_key_is_its_thumbprint_given_or_not() -> None:
    key = EncryptionKey.from_jwk(jwk())

    assert key.jwk == jwk(kid=key.kid, alg="A256GCM", use="enc")
    assert EncryptionKey.from_jwk(key.jwk).kid == key.kid


@pytest.mark.parametrize(
    "bad",
    [
        *("key", None, {}, {"kty": "oct"}, {"kty": ["oct"], "k": "x"}, {"kty": "oct", "k": 5}),
        Key.generate("ES256").jwk,
        Key.generate("HS256").jwk,
        {**jwk(), "k": jwk()["k"] + "="},
        *(jwk(RANDOM[:-1]), jwk(RANDOM + b"x"), jwk(b""), jwk(b"x" * KEY_BYTES)),
        *(jwk(kid="mine"), jwk(kid=5), jwk(alg="A128GCM"), jwk(alg="HS256"), jwk(use="sig")),
        *(jwk(iat="now"), jwk(iat=-1)),
    ],
    ids=itertools.count(),
)
def test_what_is_no_good_key_is_refused(bad: Any) -> None:
    with pytest.raises(InvalidKey):
        EncryptionKey.from_jwk(bad)


@pytest.mark.parametrize("text", ["", "null", "{}", "[" * 100_000, '{"keys": []}', '{"keys": "AAAA"}'])
def test_what_is_no_set_of_keys_is_refused(text: str) -> None:
    assert len(list(EncryptionKeys.problems(text))) == 1
    with pytest.raises(InvalidKey):
        EncryptionKeys.from_json(text)


def test_every_problem_is_listed_with_the_number_of_its_key_and_none_shows_it() -> None:
    text = jwks(jwk(), jwk(b"y" * KEY_BYTES), "key", jwk(), jwk(kid="mine"))

    problems = list(EncryptionKeys.problems(text))

    starts = ["key 2 is weak", "key 3 is not", "key 5 has", "holds one key twice."]
    assert [problem.startswith(start) for problem, start in zip(problems, starts, strict=True)] == [True] * 4
    assert not [problem for problem in problems if jwk()["k"] in problem]
    with pytest.raises(InvalidKey) as error:
        EncryptionKeys.from_json(text)
    assert str(error.value) == " ".join(problems)


def test_a_key_that_signs_tokens_does_not_encrypt() -> None:
    signs = KeyRing([Key.from_jwk(jwk())])

    (problem,) = EncryptionKeys.problems(jwks(jwk()), reserved={key.kid for key in signs})

    assert problem == "key 1 is one of AUTHAPP_JWT_KEYS. Generate another one."


def test_a_ring_has_a_key_and_none_twice(keys: EncryptionKeys) -> None:
    with pytest.raises(InvalidKey, match="no key"):
        EncryptionKeys([])
    with pytest.raises(InvalidKey, match="twice"):
        EncryptionKeys([*keys, *keys])


def test_no_secret_is_shown(keys: EncryptionKeys) -> None:
    assert keys.first.jwk["k"] not in repr([*keys])
