"""Providers that lie, or are slow: each check of an answer, broken by itself."""

import json
import time
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from flask import Flask
from jwt.algorithms import RSAAlgorithm

from authapp import clock
from authapp.domain.providers.flows import LIFETIME
from authapp.models import Session
from authapp.security import base64url
from authapp.security.keys import Key
from clocks import Time
from conftest import reconfigured
from factories import Api, all_events, problem
from providers import (
    JWKS,
    LOGINS,
    TOKEN,
    FakeProvider,
    Lies,
    begin,
    fake_provider,
    finish,
    forget_keys,
    log_in,
    respond,
    signed,
)


def unsigned(token: str) -> str:
    _header, claims, _ = token.split(".")
    return f"{base64url.encode(json.dumps({'alg': 'none'}).encode())}.{claims}."


def with_hmac(provider: FakeProvider) -> Callable[[str], str]:
    """Sign with what everybody knows: the provider's public key, as the secret of an HMAC."""
    public = json.dumps(provider.public_jwk()).encode().ljust(64, b"=")

    def sign(token: str) -> str:
        claims = json.loads(base64url.decode(token.split(".")[1]))
        key = Key.from_jwk({"kty": "oct", "k": base64url.encode(public)})
        return signed(key, claims, kid=provider.key.kid)

    return sign


FAR = int(time.time())
WRONG_CLAIMS: dict[str, dict[str, Any]] = {
    "nonce": {"nonce": "another"},
    "no nonce": {"nonce": None},
    "audience": {"aud": "another"},
    "audiences without azp": {"aud": ["authapp-client", "another"]},
    "azp": {"azp": "another"},
    "azp of many": {"aud": ["authapp-client", "another"], "azp": "another"},
    "audience as an object": {"aud": {"authapp-client": 1}},
    "issuer": {"iss": "https://accounts.example.com"},
    "issuer that starts alike": {"iss": "http://localhost"},
    "expired": {"exp": FAR - 60},
    "from the future": {"iat": FAR + 3600, "exp": FAR + 7200},
    "old": {"iat": FAR - 3600},
    "not yet valid": {"nbf": FAR + 3600},
    "exp as text": {"exp": "9999999999"},
    "exp as a boolean": {"exp": True},
    "no exp": {"exp": None},
    "no iat": {"iat": None},
    "at_hash": {"at_hash": base64url.encode(sha256(b"another").digest()[:16])},
    "at_hash as a number": {"at_hash": 1},
    "no subject": {"sub": None},
    "empty subject": {"sub": ""},
    "subject as a number": {"sub": 248289761001},
    "long subject": {"sub": "x" * 256},
    "subject on two lines": {"sub": "a\nb"},
}


@pytest.mark.parametrize("claims", WRONG_CLAIMS.values(), ids=WRONG_CLAIMS)
def test_an_id_token_with_wrong_claims_is_refused(
    app: Flask, api: Api, provider: FakeProvider, claims: dict[str, Any]
) -> None:
    provider.lies.claims = claims
    refused(app, api, provider)


def refused(app: Flask, api: Api, provider: FakeProvider) -> None:
    """Check that a login fails, for a reason that only the operator is told, and that it goes with the lie alone."""
    answer = problem(log_in(api, provider), 401, "provider_login_failed")
    (event,) = all_events(app, "provider.refused")
    assert event.details["reason"] not in json.dumps(answer)
    with app.app_context():
        assert Session.query.count() == 0
    provider.lies = Lies()
    assert log_in(api, provider).status_code == 201


@pytest.mark.parametrize("claims", [{"exp": -1}, {"iat": +1}, {"nbf": +1}], ids=str)
def test_a_clock_that_differs_by_seconds_is_no_reason_to_refuse(
    app: Flask, api: Api, provider: FakeProvider, time: Time, claims: dict[str, int]
) -> None:
    ahead = {name: int(clock.now().timestamp()) + seconds for name, seconds in claims.items()}
    provider.lies.claims = {"iat": int(clock.now().timestamp()), **ahead}
    assert log_in(api, provider).status_code == 201
    beyond = {name: value + 10 * claims[name] for name, value in ahead.items()}
    provider.lies.claims = {**provider.lies.claims, **beyond}
    problem(log_in(api, provider), 401, "provider_login_failed")


