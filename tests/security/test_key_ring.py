"""The set of keys: its order, and every problem in it at once."""

import json
from typing import Any

import pytest

from authapp.security.keys import InvalidKey, Key, KeyRing
from security.forging import key_for
from security.test_keys import bare, public, secret


def jwks(*keys: Any) -> str:
    return json.dumps({"keys": keys})


def test_the_first_key_signs_and_each_is_found_by_its_kid() -> None:
    ring = KeyRing.from_json(jwks(bare("EdDSA"), bare("ES256"), bare("HS256")))

    assert ring.signing.kid == key_for("EdDSA").kid
    assert [key.alg for key in ring] == ["EdDSA", "ES256", "HS256"]
    for key in ring:
        assert ring.get(key.kid) is key
    assert ring.get("another") is None


def test_a_ring_is_read_as_it_was_written() -> None:
    ring = KeyRing([key_for("ES256"), key_for("RS256")])

    assert [key.jwk for key in KeyRing.from_json(ring.to_json())] == [key.jwk for key in ring]


def test_a_good_ring_has_no_problems() -> None:
    assert list(KeyRing.problems(jwks(bare("ES256"), bare("RS256")))) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "[]",
        "null",
        "5",
        '"keys"',
        "{}",
        '{"key": []}',
        '{"keys"}',
        "[" * 100000,
        '{"a":' * 100000,
        "1" * 5000,
        json.dumps(bare()),
    ],
)
def test_what_is_no_jwk_set_is_refused(text: str) -> None:
    assert list(KeyRing.problems(text)) == ['is not a JWK Set: {"keys": [...]}.']
    with pytest.raises(InvalidKey, match="not a JWK Set"):
        KeyRing.from_json(text)


@pytest.mark.parametrize("text", ['{"keys": []}', '{"keys": {}}', '{"keys": null}', '{"keys": "AAAA"}', '{"keys": 5}'])
def test_a_set_without_keys_is_refused(text: str) -> None:
    assert list(KeyRing.problems(text)) == ["holds no key."]
    with pytest.raises(InvalidKey, match="no key"):
        KeyRing.from_json(text)


def test_a_ring_is_not_empty_and_holds_no_key_twice() -> None:
    with pytest.raises(InvalidKey, match="no key"):
        KeyRing([])
    with pytest.raises(InvalidKey, match="twice"):
        KeyRing([key_for(), Key.from_jwk(bare())])


def test_a_set_with_one_key_twice_is_refused() -> None:
    assert list(KeyRing.problems(jwks(bare("ES256"), bare("EdDSA"), bare("ES256")))) == ["holds one key twice."]


def test_a_key_is_one_key_in_any_spelling() -> None:
    padded = bare("HS256")["k"] + "=="

    assert list(KeyRing.problems(jwks(bare("HS256"), bare("HS256", k=padded))))


def test_every_problem_of_a_set_is_listed_with_the_number_of_its_key() -> None:
    bad = [secret(b"x" * 40), bare("ES256"), public("RS256"), "key", bare("EdDSA", kid="mine"), bare("ES256")]

    problems = list(KeyRing.problems(jwks(*bad)))

    assert [problem.split(" is ")[0].split(" has ")[0] for problem in problems[:4]] == [
        "key 1",
        "key 3",
        "key 4",
        "key 5",
    ]
    assert problems[4:] == ["holds one key twice."]
    with pytest.raises(InvalidKey) as error:
        KeyRing.from_json(jwks(*bad))
    assert str(error.value) == " ".join(problems)


def test_no_message_shows_a_key() -> None:
    bad = [
        secret(b"x" * 40),
        public("RS256"),
        bare("RS256", alg="none"),
        bare("EdDSA", kid="mine"),
        bare("ES256", crv="x"),
    ]

    shown = " ".join(KeyRing.problems(jwks(*bad)))

    material = [value for key in bad for name, value in key.items() if name not in {"kty", "crv", "alg", "kid", "e"}]
    assert len(material) > 10
    assert not [value for value in material if str(value) in shown]
