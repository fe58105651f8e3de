"""The token endpoint: access tokens for API keys (RFC 6749, section 4.4), which live no longer than their key."""

from base64 import b64encode
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import default_exceptions
from werkzeug.test import TestResponse

from authapp.context import OPERATOR
from authapp.domain.api_keys.verification import ApiKeyVerifier
from authapp.domain.services import Services
from authapp.domain.sessions.token_claims import token_claims
from authapp.errors import TokenInvalid
from authapp.models import User
from authapp.security import api_keys, base64url, strict_json
from clocks import Time
from factories import PASSWORD, Api, a_service, a_session, a_user, an_api_key, client, key_token, problem

GRANT = {"grant_type": "client_credentials"}

SOMEBODY = UUID("019aa7c4-5b3e-7d53-a6b2-3c1d9e0f4a77")
"""An id that nobody has."""


@pytest.fixture
def service(app: Flask) -> User:
    with app.app_context():
        Services.of(app).roles.create("reporter", ["users:read", "roles:read"], context=OPERATOR)
    return a_service(app, "reports", roles=["reporter"])


@pytest.fixture
def key(app: Flask, service: User) -> str:
    return an_api_key(app, service)


def ask(api: Api, key: str, **form: str) -> TestResponse:
    return api.post("/oauth/token", headers=client(key), data={**GRANT, **form})


def error(response: TestResponse, status: int, code: str) -> None:
    """Check that it is an error in the form of RFC 6749, section 5.2."""
    assert (response.status_code, response.get_json()["error"]) == (status, code), response.get_json()
    assert response.content_type == "application/json"
    assert response.get_json().keys() == {"error", "error_description"}
    assert response.headers["Cache-Control"] == "no-store"
    if status == 401:
        assert response.headers["WWW-Authenticate"] == 'Basic realm="authapp"'


def claims(token: str) -> dict[str, Any]:
    return strict_json.loads_object(base64url.decode(token.split(".")[1]))


def test_a_key_gets_a_token(app: Flask, api: Api, service: User, key: str) -> None:
    response = ask(api, key)
    body = response.get_json()
    assert body.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 900, "roles:read users:read")
    assert response.headers["Cache-Control"] == "no-store"
    assert api.get("/users/me", body["access_token"]).get_json()["id"] == str(service.id)
    assert api.get("/users", body["access_token"]).status_code == 200
    read = claims(body["access_token"])
    assert read["akid"] == str(api_keys.parse(key).key_id)
    assert read["client_id"] == key[: api_keys.PREFIX_LENGTH]
    assert read.keys().isdisjoint({"sid", "amr", "auth_time", "acr", "scope"})


def test_the_token_of_a_limited_key_says_so(app: Flask, api: Api, service: User) -> None:
    """A service that only verifies tokens would take it for that of a key that may do all that its owner may."""
    key = an_api_key(app, service, permissions=["users:read"])
    body = ask(api, key).get_json()
    assert claims(body["access_token"])["scope"] == body["scope"] == "users:read"


def test_a_scope_limits_the_token(app: Flask, api: Api, key: str) -> None:
    assert ask(api, key, scope="users:read").get_json()["scope"] == "users:read"
    token = key_token(api, key, scope="users:read")
    assert claims(token)["scope"] == "users:read"
    assert api.get("/users", token).status_code == 200
    problem(api.get("/roles", token), 403, "permission_denied")
    assert api.get("/auth/verify", token).headers["X-Auth-Roles"] == ""


@pytest.mark.parametrize("scope", ["users:write", "users:read users:write", " ", "users:read  roles:read", "no"])
def test_a_scope_beyond_the_key_is_refused(api: Api, key: str, scope: str) -> None:
    error(ask(api, key, scope=scope), 400, "invalid_scope")


def test_a_limited_key_gets_a_limited_token(app: Flask, api: Api, service: User) -> None:
    key = an_api_key(app, service, permissions=["roles:read", "users:write"])
    assert ask(api, key).get_json()["scope"] == "roles:read"
    token = key_token(api, key)
    assert api.get("/roles", token).status_code == 200
    problem(api.get("/users", token), 403, "permission_denied")
    error(ask(api, key, scope="users:read"), 400, "invalid_scope")


def test_a_scope_never_outlives_the_owners_role(app: Flask, api: Api, service: User, key: str) -> None:
    token = key_token(api, key, scope="users:read")
    with app.app_context():
        Services.of(app).administration.revoke("reports", "reporter", OPERATOR)
    problem(api.get("/users", token), 403, "permission_denied")