def test_a_token_that_is_dated_back_by_minutes_is_accepted(api: Api, provider: FakeProvider) -> None:
    """As Microsoft does."""
    provider.lies.claims = {name: int(clock.now().timestamp()) - 310 for name in ("iat", "nbf")}
    assert log_in(api, provider).status_code == 201


def test_an_audience_in_a_list_and_azp_are_accepted(api: Api, provider: FakeProvider) -> None:
    provider.lies.claims = {"aud": ["authapp-client", "another"], "azp": "authapp-client"}
    assert log_in(api, provider).status_code == 201


WRONG_TOKENS: dict[str, Callable[[FakeProvider], Callable[[str], str]]] = {
    "alg none": lambda _: unsigned,
    "alg HS256 by the public key": with_hmac,
    "no signature": lambda _: lambda token: token.rpartition(".")[0] + ".",
    "another signature": lambda _: lambda token: token.rpartition(".")[0] + "." + "A" * 86,
    "no token": lambda _: lambda _token: "no token",
    "long token": lambda _: lambda token: token + "A" * 20_000,
    "padded": lambda _: lambda token: token + "=",
}


@pytest.mark.parametrize("make", WRONG_TOKENS.values(), ids=WRONG_TOKENS)
def test_an_id_token_that_is_not_signed_by_the_provider_is_refused(
    app: Flask, api: Api, provider: FakeProvider, make: Callable[[FakeProvider], Callable[[str], str]]
) -> None:
    provider.lies.token = make(provider)
    refused(app, api, provider)


def test_a_token_that_is_not_ascii_is_not_called_too_long(app: Flask, api: Api, provider: FakeProvider) -> None:
    provider.lies.token = lambda token: token + "é"
    refused(app, api, provider)
    assert [event.details["reason"] for event in all_events(app, "provider.refused")] == [
        "the ID token: it is not ASCII"
    ]


def test_the_key_of_another_issuer_is_refused(app: Flask, api: Api, provider: FakeProvider) -> None:
    provider.lies.key = Key.generate("ES256")
    refused(app, api, provider)


@pytest.mark.parametrize("header", [{"crit": ["exp"], "exp": 1}, {"kid": 7}, {"alg": "ES384"}, {"alg": None}])
def test_an_id_token_with_a_wrong_header_is_refused(
    app: Flask, api: Api, provider: FakeProvider, header: dict[str, Any]
) -> None:
    provider.lies.header = header
    refused(app, api, provider)


def test_an_algorithm_that_the_provider_is_not_configured_with_is_refused(
    app: Flask, api: Api, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.key, provider.lies.drop = Key.generate("EdDSA"), ("at_hash",)  # which the provider makes for ES256
    problem(log_in(api, provider), 401, "provider_login_failed")
    reconfigured(app, monkeypatch, providers={"example": provider.settings(algorithms=("EdDSA",))})
    assert log_in(api, provider).status_code == 201


class RSAKey:
    """A key of so many bits, as a provider may have it."""

    alg, kid = "RS256", "rsa"

    def __init__(self, bits: int) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        self.jwk = {**json.loads(RSAAlgorithm.to_jwk(self._key.public_key())), "kid": self.kid}

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message, padding.PKCS1v15(), hashes.SHA256())


@pytest.mark.parametrize(("bits", "status"), [(1024, 401), (2048, 201)])
def test_an_rsa_key_that_is_too_short_is_not_used(
    app: Flask, api: Api, provider: FakeProvider, bits: int, status: int
) -> None:
    provider.key = RSAKey(bits)
    assert log_in(api, provider).status_code == status
    reasons = [event.details["reason"] for event in all_events(app, "provider.refused")]
    assert reasons == ([] if status == 201 else ["the ID token: its key is too short"])


