"""The settings of providers: what they accept, and what a wrong one is told."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from authapp.config import ProviderSettings
from authapp.extension import load_settings
from variables import Set, production, the_problem

VALID = {"issuer": "https://op.example.org", "client_id": "authapp"}
TWICE = f'{{"example": {json.dumps(VALID)}, "example": {json.dumps(VALID)}}}'
URIS = "https://app.example.com/callback"


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Set:
    return production(monkeypatch, tmp_path)


def given(env: Set, **members: Any) -> None:
    env(AUTHAPP_PROVIDERS=json.dumps({"example": {**VALID, **members}}), AUTHAPP_REDIRECT_URIS=URIS)


def test_without_providers_there_are_none(env: Set) -> None:
    assert load_settings().providers is None


def test_a_provider_needs_an_issuer_and_a_client_id(env: Set) -> None:
    given(env)
    assert load_settings().providers == {
        "example": ProviderSettings(name="example", issuer="https://op.example.org", client_id="authapp")
    }


def test_providers_are_read_from_a_file_and_their_secrets_from_others(env: Set, tmp_path: Path) -> None:
    secret, file = tmp_path / "secret", tmp_path / "providers.json"
    secret.write_text("s3cret\n")
    members = {
        **VALID,
        "client_secret_file": str(secret),
        "client_secret_expires": "2027-01-31",
        "trust_email": True,
        "scopes": ["openid"],
        "algorithms": ["EdDSA"],
        "kind": "github",
    }
    file.write_text(json.dumps({"example": members}))
    env(AUTHAPP_PROVIDERS_FILE=str(file), AUTHAPP_REDIRECT_URIS=URIS)
    found = (load_settings().providers or {})["example"]
    assert (found.client_secret, found.secret_expires, found.trust_email) == ("s3cret", date(2027, 1, 31), True)
    assert (found.scopes, found.algorithms, found.kind) == (("openid",), ("EdDSA",), "github")
    assert "s3cret" not in repr(load_settings())


@pytest.mark.parametrize(
    "members",
    [
        {"issuer": "http://op.example.org"},
        {"issuer": "https://op.example.org?x"},
        {"issuer": 7},
        {"client_id": ""},
        {"client_id": None},
        {"client_secret": "in the open"},
        {"client_secret_file": "/nowhere"},
        {"client_secret_file": 7},
        {"client_secret_expires": "soon"},
        {"issuer": "https://user:secret@op.example.org"},
        {"issuer": "https://op.example.org:99999"},
        {"issuer": "https://["},
        {"trust_email": "yes"},
        {"trust_email": 1},
        {"scopes": []},
        {"scopes": "openid"},
        {"scopes": ["open id"]},
        {"algorithms": ["none"]},
        {"algorithms": ["HS256"]},
        {"kind": 7},
        {"scopes": ["email", "profile"]},
    ],
)
def test_what_cannot_be_a_provider_is_told(env: Set, members: dict[str, Any]) -> None:
    given(env, **members)
    problem = the_problem()
    assert problem.startswith("AUTHAPP_PROVIDERS ")
    assert "example" in problem
    assert "secret@" not in problem


@pytest.mark.parametrize(
    "text", ["no JSON", "[]", "{}", TWICE, '{"Example": {}}', '{"example": []}', pytest.param("[" * 50_000, id="deep")]
)
def test_what_is_no_object_of_providers_is_told(env: Set, text: str) -> None:
    env(AUTHAPP_PROVIDERS=text, AUTHAPP_REDIRECT_URIS=URIS)
    assert the_problem().startswith("AUTHAPP_PROVIDERS ")


def test_one_issuer_has_one_name(env: Set) -> None:
    env(AUTHAPP_PROVIDERS=json.dumps({"a": VALID, "b": VALID}), AUTHAPP_REDIRECT_URIS=URIS)
    assert "one issuer twice" in the_problem()


def test_providers_need_an_address_to_come_back_to(env: Set) -> None:
    env(AUTHAPP_PROVIDERS=json.dumps({"example": VALID}))
    assert the_problem().startswith("AUTHAPP_REDIRECT_URIS is missing")


@pytest.mark.parametrize(
    "uri",
    [
        "http://app.example.com/",
        "https://[",
        "https://me@a.example/",
        "/callback",
        "https://a.example/#x",
        "javascript:alert(1)",
    ],
)
def test_what_is_no_address_to_come_back_to_is_told(env: Set, uri: str) -> None:
    env(AUTHAPP_PROVIDERS=json.dumps({"example": VALID}), AUTHAPP_REDIRECT_URIS=uri)
    assert the_problem().startswith("AUTHAPP_REDIRECT_URIS ")


def test_redirect_uris_are_kept_as_they_are_written(env: Set) -> None:
    uris = "https://App.example.com/cb?x=1 http://localhost:3000/cb com.example.app:/cb"
    env(AUTHAPP_PROVIDERS=json.dumps({"example": VALID}), AUTHAPP_REDIRECT_URIS=uris)
    assert load_settings().redirect_uris == tuple(uris.split())