@pytest.mark.parametrize("end", ["deleted", "expired", "disabled", "account gone"])
def test_a_token_dies_with_its_key(app: Flask, api: Api, service: User, time: Time, end: str) -> None:
    key = an_api_key(app, service, expires_at=time.now + timedelta(minutes=5))
    token = key_token(api, key)
    assert api.get("/ping", token).status_code == 200
    with app.app_context():
        services = Services.of(app)
        if end == "deleted":
            services.api_keys.delete(service.id, api_keys.parse(key).key_id, OPERATOR)
        elif end == "disabled":
            services.administration.disable("reports", OPERATOR)
        elif end == "account gone":
            services.administration.delete("reports", OPERATOR)
        else:
            time.passes(minutes=5, seconds=1)
    problem(api.get("/ping", token), 401, "token_revoked")
    error(ask(api, key), 401, "invalid_client")


def test_a_token_expires_no_later_than_its_key(app: Flask, api: Api, service: User, time: Time) -> None:
    key = an_api_key(app, service, expires_at=time.now + timedelta(seconds=90))
    assert ask(api, key).get_json()["expires_in"] in {89, 90}


def test_a_token_of_a_key_stands_for_no_login(app: Flask, api: Api) -> None:
    token = key_token(api, an_api_key(app, a_user(app, roles=["admin"])))
    for method, path, body in (
        ("POST", "/auth/logout", None),
        ("POST", "/auth/step-ups", {"password": PASSWORD}),
        ("POST", "/users/me/api-keys", {"name": "x"}),
        ("POST", f"/users/{SOMEBODY}/api-keys", {"name": "x"}),
        ("DELETE", "/users/me", {}),
        ("POST", "/users/me/totp", {}),
    ):
        problem(api(method, path, token, **({} if body is None else {"json": body})), 403, "permission_denied")
    problem(api.post("/auth/refresh", {"refresh_token": token}), 401, "token_invalid")


def test_a_token_of_a_key_is_revoked_alone(app: Flask, api: Api, key: str) -> None:
    token, other = key_token(api, key), key_token(api, key)
    for _ in range(2):
        assert api.post("/auth/revoke", headers=client(key), data={"token": token}).status_code == 200
    problem(api.get("/ping", token), 401, "token_revoked")
    assert api.get("/ping", other).status_code == 200
    assert api.get("/ping", key).status_code == 200


def test_a_key_introspects_with_basic(app: Flask, api: Api, key: str) -> None:
    asking = an_api_key(app, a_service(app, roles=["admin"]), permissions=["tokens:introspect"])
    token = key_token(api, key, scope="users:read")
    seen = api.post("/auth/introspect", headers=client(asking), data={"token": token}).get_json()
    assert seen["active"] is True
    assert (seen["username"], seen["scope"], seen["roles"]) == ("reports", "users:read", [])
    assert (seen["client_id"], seen["akid"]) == (key[: api_keys.PREFIX_LENGTH], str(api_keys.parse(key).key_id))
    assert "sid" not in seen
    problem(api.post("/auth/introspect", headers=client(key), data={"token": token}), 403, "permission_denied")


def test_basic_takes_a_key_with_its_own_prefix_alone(app: Flask, api: Api, service: User, key: str) -> None:
    other = an_api_key(app, service)
    for client_id, secret in (
        (other[: api_keys.PREFIX_LENGTH], key),
        (key[: api_keys.PREFIX_LENGTH], other),
        (key[: api_keys.PREFIX_LENGTH], key[:-1]),
        (key[: api_keys.PREFIX_LENGTH], ""),
        ("reports", key),
        ("", key),
    ):
        headers = {"Authorization": f"Basic {b64encode(f'{client_id}:{secret}'.encode()).decode()}"}
        error(api.post("/oauth/token", headers=headers, data=GRANT), 401, "invalid_client")
        refused = api.post("/auth/revoke", headers=headers, data={"token": "x"})
        problem(refused, 401, "invalid_credentials")
        assert "Basic" in refused.headers["WWW-Authenticate"]


