"""Signing and reading: what a token says, and which key it takes."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import pytest

from authapp.errors import TokenInvalid
from authapp.security import base64url, identifiers
from authapp.security.key_generation import GENERATORS
from authapp.security.keys import Key, KeyRing
from authapp.security.tokens import Tokens
from security.forging import AUDIENCE, ISSUER, RULES, TOKENS, claims, forged, header, key_for

USER, SESSION, JTI = identifiers.time_ordered(), identifiers.time_ordered(), identifiers.unguessable()


def a_token(tokens: Tokens = TOKENS, type_: Literal["access", "refresh"] = "access", **changes: Any) -> str:
    now = datetime.now(UTC)
    times = {"issued_at": now, "expires_at": now + timedelta(minutes=10), "auth_time": now}
    values = {**times, "amr": ["pwd"], **changes}
    return tokens.sign(type_, user_id=USER, session_id=SESSION, jti=JTI, **values)


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    first, second, _ = token.split(".")
    return json.loads(base64url.decode(first)), json.loads(base64url.decode(second))


@pytest.mark.parametrize("type_", ["access", "refresh"])
def test_what_was_signed_is_read(type_: Literal["access", "refresh"]) -> None:
    read = TOKENS.read(a_token(type_=type_))

    assert (UUID(read["sub"]), UUID(read["sid"]), UUID(read["jti"])) == (USER, SESSION, JTI)
    assert (read["iss"], read["aud"], read["type"]) == (ISSUER, AUDIENCE, type_)
    assert read["exp"] - read["iat"] == 600
    assert read["nbf"] == read["iat"]


def test_a_token_has_the_agreed_claims_and_no_others() -> None:
    head, body = parts(a_token())

    assert head == {"alg": "ES256", "kid": key_for().kid, "typ": "at+jwt"}
    names = {"iss", "aud", "sub", "iat", "nbf", "exp", "jti", "sid", "type", "fresh", "client_id", "auth_time", "amr"}
    assert set(body) == names | {"acr"}
    assert parts(a_token(type_="refresh"))[0]["typ"] == "rt+jwt"


def test_a_token_says_how_and_when_its_user_was_authenticated() -> None:
    auth_time = datetime.now(UTC) - timedelta(days=3)
    for type_ in ("access", "refresh"):
        read = TOKENS.read(a_token(type_=type_, amr=["pwd", "otp"], auth_time=auth_time))
        assert (read["client_id"], read["amr"], read["auth_time"]) == (
            AUDIENCE,
            ["pwd", "otp"],
            int(auth_time.timestamp()),
        )


@pytest.mark.parametrize(("amr", "acr"), [(["pwd"], "sfa"), (["pwd", "otp", "mfa"], "mfa")])
def test_a_token_says_whether_more_than_one_factor_was_used(amr: list[str], acr: str) -> None:
    assert TOKENS.read(a_token(amr=amr))["acr"] == acr


def test_extra_claims_are_signed_and_read() -> None:
    extra = {"notes:plan": "pro", "notes:limits": {"pages": [1, 2]}}
    token = a_token(extra=extra)

    assert extra.items() <= TOKENS.read(token).items()
    assert extra.items() <= parts(token)[1].items()


def test_an_extra_claim_cannot_replace_one_of_ours() -> None:
    with_extra = TOKENS.read(a_token(extra={"sub": "somebody", "type": "refresh", "fresh": True, "amr": ["otp"]}))

    assert (with_extra["sub"], with_extra["type"], with_extra["fresh"]) == (str(USER), "access", False)
    assert with_extra["amr"] == ["pwd"]


@pytest.mark.parametrize("fresh", [True, False])
def test_a_token_tells_whether_it_is_fresh(fresh: bool) -> None:
    assert TOKENS.read(a_token(fresh=fresh))["fresh"] is fresh


def test_a_token_is_not_fresh_unless_asked() -> None:
    assert TOKENS.read(a_token())["fresh"] is False


def test_the_tokens_that_these_tests_forge_are_good_before_they_are_spoilt() -> None:
    body = claims()

    assert TOKENS.read(forged(claims_=body)) == body


def test_an_unknown_claim_is_carried_and_ignored() -> None:
    body = claims(admin=True, nonce="x")

    assert TOKENS.read(forged(claims_=body)) == body


@pytest.mark.parametrize("alg", GENERATORS)
def test_every_kind_of_key_signs_and_reads(alg: str) -> None:
    tokens = Tokens(KeyRing([key_for(alg)]), RULES)
    token = a_token(tokens)

    assert parts(token)[0]["alg"] == alg
    assert tokens.read(token)["sub"] == str(USER)
    damaged = token[:-6] + ("AAAAAA" if token[-6:] != "AAAAAA" else "BBBBBB")
    with pytest.raises(TokenInvalid):
        tokens.read(damaged)


@pytest.mark.parametrize("alg", GENERATORS)
def test_another_key_of_the_same_kind_opens_nothing(alg: str) -> None:
    ours = key_for(alg)
    theirs = Key.generate(alg)
    with pytest.raises(TokenInvalid):
        Tokens(KeyRing([ours]), RULES).read(forged(header(ours), key=theirs))
    with pytest.raises(TokenInvalid):
        Tokens(KeyRing([ours]), RULES).read(forged(header(theirs), key=theirs))


def test_the_first_key_signs_and_every_key_verifies() -> None:
    old, new = key_for("ES256"), key_for("EdDSA")
    both = Tokens(KeyRing([new, old]), RULES)
    before = a_token(Tokens(KeyRing([old]), RULES))
    after = a_token(both)

    assert parts(after)[0]["kid"] == new.kid
    assert both.read(before)["sub"] == both.read(after)["sub"] == str(USER)


def test_a_retired_key_opens_nothing() -> None:
    before = a_token(Tokens(KeyRing([key_for("ES256")]), RULES))

    with pytest.raises(TokenInvalid):
        Tokens(KeyRing([key_for("EdDSA")]), RULES).read(before)
