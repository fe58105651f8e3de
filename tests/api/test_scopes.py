"""The longest scope of a token for an API key: what is issued is accepted."""

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import update

from authapp.context import OPERATOR
from authapp.database.session import db, transaction
from authapp.domain.api_keys.api_keys import ApiKeyRequest
from authapp.domain.roles.permissions import permissions
from authapp.domain.services import Services
from authapp.domain.sessions.token_claims import token_claims
from authapp.errors import ValidationFailed
from authapp.models import ApiKey, User
from factories import Api, a_service, a_session, a_user, an_api_key, client, key_token, problem

LONGEST = [f"area{number:02}:{'x' * 33}" for number in range(25)]
"""25 names of 40 characters: with blanks between, 1,024."""

ONE_MORE = f"area25:{'x' * 34}"
TOO_LONG = [*LONGEST[1:], ONE_MORE]


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    for name in [*LONGEST, ONE_MORE]:
        permissions.register(name, "Of a project with many permissions.")
    yield
    for name in [*LONGEST, ONE_MORE]:
        permissions.unregister(name)


@pytest.fixture
def service(app: Flask) -> User:
    return a_service(app, "reports", roles=["admin"])


def refused(api: Api, key: str, **form: str) -> None:
    response = api.post("/oauth/token", headers=client(key), data={"grant_type": "client_credentials", **form})
    assert (response.status_code, response.get_json()["error"]) == (400, "invalid_scope")
    assert "ask for less" in response.get_json()["error_description"]


def test_a_token_with_the_longest_scope_is_accepted_and_none_is_issued_with_a_longer_one(
    app: Flask, api: Api, service: User
) -> None:
    key = an_api_key(app, service)
    assert len(" ".join(LONGEST)) == 1024
    token = key_token(api, key, scope=" ".join(LONGEST))
    assert sorted(api.get("/users/me", token).get_json()["permissions"]) == LONGEST
    assert len(" ".join(TOO_LONG)) == 1025
    refused(api, key, scope=" ".join(TOO_LONG))


def test_no_token_is_issued_that_extra_claims_and_a_large_key_make_too_long_to_be_accepted(
    app: Flask, api: Api, service: User
) -> None:
    keys, key = Services.of(app).tokens.keys, an_api_key(app, service)
    token_claims.register("notes:plan", lambda *_: "x" * 1_000)
    try:
        assert api.get("/ping", key_token(api, key, scope=" ".join(LONGEST))).status_code == 200
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(type(keys.signing), "sign", lambda *_: b"x" * 1_024)  # as RSA of 8,192 bits does
            refused(api, key, scope=" ".join(LONGEST))
            assert len(key_token(api, key, scope=" ".join(LONGEST[:5]))) < 4096
    finally:
        token_claims.unregister("notes:plan")


def test_a_token_without_a_scope_may_have_more_permissions(app: Flask, api: Api, service: User) -> None:
    token = key_token(api, an_api_key(app, service))
    assert {*LONGEST, ONE_MORE} < set(api.get("/users/me", token).get_json()["permissions"])


def test_a_limited_key_gets_no_token_with_a_longer_scope_either(app: Flask, api: Api, service: User) -> None:
    key = an_api_key(app, service, permissions=LONGEST)
    assert api.get("/ping", key_token(api, key)).status_code == 200
    with app.app_context(), transaction():
        db.session.execute(update(ApiKey).values(permissions=TOO_LONG))
    refused(api, key)
    assert api.get("/ping", key_token(api, key, scope=LONGEST[1])).status_code == 200


def test_a_key_is_made_with_no_more_permissions_than_its_tokens_can_say(app: Flask, api: Api, service: User) -> None:
    token = a_session(app, a_user(app, roles=["admin"])).access_token
    for wanted, pointers in ((LONGEST, []), ([*LONGEST, LONGEST[0]], []), (TOO_LONG, ["#/permissions"])):
        response = api.post("/users/me/api-keys", {"name": "x", "permissions": wanted}, token)
        if pointers:
            assert [each["pointer"] for each in problem(response, 422, "validation_failed")["errors"]] == pointers
        else:
            assert response.status_code == 201, response.get_json()
    with app.app_context(), pytest.raises(ValidationFailed):
        Services.of(app).api_keys.create_for("reports", ApiKeyRequest(name="x", permissions=TOO_LONG), OPERATOR)