def test_only_a_key_is_a_client(app: Flask, api: Api, key: str) -> None:
    user = a_user(app, "ada")
    password = {"Authorization": f"Basic {b64encode(f'ada:{PASSWORD}'.encode()).decode()}"}
    for headers in (
        {},
        password,
        {"Authorization": f"Bearer {key}"},
        {"Authorization": f"Bearer {a_session(app, user).access_token}"},
        {"Authorization": "Basic"},
        {"Authorization": "Basic !"},
    ):
        error(api.post("/oauth/token", headers=headers, data=GRANT), 401, "invalid_client")
    in_body = {**GRANT, "client_id": key[: api_keys.PREFIX_LENGTH], "client_secret": key}
    error(api.post("/oauth/token", data=in_body), 401, "invalid_client")


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({}, "invalid_request"),
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "password", "username": "ada", "password": PASSWORD}, "unsupported_grant_type"),
        ({**GRANT, "client_id": "another"}, "invalid_request"),
        ({**GRANT, "client_secret": "x"}, "invalid_request"),
    ],
    ids=["none", "empty", "password", "another client", "secret in the body"],
)
def test_what_is_no_request_for_a_token_is_refused_in_the_words_of_oauth(
    api: Api, key: str, form: dict[str, str], code: str
) -> None:
    error(api.post("/oauth/token", headers=client(key), data=form), 400, code)


def test_a_parameter_without_a_value_is_as_good_as_omitted(api: Api, key: str) -> None:
    assert ask(api, key, scope="", client_id="", client_secret="").status_code == 200


def test_the_client_may_repeat_its_id_and_send_what_we_do_not_know(api: Api, key: str) -> None:
    assert ask(api, key, client_id=key[: api_keys.PREFIX_LENGTH], resource="https://api.example.com").status_code == 200


def test_a_body_that_is_no_form_is_refused_in_the_words_of_oauth(api: Api, key: str) -> None:
    error(api.post("/oauth/token", GRANT, headers=client(key)), 400, "invalid_request")
    twice = "grant_type=client_credentials&grant_type=client_credentials"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    error(api.post("/oauth/token", headers={**client(key), **form}, data=twice), 400, "invalid_request")
    error(api.post("/oauth/token", headers={**client(key), **form}, data="x=" + "y" * 70_000), 400, "invalid_request")


def test_an_outage_is_told_in_the_words_of_oauth(api: Api, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: Any) -> None:
        raise OperationalError("", {}, Exception())

    monkeypatch.setattr(ApiKeyVerifier, "find_even_if_refused", down)
    response = ask(api, key)
    error(response, 503, "temporarily_unavailable")
    assert response.headers["Retry-After"]


@pytest.mark.parametrize("status", sorted(default_exceptions))
def test_every_error_of_the_framework_is_told_in_the_words_of_oauth(
    api: Api, key: str, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    def fail(*_: Any) -> None:
        raise default_exceptions[status]

    monkeypatch.setattr(ApiKeyVerifier, "find_even_if_refused", fail)
    answered = {429: 429, 500: 500, 501: 500, 502: 503, 503: 503, 504: 503}.get(status, 400)
    code = {400: "invalid_request", 500: "server_error"}.get(answered, "temporarily_unavailable")

    error(ask(api, key), answered, code)


def test_the_metadata_name_the_endpoint(api: Api) -> None:
    metadata = api.client.get("/.well-known/oauth-authorization-server").get_json()
    assert metadata["token_endpoint"] == "https://auth.example.com/api/v1/oauth/token"
    assert metadata["grant_types_supported"] == ["client_credentials"]
    assert metadata["token_endpoint_auth_methods_supported"] == ["client_secret_basic"]


def test_extra_claims_are_in_the_token_of_a_key(app: Flask, api: Api, service: User, key: str) -> None:
    token_claims.register("notes:of", lambda user_id, issued_for: [str(user_id), str(issued_for)])
    try:
        token = key_token(api, key)
    finally:
        token_claims.unregister("notes:of")
    assert claims(token)["notes:of"] == [str(service.id), str(api_keys.parse(key).key_id)]


# --- what a token of a key must be -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"type": "refresh"},
        {"fresh": True},
        {"sid": str(SOMEBODY)},
        {"amr": ["pwd"]},
        {"acr": "mfa"},
        {"auth_time": 0},
        {"akid": "x"},
        {"akid": str(SOMEBODY)},
        {"sub": str(SOMEBODY)},
        {"client_id": "authapp"},
        {"scope": ["users:read"]},
        {"scope": None},
        {"akid": None},
    ],
    ids=str,
)
def test_a_token_that_is_of_a_key_and_of_something_else_is_none(
    app: Flask, api: Api, key: str, change: dict[str, Any]
) -> None:
    tokens = Services.of(app).tokens
    whole = claims(key_token(api, key, scope="users:read"))
    assert tokens.read(tokens._signed("access", whole))
    with pytest.raises(TokenInvalid):
        tokens.read(tokens._signed("access", {**whole, **change}))