def test_keys_in_the_header_are_never_used(app: Flask, api: Api, provider: FakeProvider) -> None:
    thief = Key.generate("ES256")
    public = {name: value for name, value in thief.jwk.items() if name != "d"}
    provider.lies.key = thief
    provider.lies.header = {"jwk": public, "jku": f"{provider.issuer}/thief", "kid": thief.kid}
    provider.lies.answers["/thief"] = lambda handler: respond(handler, {"keys": [public]})
    refused(app, api, provider)
    assert "/thief" not in provider.paths


@pytest.mark.parametrize("marks", [{"use": "enc"}, {"alg": "ES384"}, {"kty": "oct"}, {"crv": "P-999"}])
def test_a_key_that_is_for_something_else_is_not_used(api: Api, provider: FakeProvider, marks: dict[str, str]) -> None:
    provider.lies.answers[JWKS] = lambda handler: respond(handler, {"keys": [{**provider.public_jwk(), **marks}]})
    problem(log_in(api, provider), 401, "provider_login_failed")


@pytest.mark.parametrize("members", [{"d": "AQAB"}, {"kty": "oct", "k": "A" * 43}])
def test_a_key_that_is_not_public_is_not_even_read(
    app: Flask, api: Api, provider: FakeProvider, members: dict[str, str]
) -> None:
    """PyJWT looks for the prime factors of a private RSA key, for hours where the numbers fill the document."""
    provider.lies.answers[JWKS] = lambda handler: respond(handler, {"keys": [{**provider.public_jwk(), **members}]})
    problem(log_in(api, provider), 401, "provider_login_failed")
    (event,) = all_events(app, "provider.refused")
    assert event.details["reason"] == "the ID token: its key is not public"


def test_the_answer_of_another_issuer_is_refused_before_the_code_is_sent(
    app: Flask, api: Api, provider: FakeProvider
) -> None:
    for number, issuer in enumerate(("https://mixed-up.example", f"{provider.issuer}/", None)):
        answer: dict[str, Any] = {**finish(provider, begin(api)), "iss": issuer}
        answer = {name: value for name, value in answer.items() if value is not None}
        problem(api("PUT", LOGINS, json=answer), 401, "provider_login_failed")
        assert len(all_events(app, "provider.refused")) == number + 1
    assert TOKEN not in provider.paths


def test_without_rfc_9207_an_answer_needs_no_issuer(api: Api, provider: FakeProvider) -> None:
    provider.lies.metadata = {"authorization_response_iss_parameter_supported": False}
    answer = finish(provider, begin(api))
    problem(api("PUT", LOGINS, json={**answer, "iss": "https://another.example"}), 401, "provider_login_failed")
    del answer["iss"]
    assert api("PUT", LOGINS, json=answer).status_code == 201


