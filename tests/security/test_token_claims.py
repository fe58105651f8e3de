"""Claims that are missing or wrong, each under a true signature."""

import json
import time
from typing import Any

import pytest

from authapp.errors import TokenInvalid
from authapp.security.tokens import TYP
from security.forging import ABSENT, AUDIENCE, ISSUER, RULES, TOKENS, claims, forged, header

CLAIMS = ["iss", "aud", "sub", "iat", "nbf", "exp", "jti", "sid", "type", "fresh"]
CLAIMS_SINCE_0_2 = ["client_id", "auth_time", "amr"]
OTHER_ISSUERS = [
    *[ISSUER[:-1], ISSUER[1:], "https://", ".", ISSUER + "/", ISSUER + ".evil.test", "x" + ISSUER, ISSUER.upper()],
    *[f" {ISSUER}", f"{ISSUER}\n", f"{ISSUER} https://evil.test", "https://evil.test"],
]
NOT_TEXT: list[Any] = [None, True, 5, 1.5, [], {}, ""]
UUID = "0190a1b2-c3d4-7e5f-8a6b-0c1d2e3f4a5b"
NOT_UUIDS = ["me", "1", UUID.upper(), UUID.replace("-", ""), f"{{{UUID}}}", f"urn:uuid:{UUID}", f" {UUID}", [UUID]]
NOT_TIMES: list[Any] = [None, True, False, "", [], {}, -1, 2**53, 10**30]


def refused(head: Any = ABSENT, **changes: Any) -> None:
    with pytest.raises(TokenInvalid):
        TOKENS.read(forged(head, claims(**changes)))


@pytest.mark.parametrize("name", CLAIMS)
def test_every_claim_is_required(name: str) -> None:
    refused(**{name: ABSENT})


@pytest.mark.parametrize("name", CLAIMS_SINCE_0_2)
def test_the_claims_since_version_0_2_are_required_together(name: str) -> None:
    refused(**{name: ABSENT})
    refused(**{other: ABSENT for other in CLAIMS_SINCE_0_2 if other != name})


@pytest.mark.parametrize(("type_", "typ"), TYP.items())
def test_a_token_with_none_of_them_is_accepted_as_one_of_version_0_1(type_: str, typ: str) -> None:
    body = claims(type=type_, **dict.fromkeys(CLAIMS_SINCE_0_2, ABSENT))

    assert TOKENS.read(forged(header(typ=typ), body)) == body


@pytest.mark.parametrize("name", CLAIMS)
def test_every_older_claim_is_required_of_a_token_of_version_0_1_too(name: str) -> None:
    refused(**dict.fromkeys([*CLAIMS_SINCE_0_2, name], ABSENT))


@pytest.mark.parametrize(
    "value", [*NOT_TEXT, [AUDIENCE], {AUDIENCE: True}, "auth", "a", "authapp2", "AUTHAPP", f"{AUDIENCE} other"]
)
def test_the_client_is_this_service_alone(value: Any) -> None:
    refused(client_id=value)


@pytest.mark.parametrize("value", [*NOT_TIMES, 1.5, "1800000000", [1_800_000_000], 1_800_000_000.0])
def test_the_time_of_authentication_is_a_whole_number(value: Any) -> None:
    refused(auth_time=value)


@pytest.mark.parametrize("value", [*NOT_TEXT, "pwd", [None], [1], ["pwd", None], ["pwd", ["otp"]], {"pwd": True}])
def test_the_methods_of_authentication_are_a_list_of_at_least_one_word(value: Any) -> None:
    refused(amr=value)


def test_several_methods_of_authentication_are_accepted() -> None:
    assert TOKENS.read(forged(claims_=claims(amr=["pwd", "otp", "mfa"])))["amr"] == ["pwd", "otp", "mfa"]


@pytest.mark.parametrize("value", ["pro", 5, None, True, ["a"], {"pages": [1, 2]}])
def test_extra_claims_are_carried(value: Any) -> None:
    body = claims(**{"notes:plan": value})

    assert TOKENS.read(forged(claims_=body)) == body


