"""Headers that try to choose how they are read."""

import hmac
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from authapp.errors import TokenInvalid
from authapp.security import base64url
from authapp.security.keys import Key, KeyRing
from authapp.security.tokens import Tokens
from security.forging import ABSENT, RULES, TOKENS, claims, forged, header, key_for, segment


def refused(head: Any) -> None:
    with pytest.raises(TokenInvalid):
        TOKENS.read(forged(head))


def public_jwk(key: Key) -> dict[str, Any]:
    return {name: value for name, value in key.jwk.items() if name not in {"d", "p", "q", "dp", "dq", "qi"}}


@pytest.mark.parametrize("name", ["alg", "kid", "typ"])
def test_every_member_is_required(name: str) -> None:
    refused(header(**{name: ABSENT}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("jwk", public_jwk(key_for())),
        ("jku", "https://evil.test/jwks.json"),
        ("x5u", "https://evil.test/certificate.pem"),
        ("x5c", ["MIIB"]),
        ("x5t", "AAAA"),
        ("crit", ["exp"]),
        ("crit", []),
        ("b64", False),
        ("b64", True),
        ("cty", "JWT"),
        ("zip", "DEF"),
        ("enc", "A128GCM"),
        ("", ""),
        ("nonce", None),
    ],
)
def test_a_member_that_is_not_ours_is_refused(name: str, value: Any) -> None:
    refused(header(**{name: value}))


def test_unsigned_content_is_not_read_though_crit_and_b64_ask_for_it() -> None:
    refused(header(crit=["b64"], b64=False))


def test_a_key_that_the_token_brings_is_not_used() -> None:
    theirs = Key.generate()

    for head in (header(theirs, jwk=public_jwk(theirs)), header(key_for(), jwk=public_jwk(theirs))):
        with pytest.raises(TokenInvalid):
            TOKENS.read(forged(head, key=theirs))


@pytest.mark.parametrize("typ", ["JWT", "jwt", "AT+JWT", "application/at+jwt", "", "at+jwt ", None, 5, ["at+jwt"], {}])
def test_the_type_is_spelled_in_one_way(typ: Any) -> None:
    refused(header(typ=typ))


@pytest.mark.parametrize(
    "kid",
    ["", "unknown", key_for().kid + "A", key_for().kid[:-1], key_for().kid.lower(), "../../dev/null", "' OR 1=1"],
    ids=["empty", "unknown", "longer", "shorter", "lower case", "path", "SQL"],
)
def test_a_key_that_is_not_in_the_ring_is_not_found(kid: str) -> None:
    refused(header(kid=kid))


@pytest.mark.parametrize("kid", [None, 0, True, [], [key_for().kid], {}, {key_for().kid: 1}])
def test_the_kid_is_a_string(kid: Any) -> None:
    refused(header(kid=kid))


@pytest.mark.parametrize(
    "alg",
    ["none", "None", "NONE", "nOnE", "", "HS256", "RS256", "ES384", "ES256K", "EdDSA", "es256", None, 0, ["ES256"]],
)
def test_the_key_decides_the_algorithm(alg: Any) -> None:
    refused(header(alg=alg))


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "ES256", "HS256"])
@pytest.mark.parametrize("signature", ["", "AA", "bm9uZQ"])
def test_an_unsigned_token_opens_nothing(alg: str, signature: str) -> None:
    unsigned = f"{segment(header(alg=alg))}.{segment(claims())}.{signature}"

    with pytest.raises(TokenInvalid):
        TOKENS.read(unsigned)


@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "RS256"])
@pytest.mark.parametrize("claimed", ["HS256", None])
def test_a_public_key_is_no_secret_to_sign_with(alg: str, claimed: str | None) -> None:
    key = key_for(alg)
    public = key._public
    secrets = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).strip(),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        key.kid.encode(),
        base64url.decode(key.jwk["n" if alg == "RS256" else "x"]),
        b"",
    ]
    tokens = Tokens(KeyRing([key]), RULES)
    for secret in secrets:
        signing_input = f"{segment(header(key, alg=claimed or alg))}.{segment(claims())}"
        signature = base64url.encode(hmac.digest(secret, signing_input.encode(), sha256))
        with pytest.raises(TokenInvalid):
            tokens.read(f"{signing_input}.{signature}")


def test_one_key_of_the_ring_cannot_stand_in_for_another() -> None:
    asymmetric, symmetric = key_for("ES256"), key_for("HS256")
    tokens = Tokens(KeyRing([asymmetric, symmetric]), RULES)
    assert tokens.read(forged(key=symmetric))

    for head in (
        header(asymmetric),
        header(asymmetric, alg="HS256"),
        header(symmetric, alg="ES256"),
    ):
        with pytest.raises(TokenInvalid):
            tokens.read(forged(head, key=symmetric))


@pytest.mark.parametrize("head", [b"", b"[]", b"null", b'"ES256"', b"1", b"{}", b"{", b"\xff\xfe{}", b"ES256"])
def test_a_header_that_is_no_header_is_refused(head: bytes) -> None:
    refused(head)