def test_an_answer_is_not_taken_for_that_of_another_provider(
    app: Flask, api: Api, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fake_provider() as other:
        both = {"example": provider.settings(), "other": other.settings("other")}
        reconfigured(app, monkeypatch, providers=both)
        answer = finish(provider, begin(api))
        for lie in (answer, {**answer, "iss": other.issuer}):
            response = api("PUT", LOGINS.replace("example", "other"), json=lie)
            problem(response, 401, "provider_login_failed")
        assert other.paths == [], "the other provider gets the code"
        assert api("PUT", LOGINS, json=answer).status_code == 201


def test_a_flow_is_no_other_clients(api: Api, provider: FakeProvider) -> None:
    provider.lies.replays = True  # so that it is not the code, used up, that is refused
    first, second = begin(api), begin(api)
    answer = finish(provider, second)
    for wrong in (
        {"flow": first["flow"]},
        {"state": finish(provider, first)["state"]},
        {"flow": first["flow"], "state": finish(provider, first)["state"]},
        {"flow": "A" * 75},
        {"flow": second["flow"][:-4] + "AAAA"},
        {"flow": ("B" if second["flow"][0] == "A" else "A") + second["flow"][1:]},
        {"code": "another"},
    ):
        problem(api("PUT", LOGINS, json={**answer, **wrong}), 401, "provider_login_failed")
    assert api("PUT", LOGINS, json=finish(provider, second)).status_code == 201


@pytest.mark.parametrize(
    ("error", "recorded"),
    [("redirect_uri_mismatch", "redirect_uri_mismatch"), ("no\x1b[31m", "no?[31m"), ("x" * 9_000, "x" * 478)],
    ids=["short", "control characters", "long"],
)
def test_why_a_code_was_refused_is_recorded_in_the_words_of_the_provider(
    app: Flask, api: Api, provider: FakeProvider, error: str, recorded: str
) -> None:
    provider.lies.answers[TOKEN] = lambda handler: respond(handler, {"error": error}, 400)
    problem(log_in(api, provider), 401, "provider_login_failed")
    (event,) = all_events(app, "provider.refused")
    assert event.details["reason"] == f"the code was refused: {recorded}"


@pytest.mark.parametrize(("answer", "status"), [({}, 404), ({"error": "invalid_client"}, 401)], ids=["404", "client"])
def test_a_token_endpoint_that_refuses_the_client_or_is_none_is_unavailable_and_the_log_says_which(
    api: Api, provider: FakeProvider, caplog: pytest.LogCaptureFixture, answer: dict[str, str], status: int
) -> None:
    provider.lies.answers[TOKEN] = lambda handler: respond(handler, answer, status)
    problem(log_in(api, provider), 503, "provider_unavailable")
    assert ("check client_id" in caplog.text, "answered 404" in caplog.text) == (status == 401, status == 404)


def test_a_flow_expires(app: Flask, api: Api, provider: FakeProvider, time: Time) -> None:
    first, second = begin(api), begin(api)
    # The whole second in which it was made does not count.
    time.passes(LIFETIME - timedelta(seconds=2))
    now = int(clock.now().timestamp())
    provider.lies.claims = {"iat": now, "exp": now + 300}
    assert api("PUT", LOGINS, json=finish(provider, first)).status_code == 201
    time.passes(seconds=2)
    problem(api("PUT", LOGINS, json=finish(provider, second)), 401, "provider_login_failed")
    (event,) = all_events(app, "provider.refused")
    assert event.details["reason"] == "the flow is not good"


def test_the_address_tells_neither_the_flow_nor_the_verifier(api: Api, provider: FakeProvider) -> None:
    begun = begin(api)
    state = base64url.encode(sha256(begun["flow"].encode()).digest())
    assert f"state={state}" in begun["authorization_url"]
    assert begun["flow"] not in begun["authorization_url"]
    assert "code_verifier" not in begun["authorization_url"]


def test_a_token_without_a_key_id_needs_a_provider_with_one_key(api: Api, provider: FakeProvider) -> None:
    provider.lies.header = {"kid": None}
    assert log_in(api, provider).status_code == 201
    keys = [provider.public_jwk(), {**provider.public_jwk(), "kid": "another"}]
    provider.lies.answers[JWKS] = lambda handler: respond(handler, {"keys": keys})
    forget_keys(api.client.application)
    problem(log_in(api, provider), 401, "provider_login_failed")


@pytest.mark.parametrize("token_type", ["mac", "DPoP", "N_A", 7], ids=repr)
def test_a_token_of_another_type_is_not_used(api: Api, provider: FakeProvider, token_type: object) -> None:
    provider.lies.response = {"token_type": token_type}
    problem(log_in(api, provider), 401, "provider_login_failed")


@pytest.mark.parametrize("token", [None, 7, {}], ids=repr)
def test_an_answer_without_an_id_token_is_refused(app: Flask, api: Api, provider: FakeProvider, token: Any) -> None:
    provider.lies.response = {"id_token": token}
    refused(app, api, provider)


def test_a_wrong_client_secret_is_the_fault_of_the_settings(
    app: Flask, api: Api, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconfigured(app, monkeypatch, providers={"example": provider.settings(client_secret="wrong")})
    problem(log_in(api, provider), 503, "provider_unavailable")
