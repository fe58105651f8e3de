"""How other services find the keys."""

import json
from typing import Any

import jwt
import pytest
from flask import Flask

from authapp import create_app
from authapp.security.key_generation import GENERATORS
from authapp.security.keys import Key, KeyRing
from factories import Api, a_session, a_user
from settings import settings

JWKS = "/.well-known/jwks.json"
NOWHERE = "postgresql+psycopg2:///nowhere"


def test_a_token_is_verified_by_the_published_keys(app: Flask, api: Api) -> None:
    token = a_session(app, a_user(app)).access_token
    keys = jwt.PyJWKSet.from_dict(api.client.get(JWKS).get_json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["ES256"], audience="authapp", issuer="https://auth.example.com")
    assert claims["type"] == "access"


def test_only_public_members_are_shown_and_no_hmac_key() -> None:
    ring = KeyRing([Key.generate(kind) for kind in GENERATORS])
    app = create_app(settings(database_url=NOWHERE, jwt_keys=ring.to_json()))
    shown = app.test_client().get(JWKS).get_json()["keys"]
    assert [key["kty"] for key in shown] == ["EC", "OKP", "RSA"]
    members = {"EC": "crv x y", "OKP": "crv x", "RSA": "n e"}
    for key in shown:
        assert set(key) == {"kty", "kid", "alg", "use", *members[key["kty"]].split()}
    secrets = [
        value for key in ring for name, value in key.jwk.items() if name in {"d", "p", "q", "dp", "dq", "qi", "k"}
    ]
    assert len(secrets) == 9
    assert not [secret for secret in secrets if secret in json.dumps(shown)]


@pytest.mark.parametrize("issuer", ["https://auth.example.com", "https://auth.example.com/"])
def test_the_metadata_says_where_everything_is(issuer: str) -> None:
    app = create_app(settings(database_url=NOWHERE, issuer=issuer))
    body = app.test_client().get("/.well-known/oauth-authorization-server").get_json()
    assert body["issuer"] == issuer
    assert body["jwks_uri"] == "https://auth.example.com/.well-known/jwks.json"
    assert body["introspection_endpoint"] == "https://auth.example.com/api/v1/auth/introspect"
    assert body["revocation_endpoint"] == "https://auth.example.com/api/v1/auth/revoke"


def metadata(app: Flask, path: str) -> dict[str, Any]:
    answer = app.test_client().get(path)
    assert answer.status_code == 200, path
    body: dict[str, Any] = answer.get_json()
    return body


def test_the_metadata_has_no_empty_member(api: Api) -> None:
    body = api.client.get("/.well-known/oauth-authorization-server").get_json()
    assert [name for name, value in body.items() if not value] == []
    # The names that IANA has: of authentication methods, and of types of access tokens (RFC 8414, section 2).
    assert body["introspection_endpoint_auth_methods_supported"] == ["client_secret_basic", "Bearer"]


@pytest.mark.parametrize(
    ("issuer", "path"),
    [
        ("https://example.com", ""),
        ("https://example.com/", ""),
        ("https://example.com/accounts", "/accounts"),
        ("https://example.com/a/b/", "/a/b"),
        ("https://example.com/caf%C3%A9", "/caf%C3%A9"),
    ],
)
def test_the_metadata_is_where_clients_look_for_it(issuer: str, path: str) -> None:
    app = create_app(settings(database_url=NOWHERE, issuer=issuer))
    found = [
        metadata(app, where)
        for where in (
            f"/.well-known/oauth-authorization-server{path}",  # RFC 8414, section 3.1
            f"/.well-known/openid-configuration{path}",  # RFC 8414, section 5; Spring
            f"{path}/.well-known/openid-configuration",  # OpenID Connect Discovery, section 4; AWS, Spring
            f"{path}/.well-known/oauth-authorization-server",
            "/.well-known/openid-configuration",  # of a proxy that removes the path
        )
    ]
    assert {document["issuer"] for document in found} == {issuer}
    assert all(document == found[0] for document in found)
    elsewhere = app.test_client().get("/.well-known/oauth-authorization-server/elsewhere")
    assert elsewhere.status_code == 404


def test_both_may_be_cached_for_five_minutes(api: Api) -> None:
    for path in (JWKS, "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"):
        assert api.client.get(path).headers["Cache-Control"] == "public, max-age=300"
