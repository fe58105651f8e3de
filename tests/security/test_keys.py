"""One key: its kind, its name and its strength."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from authapp.security import base64url
from authapp.security.key_generation import GENERATORS
from authapp.security.keys import InvalidKey, Key, thumbprint
from security.forging import key_for

SECRET_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "k"}
KINDS = {"ES256": "EC", "EdDSA": "OKP", "RS256": "RSA", "HS256": "oct"}


def bare(alg: str = "ES256", /, **changes: Any) -> dict[str, Any]:
    """Return a good private JWK without ``kid``, ``alg`` and ``use``, with ``changes``."""
    given = key_for(alg).jwk
    return {name: value for name, value in given.items() if name not in {"kid", "alg", "use"}} | changes


def public(alg: str) -> dict[str, Any]:
    return {name: value for name, value in bare(alg).items() if name not in SECRET_MEMBERS}


def secret(data: bytes) -> dict[str, Any]:
    return {"kty": "oct", "k": base64url.encode(data)}


def curve(private: Any) -> dict[str, Any]:
    convert = ECAlgorithm if isinstance(private, ec.EllipticCurvePrivateKey) else OKPAlgorithm
    made: dict[str, Any] = convert.to_jwk(private, as_dict=True)
    return made


def short_rsa() -> dict[str, Any]:
    made: dict[str, Any] = RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 1024), as_dict=True)
    return made


def refused(jwk: Any, reason: str) -> None:
    """Check that ``jwk`` is refused for ``reason``, in words that show none of its secrets."""
    with pytest.raises(InvalidKey, match=reason) as error:
        Key.from_jwk(jwk)
    members = jwk if isinstance(jwk, dict) else {}
    shown = str(error.value) + repr(error.value)
    assert not [
        name for name in SECRET_MEMBERS & members.keys() if len(str(members[name])) > 3 and str(members[name]) in shown
    ]


@pytest.mark.parametrize("alg", GENERATORS)
def test_the_type_of_a_key_decides_its_algorithm(alg: str) -> None:
    key = Key.from_jwk(bare(alg))

    assert (key.alg, key.jwk["kty"]) == (alg, KINDS[alg])
    signature = key.sign(b"message")
    assert key.verify(b"message", signature)
    assert not key.verify(b"massage", signature)
    assert not key.verify(b"message", b"")
    assert not key.verify(b"message", signature + b"\0")


@pytest.mark.parametrize("alg", GENERATORS)
def test_kid_alg_and_use_are_filled_in(alg: str) -> None:
    key = Key.from_jwk(bare(alg))

    assert key.jwk == bare(alg, kid=thumbprint(bare(alg)), alg=alg, use="sig")
    assert key.kid == key.jwk["kid"]
    assert Key.from_jwk(key.jwk).jwk == key.jwk


@pytest.mark.parametrize(("alg", "member"), [("ES256", "x"), ("EdDSA", "x"), ("RS256", "n"), ("HS256", "k")])
def test_a_key_is_kept_in_its_one_spelling(alg: str, member: str) -> None:
    good = bare(alg)
    padded = good[member] + "=" * (-len(good[member]) % 4)

    assert Key.from_jwk(bare(alg, **{member: padded})).jwk == key_for(alg).jwk


def test_a_thumbprint_is_that_of_rfc_7638() -> None:
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3"
        "oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdA"
        "ZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-"
        "kEgU8awapJzKnqDKgw"
    )
    jwk = {"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}

    assert thumbprint(jwk) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_a_thumbprint_is_that_of_rfc_8037() -> None:
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}

    assert thumbprint(jwk) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize("alg", GENERATORS)
def test_a_thumbprint_depends_on_the_key_alone(alg: str) -> None:
    reordered = dict(reversed(bare(alg, kid="x", use="enc", key_ops=["sign"]).items()))

    assert thumbprint(reordered) == key_for(alg).kid


@pytest.mark.parametrize("alg", GENERATORS)
@pytest.mark.parametrize("kid", ["mine", "", None, 5, [], pytest.param(key_for("ES256").kid + "A", id="longer")])
def test_a_kid_that_is_not_the_thumbprint_is_refused(alg: str, kid: Any) -> None:
    refused(bare(alg, kid=kid), "thumbprint")


@pytest.mark.parametrize("alg", GENERATORS)
@pytest.mark.parametrize("claimed", ["none", "HS256", "RS256", "ES256", "EdDSA", "ES384", "PS256", "", None, ["ES256"]])
def test_an_alg_that_is_not_the_one_for_its_type_is_refused(alg: str, claimed: Any) -> None:
    if claimed == alg:
        assert Key.from_jwk(bare(alg, alg=claimed)).alg == alg
    else:
        refused(bare(alg, alg=claimed), "alg")


@pytest.mark.parametrize("use", ["enc", "", None, ["sig"]])
def test_a_key_for_another_use_is_refused(use: Any) -> None:
    refused(bare(use=use), "use")


@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "RS256"])
def test_a_public_key_is_refused(alg: str) -> None:
    refused(public(alg), "public key")


def test_a_short_rsa_key_is_refused() -> None:
    refused(short_rsa(), "1024 bits")


@pytest.mark.parametrize("length", [0, 1, 31])
def test_a_short_hmac_key_is_refused(length: int) -> None:
    refused(secret(bytes(range(100, 100 + length))) if length else {"kty": "oct", "k": ""}, "short|usable")


def test_an_hmac_key_of_32_bytes_is_taken() -> None:
    assert Key.from_jwk(secret(bytes(range(100, 132)))).alg == "HS256"


@pytest.mark.parametrize("data", [b"\0" * 32, b"a" * 64, b"secret" * 10, bytes(range(9)) * 8])
def test_an_hmac_key_that_repeats_itself_is_refused(data: bytes) -> None:
    refused(secret(data), "weak")


PUBLISHED: list[dict[str, Any]] = [
    {"kty": "OKP", "crv": "Ed25519", "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}
    | {"x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    {"kty": "EC", "crv": "P-256", "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}
    | {"x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
    secret(b"a-string-secret-at-least-256-bits-long"),
    secret(b"your-256-bit-secret-your-256-bit-secret"),
]


@pytest.mark.parametrize("jwk", PUBLISHED)
def test_a_published_key_is_refused(jwk: dict[str, Any]) -> None:
    refused(jwk, "published")


@pytest.mark.parametrize("jwk", PUBLISHED[:3])
def test_a_published_key_is_refused_in_another_spelling(jwk: dict[str, Any]) -> None:
    member = "k" if jwk["kty"] == "oct" else "x"
    padding = "=" * (-len(jwk[member]) % 4)

    refused(jwk | {member: jwk[member] + padding}, "published|usable")


@pytest.mark.parametrize(
    "private",
    [
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP521R1()),
        ec.generate_private_key(ec.SECP256K1()),
        Ed448PrivateKey.generate(),
    ],
)
def test_other_curves_are_refused(private: Any) -> None:
    refused(curve(private), "not supported")


def test_a_key_for_agreement_is_refused() -> None:
    data = base64url.encode(X25519PrivateKey.generate().private_bytes_raw())

    refused({"kty": "OKP", "crv": "X25519", "d": data, "x": data}, "not supported")


@pytest.mark.parametrize("kty", ["ec", "AKP", "", "EC2"])
def test_other_types_are_refused(kty: str) -> None:
    refused(bare(kty=kty), "not supported")


@pytest.mark.parametrize("crv", [None, "P-384", "Ed25519", 5, ["P-256"], {}])
def test_a_curve_that_is_not_the_keys_is_refused(crv: Any) -> None:
    refused(bare(crv=crv), "not supported")


@pytest.mark.parametrize("jwk", [None, 5, "key", [], ["kty"], {}, {"kty": None}, {"kty": ["EC"]}, {"k": "AAAA"}])
def test_what_is_no_jwk_is_refused(jwk: Any) -> None:
    refused(jwk, "not a JWK")


@pytest.mark.parametrize(
    ("alg", "member"),
    [
        ("ES256", "x"),
        ("ES256", "y"),
        ("ES256", "d"),
        ("EdDSA", "x"),
        ("EdDSA", "d"),
        ("RS256", "n"),
        ("RS256", "d"),
        ("RS256", "e"),
        ("RS256", "p"),
        ("HS256", "k"),
    ],
)
@pytest.mark.parametrize("value", [None, 5, "", "!", "AAAA", "\u00e9", "\ud800", [], {}, ["AAAA"], True])
def test_a_damaged_key_is_refused(alg: str, member: str, value: Any) -> None:
    refused(bare(alg, **{member: value}), "usable|short")


@pytest.mark.parametrize("alg", GENERATORS)
def test_a_key_with_something_missing_is_refused(alg: str) -> None:
    for member in {"x", "y", "n", "e", "k"} & bare(alg).keys():
        refused({name: value for name, value in bare(alg).items() if name != member}, "usable")


@pytest.mark.parametrize(("alg", "members"), [("ES256", "xy"), ("EdDSA", "x"), ("RS256", "n")])
def test_a_private_key_with_the_public_half_of_another_is_refused(alg: str, members: str) -> None:
    other = Key.generate(alg).jwk

    refused(bare(alg, **{member: other[member] for member in members}), "usable")


@pytest.mark.parametrize("alg", GENERATORS)
def test_generated_keys_are_new_and_good(alg: str) -> None:
    first, second = key_for(alg), Key.generate(alg)

    assert first.kid != second.kid
    assert Key.from_jwk(json.loads(json.dumps(second.jwk))).kid == second.kid


def test_the_default_is_es256() -> None:
    assert Key.generate().alg == "ES256"


@pytest.mark.parametrize("alg", GENERATORS)
def test_a_key_does_not_show_its_secret_when_printed(alg: str) -> None:
    key = key_for(alg)

    for member in SECRET_MEMBERS & key.jwk.keys():
        assert key.jwk[member] not in f"{key!r} {key}"


def test_ed25519_signs_as_its_standard_says() -> None:
    seed = bytes(range(32))
    private = Ed25519PrivateKey.from_private_bytes(seed)
    key = Key.from_jwk(curve(private))

    assert key.sign(b"message") == private.sign(b"message")