@pytest.mark.parametrize("value", [*NOT_TEXT, [ISSUER], {ISSUER: True}, {"iss": ISSUER}])
def test_the_issuer_is_one_string(value: Any) -> None:
    refused(iss=value)


@pytest.mark.parametrize("issuer", OTHER_ISSUERS)
def test_the_issuer_is_compared_for_equality(issuer: str) -> None:
    refused(iss=issuer)


@pytest.mark.parametrize(
    "value", [*NOT_TEXT, [AUDIENCE], {AUDIENCE: True}, "auth", "a", "authapp2", "AUTHAPP", f"{AUDIENCE} other"]
)
def test_the_audience_is_this_service_alone(value: Any) -> None:
    refused(aud=value)


@pytest.mark.parametrize("name", ["sub", "jti", "sid"])
@pytest.mark.parametrize("value", [*NOT_TEXT, *NOT_UUIDS])
def test_identifiers_are_uuids_in_their_one_spelling(name: str, value: Any) -> None:
    refused(**{name: value})


@pytest.mark.parametrize("name", ["iat", "nbf", "exp"])
@pytest.mark.parametrize("value", NOT_TIMES)
def test_times_are_whole_numbers(name: str, value: Any) -> None:
    refused(**{name: value})


@pytest.mark.parametrize("name", ["iat", "nbf", "exp"])
@pytest.mark.parametrize("convert", [float, str, lambda number: [number], lambda number: number + 0.5])
def test_a_good_time_of_the_wrong_type_is_refused(name: str, convert: Any) -> None:
    refused(**{name: convert(claims()[name])})


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1e2", "NaN", "Infinity", "-0.0"])
@pytest.mark.parametrize("name", ["iat", "nbf", "exp"])
def test_a_time_that_only_some_parsers_read_is_refused(name: str, number: str) -> None:
    raw = json.dumps(claims(**{name: "here"})).replace('"here"', number)

    with pytest.raises(TokenInvalid):
        TOKENS.read(forged(claims_=raw.encode()))


@pytest.mark.parametrize("value", [*NOT_TEXT, "Access", "access ", "id", "bearer", ["access"], {"access": 1}])
def test_the_type_is_one_of_two_words(value: Any) -> None:
    refused(type=value)


@pytest.mark.parametrize("value", [None, 0, 1, "true", "false", "", [], [True], {}])
def test_fresh_is_true_or_false(value: Any) -> None:
    refused(fresh=value)


@pytest.mark.parametrize(("type_", "typ"), [("access", "rt+jwt"), ("refresh", "at+jwt")])
def test_the_header_and_the_claims_must_agree_on_the_type(type_: str, typ: str) -> None:
    refused(header(typ=typ), type=type_)


@pytest.mark.parametrize(
    ("type_", "typ", "longest"), [("access", "at+jwt", RULES.access_ttl), ("refresh", "rt+jwt", RULES.refresh_ttl)]
)
def test_a_lifetime_beyond_the_configured_one_is_refused(type_: str, typ: str, longest: int) -> None:
    now = int(time.time())

    assert TOKENS.read(forged(header(typ=typ), claims(type=type_, iat=now, exp=now + longest)))
    refused(header(typ=typ), type=type_, iat=now, exp=now + longest + 1)
    refused(header(typ=typ), type=type_, iat=now, exp=2**53 - 1)


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_token_that_expires_before_it_begins_is_refused(seconds: int) -> None:
    now = int(time.time())

    refused(iat=now, exp=now + seconds)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b'"access"', b"1", b"{}", b"{", b"\xff\xfe{}", b'{"a": "\\u0000"}']
)
def test_claims_that_are_no_claims_are_refused(body: bytes) -> None:
    with pytest.raises(TokenInvalid):
        TOKENS.read(forged(claims_=body))
